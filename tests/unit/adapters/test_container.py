"""How the parts of the service are put together."""

import asyncio

from identity_adapters import metrics
from identity_adapters.container import Container, _render_metrics
from identity_adapters.settings import Settings
from tests.support.waiting import PATIENCE


def test_metrics_do_not_wait_for_a_database_that_hangs(monkeypatch):
    """Prometheus would give up, and have none of them while they are needed most."""
    monkeypatch.setattr(metrics, "COUNT_TIMEOUT", 0.01)

    class Hanging:
        async def webhooks(self, **_):
            await asyncio.Event().wait()

    container = Container(settings=Settings(count_every=0.0))
    container.database.override(None)
    container.webhook_store.override(Hanging())

    async def render():
        async with asyncio.timeout(PATIENCE):
            return await _render_metrics(container)()

    assert b"identity_request_duration_seconds" in asyncio.run(render())
