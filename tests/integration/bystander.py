"""A walstream that is abused, and a session on another connection that must
not notice. benches.py has the fixtures.
"""

import collections
import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from database import Database
from proc import Server
from rawframes import RawConnection, ack, data, message, messages
from waiting import SANITIZED, SCALE, until

MIB = 1 << 20
GROWTH = 4 * MIB  # of memory, while a row is played
LINES = 400  # of the log, in that time; a connection has 100 streams
numbers = itertools.count(1)

Row = collections.namedtuple("Row", "number lsn late")


def rows(row, table):
    """A parameter `case` for each entry."""
    return pytest.mark.parametrize("case", [
        pytest.param(case, id=f"{row}_{name}")
        for name, case in table.items()])


HOLDER = """
import sys
sys.path.insert(0, sys.argv[1])
import rawframes
c = rawframes.RawConnection(int(sys.argv[2]))
c.session()
print(flush=True)
while True:
    c.read(1)
"""


def holder(port):
    """A process that holds a stream open."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, os.path.dirname(__file__), str(port)],
        stdout=subprocess.PIPE)
    child.stdout.readline()
    return child


def detached(walstream, count, seconds):
    """One more stream than count has been closed."""
    until(lambda: len(walstream.logged("session.closed")) > count, seconds,
          walstream.text)


class Writer:
    """Commits a row of t, which says when, every so often."""

    def __init__(self, db, pause):
        self._connection = db.connect()
        self._pause = pause
        self._stop = threading.Event()
        self.last = 0
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self):
        while not self._stop.wait(self._pause):
            self._connection.execute("INSERT INTO t VALUES (%s, %s)", (
                self.last + 1, str(time.monotonic_ns())))
            self.last += 1

    def stop(self):
        self._stop.set()
        self._thread.join(10)
        self._connection.close()


class Witness:
    """A session that keeps every row, and how late it was, in seconds."""

    def __init__(self, stubs, port):
        self.rows = []
        self.bulk = 0  # rows of another table
        self._message = stubs.pb2.ServerMessage
        self._connection = RawConnection(port)
        self._stream = self._connection.session()
        self._ack = None
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        c = self._connection
        while not self._over and not c.closed:
            c.read(0.02)
            if self._ack is not None:
                c.send(data(self._stream, message(ack(self._ack))))
                self._ack = None
            body = c.body.setdefault(self._stream, bytearray())
            whole = messages(body)
            del body[:sum(5 + len(m) for m in whole)]
            now = time.monotonic_ns()
            for one in whole:
                event = self._message.FromString(one).insert
                if event.table != "t":
                    self.bulk += 1
                    continue
                row = json.loads(event.json_payload)
                self.rows.append(Row(row["id"], event.pg_lsn,
                                     (now - int(row["v"])) / 1e9))

    def ack(self, lsn):
        self._ack = lsn
        until(lambda: self._ack is None, 10, "an ack to be sent")

    def wait(self, count):
        """Waits for so many more rows."""
        due = len(self.rows) + count
        until(lambda: len(self.rows) >= due or self._gone(), 20, self.state)
        assert not self._gone(), f"the witness is gone: {self.state()}"

    def _gone(self):
        return not self._thread.is_alive()

    def state(self):
        return (f"{len(self.rows)} rows, the last {self.rows[-1:]};"
                f" {self._connection.state()}")

    def close(self):
        self._over = True
        self._thread.join(10)
        self._connection.close()


class Bench:
    """db, walstream, its witness, and what abuses it."""

    def __init__(self, pg, stubs, options, pause=0.02):
        self.stubs, self._limit = stubs, None
        self.db = Database(pg, f"g{os.getpid()}_{next(numbers)}")
        self.db.sql("CREATE TABLE bulk (v text)")
        self.db.publish("bulk")
        self.walstream = Server(
            "-c", self.db.conninfo(), "start", "--publication", "pub",
            "--slot", self.db.slot, "--host", "127.0.0.1", "--port", "0",
            "--temporary", "false", "--drain", "0", *options)
        self.walstream.wait_listening()
        self.port = self.walstream.port
        self.witness = Witness(stubs, self.port)
        self.writer = Writer(self.db, pause)

    def connect(self, **options):
        return RawConnection(self.port, **options)

    @contextlib.contextmanager
    def watched(self, growth=GROWTH, late=1, lines=LINES):
        """What is done within costs the witness nothing, and moves no
        position. late: seconds that half of its rows may take."""
        w = self.witness
        self.catch_up()
        first, self._limit = len(w.rows), None
        logged = len(self.walstream.lines)
        memory, descriptors = self._memory(), self.walstream.descriptors()
        yield
        assert self.walstream.child.poll() is None, \
            f"walstream ended:\n{self.walstream.text()}"
        added = len(self.walstream.lines) - logged
        assert added < lines, f"{added} lines were logged"
        w.wait(3)
        waits = sorted(row.late for row in w.rows[first:])
        assert waits[len(waits) // 2] < late * SCALE \
            and waits[-1] < (late + 4) * SCALE, \
            f"the witness waited, in seconds: {waits}"
        limit = self._limit or w.rows[first].lsn
        assert self.db.confirmed() < limit, "confirmed, but not acked"
        self.catch_up()
        until(lambda: self.walstream.descriptors() <= descriptors, 10,
              "descriptors to be closed")
        until(lambda: self._memory() <= memory + growth, 5, lambda:
              f"memory to return to {memory}; it is {self._memory()}")

    def bulk(self, mib, size=10_000):
        """Commits that much more, in rows of size bytes of another table."""
        self.db.sql("INSERT INTO bulk SELECT repeat('x', %s)"
                    " FROM generate_series(1, %s)",
                    (size, int(mib * MIB / size)))

    def accept(self, lsn):
        """The position did move, as it should, up to there."""
        self._limit = lsn + 1

    def lsn(self, one):
        """pg_lsn of a ServerMessage's bytes."""
        return self.stubs.pb2.ServerMessage.FromString(one).insert.pg_lsn

    def catch_up(self):
        """The witness acknowledges all it has, and that is confirmed."""
        w = self.witness
        w.wait(2)
        until(lambda: w.rows[-1].late < 0.5, 60, w.state)
        numbered = [row.number for row in w.rows]
        assert numbered == list(range(1, len(numbered) + 1)), \
            "rows were lost or repeated"
        lsn = w.rows[-1].lsn
        w.ack(lsn)
        self.db.wait_confirmed(lsn)

    def _memory(self):
        return 0 if SANITIZED else self.walstream.status("VmRSS")

    def processor(self):
        """Seconds of CPU that walstream has taken."""
        with open(f"/proc/{self.walstream.pid}/stat", encoding="ascii") as f:
            words = f.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def at_rest(self, seconds=0.3):
        """walstream does not go on working on what it was sent."""
        before = self.processor()
        time.sleep(seconds)
        assert SANITIZED or self.processor() - before < seconds / 2

    def close(self):
        with contextlib.ExitStack() as last:
            last.callback(self.db.drop)
            last.callback(self.walstream.finish)
            last.callback(self.witness.close)
            last.callback(self.writer.stop)
