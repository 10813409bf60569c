"""A Redis of our own, on a Unix socket, that has on disk what it answered."""

import json
import os
import shutil
import socket
import subprocess
import tempfile

import pytest

from waiting import until

# redis-tools has the server, too, under another name, which is the package
# redis-server less the service it starts.
PROGRAM = "/usr/bin/redis-check-rdb"


class RedisServer:
    def __init__(self):
        if not os.access(PROGRAM, os.X_OK) or not shutil.which("redis-cli"):
            pytest.fail(f"no {PROGRAM} and redis-cli: install redis-tools",
                        pytrace=False)
        self.dir = tempfile.mkdtemp(prefix="walstream-redis-")
        self.socket = os.path.join(self.dir, "socket")
        self.url = f"unix://{self.socket}"
        self._child = None

    def start(self):
        """Returns when it has loaded what is on disk."""
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self._child = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.socket,
                 "--dir", self.dir, "--save", "", "--appendonly", "yes",
                 "--appendfsync", "always"],
                executable=PROGRAM, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)
        until(self._ready, 20, "Redis to answer")

    def _ready(self):
        assert self._child.poll() is None, f"Redis ended:\n{self.log()}"
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(self.socket)
            except OSError:
                return False
            s.sendall(b"PING\r\n")
            return s.recv(100).startswith(b"+PONG")

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8") as log:
            return log.read()[-4000:]

    def send(self, sig):
        self._child.send_signal(sig)

    def kill(self):
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()

    def remove(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def keep(self):
        """A copy of what is on disk, for restore()."""
        shutil.copytree(os.path.join(self.dir, "appendonlydir"),
                        os.path.join(self.dir, "kept"))

    def restore(self):
        """Goes back to it. The server must not run."""
        shutil.rmtree(os.path.join(self.dir, "appendonlydir"))
        os.rename(os.path.join(self.dir, "kept"),
                  os.path.join(self.dir, "appendonlydir"))

    def cli(self, *words):
        """What redis-cli prints."""
        done = subprocess.run(
            ["redis-cli", "-s", self.socket, "-e", *map(str, words)],
            stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            timeout=30, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def call(self, *words):
        """One command; its reply as JSON has it."""
        return json.loads(self.cli("--json", *words))

    def entries(self, stream):
        """(ID, fields) of all."""
        return [(key, dict(zip(fields[::2], fields[1::2])))
                for key, fields in self.call("XRANGE", stream, "-", "+")]
