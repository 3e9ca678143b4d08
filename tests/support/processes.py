"""Real processes of the service, and raw requests to them."""

import http.client
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

import psutil

from identity_adapters.__main__ import main
from identity_adapters.cli import COMMANDS
from tests.support.databases import plain
from tests.support.waiting import PATIENCE, wait_until

COMMAND = [sys.executable, "-m", "identity_adapters"]

STARTUP = Path(__file__).parent / "startup"
"""What Python imports first in a process of a test."""

IMPORTED = (
    *(f"identity_adapters.cli.{module.partition(':')[0]}" for module in COMMANDS.values()),
    "identity_adapters.cli.first_load",
    "identity_adapters.container",
    "identity_adapters.embedded",
    "identity_adapters.files.batches",
    "identity_adapters.http",
    "identity_adapters.postgres",
    "uvicorn",
    # What these import when they are used, which would be most of what a command takes.
    "identity_adapters.cli.database",
    "alembic.command",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.ext.asyncio",
)
"""What commands import when they run."""

KEPT = ("LD_LIBRARY_PATH", "PATH", "TMPDIR")
"""The variables of the shell that a process of a test sees."""


def free_port():
    """A port for a server that cannot choose one itself and tell.

    It is none of those that the kernel gives away, to whoever asks for any or connects somewhere,
    so nobody gets it before it is used.
    """
    ports = list(range(15_000, 30_000))
    random.SystemRandom().shuffle(ports)
    for port in ports:
        with socket.socket() as taken, suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def environment(**settings):
    """The environment of a process of a test: these settings, and next to nothing of the shell's.

    It has no home, so it finds no files of the user's. Nobody is to wait for a drain, or to be given up
    because the machine is busy.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    usual = {"HOME": "/dev/null", "LANG": "C.UTF-8", "IDENTITY_DRAIN": "0", "PYTHONPATH": STARTUP}
    patient = ("IDENTITY_REQUEST_TIMEOUT", "IDENTITY_STATEMENT_TIMEOUT", "IDENTITY_LOCK_TIMEOUT")
    usual |= dict.fromkeys((*patient, "IDENTITY_ANSWER_TIMEOUT"), f"{PATIENCE:g}")
    return kept | {name: str(value) for name, value in (usual | settings).items()}


def kill(*processes):
    """Kill processes, some of which may have ended because others were killed."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def has_ended(process):
    """Whether a process is gone, or would be if somebody asked how it ended, as not every init does."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


class Service:
    """A running service."""

    def __init__(self, process, log):
        self.process = process
        self.port = None
        self.log = log

    def output(self):
        return self.log.read_text()

    def request(self, method, path, body=None, headers=None):
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, body, content_type="application/json"):
        """Status and decoded body of an answer to ``POST /identify``."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if content_type is None else {"Content-Type": content_type}
        status, _, answer = self.request("POST", "/identify", raw, headers)
        return status, json.loads(answer)

    def identify(self, email=None, phone_number=None):
        """The consolidated contact of a customer."""
        status, answer = self.post({"email": email, "phoneNumber": phone_number})
        assert status == 200, answer
        return answer["contact"]

    def is_live(self):
        assert self.process.poll() is None, self.output()
        self.port = self._listens_on()
        if self.port is None:
            return False
        try:
            return self.request("GET", "/health/live")[0] == 200
        except OSError:
            return False

    def _listens_on(self):
        with suppress(psutil.Error):
            for one in psutil.Process(self.process.pid).net_connections("tcp4"):
                if one.status == psutil.CONN_LISTEN:
                    return one.laddr.port
        return None

    def family(self):
        """The service and all processes that it started."""
        service = psutil.Process(self.process.pid)
        return [service, *service.children(recursive=True)]

    def workers(self):
        """The processes that serve, where there are several."""
        found = []
        for process in self.family()[1:]:
            with suppress(psutil.NoSuchProcess):  # one that has ended is looked at no more
                if "spawn_main" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def stop(self, by=signal.SIGTERM):
        """Have it stop; its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)


class Forked:
    """A command, as a process that is forked from one that has imported its packages.

    It does what the same command does that Python is started for, and has what is left of the interface of
    ``subprocess.Popen``.
    """

    def __init__(self, arguments, cwd, variables, stdin, stdout, stderr):
        self._process = _forking().Process(
            target=_run_command,
            args=(
                [str(one) for one in arguments],
                cwd,
                variables,
                [str(one) for one in (stdin, stdout, stderr)],
            ),
            daemon=True,
        )
        for one in (stdout, stderr):
            Path(one).touch()
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout):
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("identity", timeout)
        return self._process.exitcode


@cache
def _forking():
    """Where commands are forked from: a process that finds what a process of a test finds.

    Libraries that would compute on several threads are kept from it: a fork has only one of them.
    """
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([__name__, *IMPORTED])
    with mock.patch.dict(os.environ, environment(OPENBLAS_NUM_THREADS=1), clear=True):
        forkserver.ensure_running()
    return forking


def _run_command(arguments, cwd, variables, streams):
    for number, stream in enumerate(streams):
        opened = os.open(stream, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 -- multiprocessing has put the null device here
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(cwd)
    sys.argv = ["identity", *arguments]
    tempfile.tempdir = None
    multiprocessing.process._parent_process = None  # it is no worker of the test's
    main()


@contextmanager
def serving(process, log):
    """A service that a process starts and a file logs; it is stopped in the end."""
    running = Service(process, log)
    try:
        wait_until(running.is_live)
        yield running
    finally:
        if process.poll() is None:
            family = running.family()
            try:
                running.stop()
            finally:
                kill(*family)


def service(folder, *options, **settings):
    """``identity serve`` with these options, on any port, in a folder."""
    arguments = ["serve", "--port", "0", *options]
    if "--workers" in options:  # it spawns them, as the command does that Python is started for
        return spawned_service([*COMMAND, *arguments], folder, **settings)
    log = Path(folder, "service.log")
    return serving(Forked(arguments, folder, environment(**settings), os.devnull, log, log), log)


def spawned_service(command, folder, **settings):
    """A service that a command of any program starts, on any port, in a folder."""
    log = Path(folder, "service.log")
    with log.open("a") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    return serving(process, log)


def start(*arguments, cwd, stderr=subprocess.DEVNULL, **settings):
    """A command that goes on."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
    )


def run(*arguments, cwd, input=None, **settings):
    """A command that ends by itself."""
    with tempfile.TemporaryDirectory() as folder:
        stdin, stdout, stderr = (Path(folder, name) for name in ("stdin", "stdout", "stderr"))
        stdin.write_text(input or "")
        command = Forked(arguments, cwd, environment(**settings), stdin, stdout, stderr)
        try:
            code = command.wait(PATIENCE)
        finally:
            if command.poll() is None:
                command.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(arguments, code, stdout.read_text(), stderr.read_text())


@contextmanager
def services(tmp_path, url, number=2, workers=1):
    """So many services on one database."""
    with ExitStack() as stack:
        running = []
        for one in range(number):
            folder = tmp_path / str(one)
            folder.mkdir()
            started = service(folder, "--workers", str(workers), DB_CONNECTION_STRING=plain(url))
            running.append(stack.enter_context(started))
        yield running
