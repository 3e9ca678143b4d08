"""The server process: start, restart, readiness and stop."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import URL

from identity_adapters.embedded import log
from identity_adapters.embedded.cluster import as_unprivileged_user, explain_unshare
from identity_adapters.embedded.errors import EmbeddedDatabaseUnavailable
from identity_adapters.processes import signal_on_parent_exit

_logger = logging.getLogger(__name__)

PORT = 5432

TIMEOUT = 60.0
"""Seconds that a start or a stop may take; recovery after a crash is part of a start."""

RESTART_DELAY = 0.5
"""Seconds between the unexpected end of a server and its restart."""


@contextmanager
def keep_running(start: Callable[[], subprocess.Popen[bytes]]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, and restart it if it ends unexpectedly, for example because it was killed."""
    server = start()
    is_shutting_down = False
    lock = threading.Lock()

    def restart() -> None:
        # The thread lives as long as the server, because a server ends with the thread that started it.
        nonlocal server
        while True:
            server.wait()
            time.sleep(RESTART_DELAY)
            with lock:
                if is_shutting_down:
                    return
                _logger.warning("the embedded PostgreSQL ended unexpectedly and is restarted")
                try:
                    server = start()
                except (OSError, EmbeddedDatabaseUnavailable) as error:
                    _logger.warning("the embedded PostgreSQL cannot be restarted: %s", error)

    threading.Thread(target=restart, daemon=True).start()
    try:
        yield server
    finally:
        with lock:
            is_shutting_down = True
        stop_server(server)


def start_server(folder: Path, socket_folder: Path, programs: Path) -> subprocess.Popen[bytes]:
    """Start a server on the cluster in a folder, after stopping what a killed owner left running."""
    data = folder / "postgres"
    _stop_predecessor(data, socket_folder)
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": '"' + str(socket_folder).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        # Statements stay out of the log, because they hold personal values.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    path = folder / "postgres.log"
    path.touch(mode=0o600)
    path.chmod(0o600)
    log.rotate(path)
    # The server appends to the file, so that it continues at its end after a rotation.
    with path.open("ab") as stream:
        return subprocess.Popen(
            [*as_unprivileged_user(), programs / "postgres", "-D", data, *options],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C stops the service, which stops the server afterwards
            preexec_fn=partial(signal_on_parent_exit, os.getpid(), signal.SIGINT),
        )


def _stop_predecessor(data: Path, socket_folder: Path) -> None:
    """Stop the server of an owner that was killed, and remove its lock files.

    The lock files are removed only after all processes of the server have ended; each of them has the
    cluster as its working directory. PostgreSQL itself relies on the process id in the files, and takes
    any process with this id for a server. That happens in containers, where process ids are small.
    """
    import psutil  # only the owner needs it

    folder = str(data.resolve())
    processes = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == folder]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(processes, TIMEOUT)
    if alive:
        raise EmbeddedDatabaseUnavailable(f"an earlier server does not stop: {alive}")
    (data / "postmaster.pid").unlink(missing_ok=True)
    (socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)


def wait_until_ready(url: URL, server: subprocess.Popen[bytes], log_file: Path) -> None:
    """Wait until a server accepts connections.

    Raises:
        EmbeddedDatabaseUnavailable: it ended, or it takes too long.
    """
    deadline = time.monotonic() + TIMEOUT
    while not is_answering(url):
        if server.poll() is not None or time.monotonic() > deadline:
            lines = log_file.read_text(errors="replace").splitlines()
            message = next((line for line in reversed(lines) if "LOG:" not in line), "it logged nothing")
            raise EmbeddedDatabaseUnavailable(
                f"PostgreSQL does not start: {message}{explain_unshare(message)}\n(see {log_file})"
            )
        time.sleep(0.02)


def is_answering(url: URL) -> bool:
    """Whether a server accepts connections."""
    try:
        psycopg.connect(url.set(drivername="postgresql").render_as_string(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def stop_server(server: subprocess.Popen[bytes]) -> None:
    """Stop a server: first by a fast shutdown, then with more force."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(number)
        try:
            server.wait(TIMEOUT / 2)
            return
        except subprocess.TimeoutExpired:
            continue
