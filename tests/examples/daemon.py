"""A walstream that is killed and started again at the same address."""

import contextlib
import fcntl
import socket
import tempfile

from pgserver import free_port
from proc import Server
from waiting import until

DEFAULT_PORT = 50051


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def default_port():
    """The port that examples use when none is named, for one test run at a
    time."""
    path = f"{tempfile.gettempdir()}/walstream-examples-{DEFAULT_PORT}.lock"
    with open(path, "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        until(lambda: is_free(DEFAULT_PORT), 60,
              f"port {DEFAULT_PORT}, the examples' default, to be free")
        yield DEFAULT_PORT


class Walstream:
    def __init__(self, db, port=None):
        self.db = db
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._runs = []

    def start(self):
        """The slot is made by the first start, and stays."""
        until(lambda: self.db.walsender() is None, 20, "the slot to be free")
        one = Server(
            "--connection", self.db.conninfo(), "start", "--publication",
            "publication", "--slot", self.db.slot, "--temporary", "false",
            "--host", "127.0.0.1", "--port", str(self.port), "--drain", "1")
        self._runs.append(one)
        one.wait_listening()

    @property
    def now(self):
        """The process that runs."""
        return self._runs[-1]

    def kill(self):
        self.now.kill()

    def stop(self):
        assert self.now.stop() == 0

    def finish(self):
        for one in self._runs:
            one.finish()
