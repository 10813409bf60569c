"""Signals at any moment: X1, X2, X4, X5, X6."""

import os
import random
import shutil
import signal
import socket
import threading
import time

import pytest

from scene import DONE, UNFINISHED
from waiting import SCALE, until

STRACE = shutil.which("strace")


def test_always_ready(server):
    """SIGTERM is seen by a loop that never has nothing to do: here for a
    connection that waits and cannot be accepted."""
    walstream = server(drain="0", wrapper=[
        STRACE, "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=accept4",
        "-e", "inject=accept4:error=EAGAIN"])
    with socket.create_connection((walstream.host, walstream.port)):
        time.sleep(0.5)
        assert walstream.stop(signal.SIGTERM, 8) == 0


def test_term_at_any_moment(scene, sweep, seed):
    """X1: SIGTERM so and so long after the start: exit 0, and the slot is not
    past what was acknowledged."""
    draw = random.Random(seed)
    plays = 1000 if sweep else 100
    seen = set()
    for _ in range(plays):
        seen.add(scene.play(stop_after=draw.uniform(0, 0.2)))
    assert seen <= {DONE, UNFINISHED}
    assert UNFINISHED in seen, "none was early"


def test_kill_at_any_moment(scene, sweep, seed):
    """X2: the same with SIGKILL; tests/oracle does it under load."""
    draw = random.Random(seed)
    for _ in range(1000 if sweep else 30):
        scene.play(stop_after=draw.uniform(0, 0.2), stop_by=signal.SIGKILL)


def test_peers_that_go(scene, db, server, client):
    """X4: writing to a client that is gone is no signal."""
    del scene
    walstream = server()
    streams = [client(walstream) for _ in range(10)]
    for n, stream in enumerate(streams):
        db.fill(n * 1000 + 1, n * 1000 + 1000, size=1000)
        stream.close()
    last = client(walstream)
    last.wait_for(10000)
    assert walstream.child.poll() is None
    db.wait_confirmed(last.ack_all())


def test_stopped(db, server, client):
    """X5: a walstream that was stopped for longer than PostgreSQL waits comes
    back, and nothing is lost."""
    db.set("wal_sender_timeout", "2s")
    walstream = server()
    stream = client(walstream)
    db.fill(1, 3)
    stream.expect(3)
    db.wait_confirmed(stream.ack_all())
    pid = db.wait_walsender()
    walstream.child.send_signal(signal.SIGSTOP)
    try:
        db.fill(4, 5000, size=1000)
        until(lambda: db.walsender() != pid, 20, "the walsender to give up")
    finally:
        walstream.child.send_signal(signal.SIGCONT)
    stream.wait_for(5000, 60)
    ids = stream.ids()
    assert ids[:3] == [1, 2, 3] and set(ids) == set(range(1, 5001))
    assert sorted(set(ids), key=ids.index) == list(range(1, 5001))
    db.wait_confirmed(stream.ack_all())


@pytest.mark.parametrize("sig", [signal.SIGUSR1, signal.SIGHUP])
def test_flood(db, server, client, sig):
    """X6, X3: signals that only ask for something, as fast as they can be
    sent: events come and are confirmed, and SIGTERM still ends it."""
    walstream = server()
    stream = client(walstream)
    stopped = threading.Event()

    def flood():
        while not stopped.is_set():
            os.kill(walstream.pid, sig)

    sender = threading.Thread(target=flood, daemon=True)
    sender.start()
    try:
        for n in range(5):
            db.fill(n * 100 + 1, n * 100 + 100)
            stream.expect(n * 100 + 100)
            db.wait_confirmed(stream.ack_all())
        walstream.child.send_signal(signal.SIGTERM)
        until(lambda: walstream.logged("server.stopped"), 10 * SCALE,
              "the end")
    finally:
        stopped.set()
        sender.join(5)
    assert walstream.wait() == 0
