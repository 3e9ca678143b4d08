"""Proxies before PostgreSQL: one cuts connections while they commit, one counts round trips."""

import asyncio
import select
import socket
import threading
from contextlib import asynccontextmanager, contextmanager, suppress

SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT\0"


class CommitCutter:
    """Cuts each n-th connection that commits: by turns before the server hears of it, and after."""

    def __init__(self, path, server, every):
        self._server = server
        self._every = every
        self._lock = threading.Lock()
        self.commits = 0
        self.cuts = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
            except OSError:
                return
            is_cut = threading.Event()
            threading.Thread(target=self._forward, args=(client, server, is_cut), daemon=True).start()
            threading.Thread(target=self._return, args=(server, client, is_cut), daemon=True).start()

    def _forward(self, client, server, is_cut):
        with client, server:
            while data := self._receive(client):
                if COMMIT in data:
                    with self._lock:
                        self.commits += 1
                        if is_now := self.commits % self._every == 0:
                            self.cuts += 1
                            server_hears = self.cuts % 2 == 0
                    if is_now:
                        is_cut.set()
                        if server_hears:
                            server.sendall(data)
                            self._forward_until_answered(client, server)
                        break
                try:
                    server.sendall(data)
                except OSError:
                    break
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _return(self, server, client, is_cut):
        while not is_cut.is_set():
            # It only looks, so that the answer to a commit that is cut stays where it is.
            if not self._receive(server, socket.MSG_PEEK):
                return
            if is_cut.is_set():
                return
            try:
                client.sendall(self._receive(server))
            except OSError:
                return

    def _forward_until_answered(self, client, server):
        # A server answers a pipeline when it is told to, which may come after the commit.
        while server not in select.select([client, server], [], [])[0]:
            if not (data := self._receive(client)):
                return
            server.sendall(data)

    @staticmethod
    def _receive(end, flags=0):
        try:
            return end.recv(65536, flags)
        except OSError:
            return b""


@contextmanager
def commit_cutter(folder, server_folder, every):
    """A proxy in a folder to the server in another."""
    cutter = CommitCutter(folder / SOCKET, f"{server_folder}/{SOCKET}", every)
    try:
        yield cutter
    finally:
        cutter.close()


class RoundTrips:
    """Counts how often a client sends something after it has received the answer to what it sent before."""

    def __init__(self):
        self.count = 0
        self._is_answered = True

    async def forward(self, reader, writer, is_answer):
        while data := await reader.read(65536):
            self.count += self._is_answered and not is_answer
            self._is_answered = is_answer
            writer.write(data)
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def counted_round_trips(folder, server_folder):
    """A proxy in a folder to the server in another, for one connection, which has to end first."""
    trips, is_over = RoundTrips(), asyncio.Event()

    async def serve(reader, writer):
        server_reader, server_writer = await asyncio.open_unix_connection(f"{server_folder}/{SOCKET}")
        await asyncio.gather(
            trips.forward(reader, server_writer, is_answer=False),
            trips.forward(server_reader, writer, is_answer=True),
        )
        is_over.set()

    async with await asyncio.start_unix_server(serve, folder / SOCKET):
        yield trips
        await is_over.wait()
