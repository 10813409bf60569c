"""The log: its two formats, what is never in it, and a standard error that
takes nothing."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import client as clients
import httpget
import metrics
import proc
from waiting import SCALE, until

pytest_plugins = ["subscriber"]
KEYS = ["time", "level", "event", "message"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SECRET, ROW = "canarysecret", "canaryrow"


def close_stderr():
    os.close(2)


class Quiet:
    """A walstream whose standard error is what a test makes it; its ports are
    looked up in /proc, since it may not be able to tell them."""

    def __init__(self, db, stderr, *options, publication="pub"):
        self.child = subprocess.Popen(
            [proc.binary(), "-c", db.conninfo(), *options, "start",
             publication, db.slot, "--host", "127.0.0.1", "--port",
             str(free_port()), "--temporary", "false", "--drain", "1",
             "--metrics-listen", f"127.0.0.1:{free_port()}"],
            env=proc.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=stderr,
            preexec_fn=None if stderr is not None else close_stderr)
        argv = self.child.args
        self.address = f"127.0.0.1:{argv[argv.index('--port') + 1]}"
        self.pages = ("127.0.0.1", int(argv[-1].rsplit(":", 1)[1]))

    def wait_log(self, event):
        """As httpget asks."""
        assert event == "http.listening"
        return [f"http.listening: metrics on http://127.0.0.1:{self.pages[1]}/"]

    def wait_ready(self):
        def ready():
            assert self.child.poll() is None, self.child.returncode
            with contextlib.suppress(OSError):
                return httpget.get(self, "/readyz").status == 200
        until(ready, 20, "it to be ready")
        return self

    def dropped(self):
        return metrics.scrape(self)["walstream_log_dropped_total"]

    def stop(self):
        self.child.terminate()
        assert self.child.wait(20 * SCALE) == 0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture
def quiet(db):
    """Starts one; kills what a test leaves."""
    started = []

    def start(stderr, *options, **more):
        started.append(Quiet(db, stderr, *options, **more))
        return started[-1].wait_ready()

    yield start
    for one in started:
        if one.child.poll() is None:
            one.child.kill()
            one.child.wait()


@contextlib.contextmanager
def full_pipe():
    """(A pipe's end to write to, the other one), nobody reading."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    try:
        yield writer, reader
    finally:
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def stopped_terminal():
    master, slave = pty.openpty()
    try:
        yield slave, master
    finally:
        os.close(master)
        os.close(slave)


@contextlib.contextmanager
def full_socket():
    one, other = socket.socketpair()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with one, other:
        yield one.fileno(), other.fileno()


@contextlib.contextmanager
def full_disk():
    with open("/dev/full", "wb", buffering=0) as full:
        yield full.fileno(), None


@contextlib.contextmanager
def reader_gone():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer, None
    finally:
        os.close(writer)


@contextlib.contextmanager
def closed():
    yield None, None


STUCK = [full_pipe, stopped_terminal, full_socket, full_disk, reader_gone,
         closed]


def stream_through(db, stubs, quiet, first, count):
    """Rows committed one by one come, each in its time, while every turn logs
    more; returns the slowest."""
    slowest = 0.0
    one = clients.Client(stubs, quiet.address).attached()
    try:
        for number in range(count):
            quiet.child.send_signal(signal.SIGUSR1)
            began = time.monotonic()
            db.fill(first + number, first + number)
            one.wait_for(number + 1)
            slowest = max(slowest, time.monotonic() - began)
        db.wait_confirmed(one.ack_all())
    finally:
        one.close()
    return slowest


@pytest.mark.parametrize("stuck", STUCK, ids=lambda s: s.__name__)
def test_stuck(db, stubs, quiet, stuck):
    """X7: nothing waits for it, lines are dropped and counted."""
    if stuck is stopped_terminal:
        proc.needs("/proc")  # to open it anew
    with stuck() as (writer, _):
        one = quiet(writer, "--log-level", "debug")
        slowest = 0.0

        def lost():
            nonlocal slowest
            before = db.one("SELECT count(*) FROM t")
            slowest = max(slowest, stream_through(
                db, stubs, one, before + 1, 20))
            return one.dropped() > 20
        until(lost, 60, "lines to be dropped")
        assert slowest < 3 * SCALE
        one.stop()


def read_some(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def test_flows_again(db, stubs, quiet):
    """Once it is read, what was lost is said, whole lines only; and the flags
    of a pipe that others write to, too, are not touched."""
    with full_pipe() as (writer, reader):
        one = quiet(writer, "--log-level", "debug")
        until(lambda: stream_through(
            db, stubs, one, 1 + db.one("SELECT count(*) FROM t"), 5)
            and one.dropped() > 20, 60, "lines to be dropped")
        assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        os.set_blocking(reader, False)
        text = b""

        def told():
            nonlocal text
            text += read_some(reader)
            one.child.send_signal(signal.SIGUSR1)
            return text.count(b"log.dropped: ") and text.endswith(b"\n")
        until(told, 15, "log.dropped")
        dropped = one.dropped()
        one.stop()
        text += read_some(reader)
        lines = text.decode("ascii").splitlines()
        assert all(re.match(r"\S+Z (info|warn|debug) [a-z._12]+: \S", line)
                   for line in lines), lines
        said = re.findall(r"did not take (\d+) lines", text.decode("ascii"))
        assert sum(map(int, said)) >= dropped


def test_disk_fills(db, stubs, quiet):
    """A file that grows no more, and then does: no line is glued to half of
    another."""
    proc.needs("its limits")
    with tempfile.TemporaryFile() as log:
        one = quiet(log.fileno(), "--log-level", "debug")
        stream_through(db, stubs, one, 1, 3)
        subprocess.run(["prlimit", f"--pid={one.child.pid}", "--fsize=2500:"],
                       check=True)
        until(lambda: stream_through(
            db, stubs, one, 1 + db.one("SELECT count(*) FROM t"), 3)
            and one.dropped() > 0, 60, "lines to be dropped")
        subprocess.run(["prlimit", f"--pid={one.child.pid}",
                        "--fsize=unlimited:"], check=True)
        stream_through(db, stubs, one, 1 + db.one("SELECT count(*) FROM t"), 3)
        one.stop()
        log.seek(0)
        lines = log.read().decode("ascii").splitlines()
        good = [bool(re.match(r"\S+Z (info|warn|debug) [a-z._]+: \S", line))
                for line in lines]
        assert good.count(False) <= 1 and good[-1]
        assert any(" log.dropped: " in line for line in lines)


# JSON

def objects(lines):
    for line in lines:
        one = json.loads(line)
        assert list(one) == KEYS and TIME.fullmatch(one["time"])
        assert one["level"] in ("error", "warn", "info", "debug")
        assert len(line.encode()) < 4096
        yield one


def test_json(db, server, client, subscribe):
    """Every line is an object, whatever names are in it."""
    walstream = server("--log-level", "debug", "--log-format", "text")
    assert walstream.stop() == 0
    name = 'a"b\\c\n\x1b[31m\u009b\u00e4\U0001f600'
    walstream = proc.Server(
        "--log-format=json", "--log-level=debug", "-c", db.conninfo(),
        "start", "pub", db.slot, "--host", "127.0.0.1", "--port", "0",
        "--temporary", "false", "--drain", "1")
    try:
        until(lambda: any('"server.listening"' in line
                          for line in list(walstream.lines)), 20, "a line")
        walstream.port = int(re.search(r"127\.0\.0\.1:(\d+)\"}", next(
            line for line in walstream.lines
            if '"server.listening"' in line))[1])
        stream = subscribe(walstream, consumer=name)
        db.fill(1, 1)
        stream.expect(1)
        stream.close()
    finally:
        walstream.finish()
    found = list(objects(walstream.lines))
    events = {one["event"] for one in found}
    assert {"server.listening", "session.opened", "session.closed",
            "server.stopped", "pg.state"} <= events
    opened = next(one["message"] for one in found
                  if one["event"] == "session.opened")
    assert opened.startswith(
        r'stream of a"b\c\x0a\x1b[31m\xc2\x9b' "\u00e4\U0001f600 opened at ")
    del client


def test_json_of_commands():
    done = proc.run("--log-format", "json", "list", "-c",
                    "host=/nonexistent\"\n dbname=x")
    assert done.returncode != 0
    one, = objects(done.stderr.splitlines())
    assert one["event"] == "failed" and one["level"] == "error"
    proc.fails("--log-format", "xml", "list", code=2,
               naming=["--log-format", "text or json", "xml"])


# What is never said

@pytest.mark.parametrize("form", ["text", "json"])
def test_canaries(db, server, client, subscribe, form):
    """X15, X16, X17: neither rows nor passwords are in the log or on a page,
    and a table's name forges no line."""
    walstream = server(
        "--log-level", "debug", "--log-format", "text", *httpget.OPTION,
        connection=db.conninfo(password=SECRET))
    if form == "json":
        assert walstream.stop() == 0
        until(lambda: db.walsender() is None)
        walstream = proc.Server(
            "--log-level", "debug", "--log-format", "json", "-c",
            db.conninfo(password=SECRET), "start", "pub", db.slot, "--host",
            "127.0.0.1", "--port", str(free_port()), "--temporary", "false",
            "--drain", "1", "--metrics-listen", f"127.0.0.1:{free_port()}")
        walstream.host = "127.0.0.1"
        walstream.port = int(walstream.args[walstream.args.index(
            "127.0.0.1") + 2])
        pages = int(walstream.args[-1].rsplit(":", 1)[1])
        until(lambda: any('"server.listening"' in line
                          for line in list(walstream.lines)), 20, "a line")
        walstream.wait_log = lambda event: [
            f"http.listening: metrics on http://127.0.0.1:{pages}/"]
    try:
        table = 'evil\n2026-01-31T12:00:00.123Z error forged: "x\x1b[2J'
        quoted = '"' + table.replace('"', '""') + '"'
        db.sql(f"CREATE TABLE {quoted} (id int PRIMARY KEY, v text)")
        db.publish(quoted)
        one = subscribe(walstream, consumer="c")
        db.sql(f"INSERT INTO {quoted} VALUES (1, '{ROW}')")
        db.sql(f"UPDATE {quoted} SET v = '{ROW}2'")
        db.sql(f"DELETE FROM {quoted}")
        one.expect(3)
        one.ack(2 ** 60)
        one.ended()
        client(walstream).wait_for(3)
        db.terminate_walsender()
        walstream.child.send_signal(signal.SIGUSR1)
        said = [httpget.get(walstream, path).text
                for path in ("/metrics", "/readyz", "/healthz", "/nothing")]
        until(lambda: any("session.state" in line
                          for line in list(walstream.lines)), 10, "the state")
        until(lambda: db.walsender() is not None, 10, "it to be back")
        with open(f"/proc/{walstream.pid}/cmdline", "rb") as cmdline:
            said.append(cmdline.read().decode())
    finally:
        if form == "json":
            walstream.finish()
    said += walstream.lines
    for text in said:
        assert SECRET not in text and ROW not in text, text
        assert "\x1b" not in text
    assert not any(line.startswith("2026-01-31T12:00:00.123Z error forged")
                   for line in walstream.lines)


def test_limited(db, server, client):
    """What a client can cause as often as it likes is not said as often: bad
    acks, and the wait for a slot that is in use."""
    walstream = server("--log-level", "debug")
    for number in range(30):
        one = client(walstream)
        one.ack(2 ** 60)
        one.ended()
    assert 5 <= len(walstream.logged("session.bad_ack")) <= 5 + 10 * SCALE
    del db, number
