"""Who is silent, slow, or gone: FAULTS rows G24 to G26, G29 and G32, as far as
they need time."""

import concurrent.futures
import ctypes
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import proc
import rawframes as h2
from bystander import detached, holder, rows
from waiting import SCALE, until

pytest_plugins = ["benches"]

OPTIONS = ("--keepalive-time", "1", "--keepalive-timeout", "1")
CLONE_NEWNET = 0x40000000
class Deaf(h2.RawConnection):
    """Acknowledges SETTINGS, and no PING."""

    def _reply(self, what):
        if what[3] == h2.SETTINGS:
            super()._reply(what)


class Unsettled(h2.RawConnection):
    """The other way round."""

    def _reply(self, what):
        if what[3] != h2.SETTINGS:
            super()._reply(what)


@rows("G24", {"no_session": False, "session": True})
def test_no_pong(bench, case):
    """A client that answers no PING is let go of."""
    with bench.watched(), Deaf(bench.port) as c:
        begin = time.monotonic()
        if case:
            c.session()
        c.wait_closed(8)
        assert time.monotonic() - begin > 1.5
        assert c.count[h2.PING] >= 1


@rows("G24", {"idle": False, "session": True})
def test_pong(bench, case):
    """One that does is kept, with a stream and without."""
    with bench.watched(), bench.connect() as c:
        if case:
            c.session()
        c.for_a_while(4)
        assert not c.closed and not c.goaways, c.state()
        assert c.count[h2.PING] >= 1


@rows("G24", {"sigstop": None})
def test_stopped(bench, case):
    """A process that is stopped takes no part in anything any more."""
    assert case is None
    with bench.watched(), holder(bench.port) as child:
        closed = len(bench.walstream.logged("session.closed"))
        child.send_signal(signal.SIGSTOP)
        try:
            detached(bench.walstream, closed, 8)
        finally:
            child.kill()


def in_private_network(function):
    """Runs it in a thread that has a network of its own, whatever it starts
    included."""
    if os.geteuid() != 0:
        pytest.skip("a network of its own: needs root")

    def run():
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return function()

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


@rows("G24", {"quiet": False, "in_flight": True})
def test_power_off(pg, db, case):
    """No FIN, no RST, no answer: found by PING, and holds nothing up."""
    def run():
        walstream = proc.Server(
            "-c", db.conninfo(host=pg.dir), "start", "--publication", "pub",
            "--slot", db.slot, "--host", "127.0.0.1", "--port", "0",
            "--temporary", "false", "--drain", "0", *OPTIONS)
        try:
            walstream.wait_listening()
            c = h2.RawConnection(walstream.port)
            stream = c.session()
            db.fill(1, 10)
            c.until(lambda: len(c.messages(stream)) == 10)
            subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
            if case:
                db.fill(11, 5000, 1000)
            detached(walstream, 0, 8)
            if not case:
                db.wait_confirmed_is(db.confirmed())
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            fresh = h2.RawConnection(walstream.port)
            again = fresh.session()
            most = 5000 if case else 10
            fresh.until(lambda: len(fresh.messages(again)) == most, 20)
            c.close()
            fresh.close()
        finally:
            walstream.finish()
    in_private_network(run)


@rows("G24", {"default": 40})
def test_default(case):
    """Without options a dead client is found within 40 s."""
    text = proc.run("start", "--help").stdout
    found = re.findall(r"--keepalive-time(?:out)? .*?(\d+)\)?\s*$", text,
                       re.MULTILINE)
    if len(found) != 2:  # the numbers are in the manual only
        manual = (proc.REPOSITORY / "man/walstream.1").read_text("utf-8")
        found = [re.search(rf"It Fl -{name} Ar SECONDS\n.*?default is\n\.Cm"
                           r" (\d+)", manual, re.DOTALL).group(1)
                 for name in ("keepalive-time", "keepalive-timeout")]
    assert sum(map(int, found)) <= case


@rows("G25", {"every_5_s": 5.2})
def test_polite_pings(bench, stubs, case):
    """A PING every five seconds on a quiet stream is no abuse."""
    start = stubs.pb2.ClientMessage(start=stubs.pb2.Start(
        tables=["none"], observer=True)).SerializeToString()
    with bench.watched(), bench.connect() as c:
        stream = c.request({":path": h2.SUBSCRIBE})
        c.send(h2.data(stream, h2.message(start)))
        c.until(lambda: c.messages(stream))
        for i in range(4):
            c.send(h2.ping())
            c.until(lambda: len(c.pings) == i + 1)
            if i < 3:
                c.for_a_while(case)
        assert not c.goaways and stream not in c.ended


class Slow:
    """Connections that take their time, all at once; when each was over."""

    def __init__(self, port):
        self.over = {}
        self.begin = time.monotonic()
        self._connections = {
            "settings": Unsettled(port),
            "block": h2.RawConnection(port),
            "drip": h2.RawConnection(port),
            "preface": h2.RawConnection(port, preface=False),
            "half_preface": h2.RawConnection(port, preface=False)}
        c = self._connections
        c["block"].send(h2.headers(1, b"\x82", whole=False))
        c["drip"].send(h2.frame(h2.HEADERS, 4, 1, b"\x82", 1000))
        c["half_preface"].send(h2.PREFACE[:10])
        for name in c:
            threading.Thread(target=self._hold, args=(name,),
                             daemon=True).start()

    def _hold(self, name):
        c = self._connections[name]
        if name == "block":  # anything in between would end it
            c.polite = False
        while not c.closed and time.monotonic() < self.begin + 40 * SCALE:
            c.read(0.7)
            if name == "drip":
                c.polite = False
                c.send(b"\x82")
        self.over[name] = time.monotonic() - self.begin

    def wait(self, name):
        """How long it lasted, and the connection."""
        until(lambda: name in self.over, 20, f"the end of {name}")
        return self.over[name], self._connections[name]


@pytest.fixture(scope="module")
def slow(benches):
    return Slow(benches().port)


@rows("G26", {"never_acknowledged": "settings"})
def test_settings_timeout(bench, slow, case):
    """SETTINGS that are not acknowledged: SETTINGS_TIMEOUT."""
    with bench.watched():
        took, c = slow.wait(case)
        assert 8 < took < 15 * SCALE
        assert c.goaways and c.goaways[-1][0] == h2.SETTINGS_TIMEOUT, \
            c.state()


@rows("G29", {"no_end": "block", "drip": "drip"})
def test_headers_timeout(bench, slow, case):
    """Headers that never end, silent or a byte now and then."""
    with bench.watched():
        took, c = slow.wait(case)
        assert took < 15 * SCALE, c.state()


@rows("G32", {"no_preface": "preface", "half_preface": "half_preface"})
def test_preface_timeout(bench, slow, case):
    """Who says nothing is not waited for for ever."""
    with bench.watched():
        took, c = slow.wait(case)
        assert took < 15 * SCALE, c.state()
