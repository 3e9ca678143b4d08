"""``identity deliver``."""

import signal
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from identity_adapters.delivery import Deliverer


@click.command("deliver")
def deliver_command() -> None:
    """Deliver webhooks until stopped: send what happens to the endpoints of identity webhooks.

    Any number of processes may deliver; each webhook is delivered by one of them at a time.
    """
    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run

    # Who waits for an endpoint holds no connection, so few connections do for many webhooks.
    with open_container(is_service=True, pool_sizes=(1, 8)) as container:
        run(container, _deliver(container.deliverer()))


async def _deliver(deliverer: "Deliverer") -> None:
    import asyncio  # slow to import

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, deliverer.stop)
    await deliverer.run()
