"""``identity deliver``."""

import signal
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail

if TYPE_CHECKING:
    from identity_adapters.delivery import Deliverer


@click.command("deliver")
def deliver_command() -> None:
    """Deliver webhooks until stopped: send what happens to the endpoints of identity webhooks.

    Any number of processes may deliver; each webhook is delivered by one of them at a time.
    """
    from contextlib import suppress

    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run
    from identity_adapters.embedded import is_owned
    from identity_adapters.settings import InvalidSetting, Settings

    with suppress(InvalidSetting):  # which `open_container` tells
        settings = Settings.load()
        # Who starts the embedded database ends it, too, and with it the service.
        if settings.database_url is None and not is_owned(settings.data_folder):
            fail(
                1,
                "the embedded database does not run: start identity serve first, or have it deliver with"
                " IDENTITY_DELIVER=yes",
            )
    # Who waits for an endpoint holds no connection, so few connections do for many webhooks.
    with open_container(is_service=True, pool_sizes=(1, 8)) as container:
        run(container, _deliver(container.deliverer()))


async def _deliver(deliverer: "Deliverer") -> None:
    import asyncio  # slow to import

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, deliverer.stop)
    await deliverer.run()
