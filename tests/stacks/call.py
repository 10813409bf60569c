"""A client of one of the stacks, as README.md describes it, and its call."""

import json
import os
import re
import subprocess
import threading

from place import BUILT, PROTO
from waiting import SCALE, until

ROWS = ("insert", "update", "delete", "truncate")


def environment():
    """Ours, less what would make a stack behave otherwise."""
    unwanted = re.compile("(?i:GRPC_|GODEBUG|NODE_|PYTHON|.*_proxy$)")
    mine = {name: value for name, value in os.environ.items()
            if not unwanted.match(name)}
    return {**mine, "PROTO": str(PROTO)}


class Call:
    def __init__(self, stack, address, method, options):
        words = [f"{name}={value}" for name, value in options.items()]
        self.words = [*stack.words, address, method, *words]
        self.lines = []
        self.errors = []
        self.child = subprocess.Popen(
            self.words, cwd=BUILT / stack.name, env=environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
        self._readers = [self._reader(self.child.stdout, self.lines),
                         self._reader(self.child.stderr, self.errors)]

    @staticmethod
    def _reader(stream, lines):
        def read():
            for line in stream:
                lines.append(line.rstrip("\n"))
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def state(self):
        last = [line[:200] for line in self.lines[-5:]]
        return (f"{' '.join(self.words)}: {len(self.lines)} lines, the last"
                f" {last}, standard error {self.errors[-20:]}")

    # What it is told

    def tell(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()

    def ack(self, lsn):
        self.tell("ack", lsn)

    # What came

    def of(self, *kinds):
        """What is behind the first word, of the lines that begin so."""
        found = [line.partition(" ") for line in list(self.lines)]
        return [rest for kind, _, rest in found if kind in kinds]

    def wait_of(self, *kinds, count=1, timeout=30):
        def come():
            found = self.of(*kinds)
            assert len(found) >= count or not self.over(), \
                f"it ended before {count} {kinds}: {self.state()}"
            return len(found) >= count and found
        return until(come, timeout,
                     lambda: f"{count} {kinds}: {self.state()}")

    def attached(self):
        self.wait_of("headers")
        return self

    def rows(self, count, timeout=60):
        """(operation, pg_lsn, row) of each, waited for; no more have come."""
        self.wait_of(*ROWS, count=count, timeout=timeout)
        found = []
        for line in list(self.lines):
            op, *rest = line.split(" ", 2)
            if op in ROWS:
                row = json.loads(rest[1]) if len(rest) > 1 else None
                found.append((op, int(rest[0]), row))
        assert len(found) == count, f"{count} were due: {self.state()}"
        return found

    # How it ends

    def over(self):
        return self.child.poll() is not None

    def status(self, timeout=20):
        """Waits for the end; returns the code and the message."""
        try:
            code = self.child.wait(timeout * SCALE)
        except subprocess.TimeoutExpired:
            raise AssertionError("it does not end: " + self.state()) from None
        for reader in self._readers:
            reader.join(10)
        assert code == 0, self.state()
        assert self.lines and self.lines[-1].startswith("status "), \
            self.state()
        number, _, message = self.lines[-1].split(" ", 1)[1].partition(" ")
        return int(number), message

    def end(self):
        """At the end of a test, whatever it is doing."""
        if not self.over():
            self.child.kill()
            self.child.wait()
        self.child.stdin.close()
        print(self.state())
