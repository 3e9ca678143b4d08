"""``identity serve``."""

import os
import signal
import sys
from contextlib import ExitStack
from functools import partial
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, cast

import click

from identity_adapters.cli import fail

SHUTDOWN_TIMEOUT = 30
"""Seconds that requests in flight have to finish when the service stops."""

WORKER_START_TIMEOUT = 60
"""Seconds that a worker has to start on a busy machine before it counts as stuck and is replaced."""


@click.command()
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on.  [default: 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="The number of processes.  [default: 1]")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve POST /identify over HTTP."""
    import structlog
    import uvicorn

    from identity_adapters import metrics
    from identity_adapters.cli.database import open_container
    from identity_adapters.container import naming_ledger
    from identity_adapters.files.ledger import check_ledger
    from identity_adapters.http.protocol import BoundedProtocol, Bounds
    from identity_adapters.postgres import migrate

    _exit_cleanly_on(signal.SIGTERM)
    with ExitStack() as stack:
        container = stack.enter_context(
            open_container(host=host, port=port, workers=workers, is_service=True)
        )
        settings, url = container.settings(), container.database_url()
        if settings.migrate_at_start:
            migrate(url)
        if settings.erasure_ledger is not None:
            # A worker could only say so with a traceback, and would be started again and again.
            with naming_ledger():
                check_ledger(settings.erasure_ledger)
        if not settings.api_keys and not settings.is_local:
            structlog.get_logger(__name__).warning(
                "no API keys are configured: any client that can reach this address can read every customer;"
                " set IDENTITY_API_KEYS",
                host=settings.host,
            )
        # One migration is enough. Workers that start while the database is down wait for it.
        os.environ["IDENTITY_MIGRATE_AT_START"] = "no"
        os.environ["DB_CONNECTION_STRING"] = url.render_as_string(hide_password=False)
        if settings.workers > 1 and metrics.FOLDER not in os.environ:
            os.environ[metrics.FOLDER] = stack.enter_context(_shared_folder())
        bounds = Bounds(
            settings.max_header_size,
            settings.max_connections,
            settings.request_timeout,
            settings.write_timeout,
        )
        uvicorn.run(
            "identity_adapters.asgi:app",
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            http=cast(Any, partial(BoundedProtocol, bounds)),
            ws="none",
            log_config=None,
            access_log=False,  # a request line may hold personal values
            proxy_headers=False,  # the client address is not used
            server_header=False,
            timeout_keep_alive=cast(int, settings.keep_alive),
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
            timeout_worker_healthcheck=WORKER_START_TIMEOUT,
        )


def _shared_folder() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="identity-metrics-")
    except OSError:
        fail(
            1,
            "several workers share metrics in a temporary folder, which cannot be created; set TMPDIR",
        )


def _exit_cleanly_on(number: signal.Signals) -> None:
    def handler(_: int, __: FrameType | None) -> Any:
        sys.exit(0)

    signal.signal(number, handler)
