"""FAULTS row G50: a hundred sessions, and one who does all of the above."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

import rawframes as h2
from bystander import rows
from waiting import SANITIZED

pytest_plugins = ["benches"]

SESSIONS = 100
SPAN = 1  # seconds for each measure
NOISE = 50  # ms that a busy machine may add


class Crowd:
    """crowd.py, running."""

    def __init__(self, bench):
        self._child = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("crowd.py")),
             str(bench.port), str(SESSIONS), bench.db.conninfo()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout.readline() == "ready\n"

    def measure(self, during):
        """How late the rows are while during() runs."""
        self._mark()
        during()
        told = self._mark()
        assert told["count"] >= SESSIONS, told
        return told

    def _mark(self):
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, "the crowd is gone"
        return json.loads(line)

    def close(self):
        self._child.stdin.close()
        self._child.wait(10)
        self._child.stdout.close()


@pytest.fixture(scope="module")
def crowd(benches):
    one = Crowd(benches())
    yield one
    one.close()


def rapid(c):
    """Requests and resets, a thousand of each."""
    block = c.block(h2.request_headers())
    c.send(h2.headers(c.stream(), block))
    block = c.block(h2.request_headers())
    return b"".join(h2.headers(s, block) + h2.reset(s)
                    for s in range(3, 2003, 2))


def requests(path):
    def many(c):
        c.request({":path": path}, end=True)
        block = c.block(h2.request_headers({":path": path}))
        return b"".join(h2.headers(s, block, True)
                        for s in range(3, 2003, 2))
    return many


def bomb(c):
    """A list of headers of 4 MB, in a thousand bytes."""
    stuffed = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000
    return h2.headers(1, c.block(h2.request_headers()) + stuffed
                      + b"\xbe" * 1000)


def endless(c):
    c.send(h2.headers(1, b"\x82", whole=False))
    return h2.frame(h2.CONTINUATION, 0, 1) * 1000


ABUSES = {
    "pings": lambda c: h2.ping() * 1000, "settings":
    lambda c: h2.settings() * 1000, "resets": rapid,
    "unknown_methods": requests("/x/y"), "health": requests(h2.CHECK),
    "bombs": bomb, "continuations": endless,
    "unknown_frames": lambda c: h2.frame(0x99) * 1000,
    "empty_data": lambda c: h2.data(c.session()) * 1000,
    "acks": lambda c: h2.data(c.session(), h2.message(h2.ack(0)) * 50) * 50,
    "garbage": lambda c: b"\xff" * 20000}


def abuse(bench, make, seconds):
    """Again and again, on one connection after the other."""
    until_when = time.monotonic() + seconds
    visits = 0
    while time.monotonic() < until_when:
        with bench.connect() as c:
            chunk = make(c)
            c.flood(lambda i: chunk, until_when - time.monotonic(), 200)
        visits += 1
    return visits


@rows("G50", ABUSES)
def test_latency(bench, crowd, case):
    """The 99th percentile of the others is less than twice what it is in
    peace, noise aside; one of three attempts has to show it."""
    tried = []
    with bench.watched(late=3, lines=1_000_000):
        for _ in range(3):
            before = crowd.measure(lambda: time.sleep(SPAN))
            during = crowd.measure(lambda: abuse(bench, case, SPAN))
            after = crowd.measure(lambda: time.sleep(SPAN))
            tried.append((before, during, after))
            peace = max(before["p99"], after["p99"])
            if SANITIZED or during["p99"] < 2 * peace + NOISE:
                break
        else:
            pytest.fail(f"before, during, after: {tried}")
        print(tried)
