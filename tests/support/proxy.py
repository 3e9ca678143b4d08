"""A proxy before PostgreSQL that cuts connections while they commit."""

import socket
import threading
from contextlib import contextmanager, suppress


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
                if b"COMMIT" in data:
                    with self._lock:
                        self.commits += 1
                        if is_now := self.commits % self._every == 0:
                            self.cuts += 1
                            server_hears = self.cuts % 2 == 0
                    if is_now:
                        is_cut.set()
                        if server_hears:
                            server.sendall(data)
                            self._wait_for_answer(server)
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

    def _wait_for_answer(self, server):
        self._receive(server, socket.MSG_PEEK)

    @staticmethod
    def _receive(end, flags=0):
        try:
            return end.recv(65536, flags)
        except OSError:
            return b""


@contextmanager
def commit_cutter(folder, server_folder, every):
    """A proxy in a folder to the server in another."""
    name = ".s.PGSQL.5432"
    cutter = CommitCutter(folder / name, f"{server_folder}/{name}", every)
    try:
        yield cutter
    finally:
        cutter.close()
