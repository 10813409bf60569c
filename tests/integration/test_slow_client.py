"""--slow-client-timeout, and clients that take everything and ack nothing."""

import socket
import time

import grpc
import pytest

from rawh2 import RawClient
from waiting import SANITIZED, SCALE, until

pytest_plugins = ["subscriber"]

MIB = 1 << 20
SMALL = ("--buffer-size", "256KiB", "--slow-client-timeout", "2")
ROWS = 15000


@pytest.mark.parametrize("batch", [False, True], ids=["plain", "batch"])
def test_stalled_of_two(db, server, subscribe, batch):
    """Who takes nothing while others wait ends with RESOURCE_EXHAUSTED; the
    others get everything, and it goes on where it acknowledged."""
    walstream = server(*SMALL)
    db.fill(0, 0)
    stuck = subscribe(walstream, held=True, batch=batch, consumer="a")
    stream, quiet = subscribe(walstream), subscribe(walstream, tables=["no"])
    begin = time.monotonic()
    db.fill(1, ROWS, 1000)
    db.fill(ROWS + 1, ROWS + 1)
    walstream.wait_log("session.slow")
    assert time.monotonic() - begin > 1.9
    stream.transactions(3, 30)
    assert stream.ids() == list(range(ROWS + 2))
    stuck.release()
    assert stuck.ended() == grpc.StatusCode.RESOURCE_EXHAUSTED
    ids = stuck.ids()
    assert len(ids) < ROWS and ids == list(range(len(ids)))
    assert quiet.open() and len(walstream.logged("session.slow")) == 1
    again = subscribe(walstream, consumer="a", batch=batch)
    again.transactions(3, 30)
    assert again.rows() == stream.rows()


def test_stalled_alone(db, server, subscribe):
    """Of two stalled clients one is ended; then the other is alone, and left
    in peace."""
    walstream = server(*SMALL)
    both = [subscribe(walstream, held=True) for _ in range(2)]
    db.fill(1, ROWS, 1000)
    walstream.wait_log("session.slow")
    time.sleep(2.5 * SCALE)
    assert len(walstream.logged("session.slow")) == 1
    for stream in both:
        stream.release()
    left = until(lambda: [s for s in both if len(s.of("commit")) == 1], 20,
                 "one of them to get everything")
    assert len(left) == 1 and left[0].ids() == list(range(1, ROWS + 1))
    other, = [s for s in both if s is not left[0]]
    assert other.ended() == grpc.StatusCode.RESOURCE_EXHAUSTED


def check_slow(db, walstream, stream, raw, take, seconds):
    """raw, whose stream take(stream's number) moves on, holds stream up for so
    long, and is not ended."""
    slow = raw.session()
    raw.until(lambda: slow in raw.headers)
    db.fill(1, ROWS, 1000)
    db.wait_stalled()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        take(slow)
        time.sleep(0.2)
    assert not walstream.logged("session.slow")
    assert len(stream.events) < ROWS
    raw.close()
    stream.transactions(1, 30)


def test_slow_but_moving(db, server, subscribe):
    """Who takes a little now and then is not ended."""
    walstream = server(*SMALL)
    raw = RawClient(walstream.port, window=0)

    def take(slow):
        raw.conn.increment_flow_control_window(4000, slow)
        raw.flush()

    check_slow(db, walstream, subscribe(walstream), raw, take, 3)


def test_slow_socket(db, server, subscribe):
    """Nor who takes it from the socket, whose buffer is large: poll says that
    there is room again when a third of it is gone."""
    walstream = server(*SMALL)
    raw = RawClient(walstream.port, window=1 << 28)
    raw.conn.increment_flow_control_window(1 << 28)
    # The kernel offers room again when a sixteenth of this is free.
    raw._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    check_slow(db, walstream, subscribe(walstream), raw,
               lambda _: raw.read_some(30000), 5)


def test_many_stalled(db, server, subscribe):
    """A crowd that takes what sockets hold, and no more, costs no long turn, and
    little memory but for the buffer's."""
    walstream = server("--slow-client-timeout", "0")
    walstream.longest_turn = 50 * SCALE
    crowd = [RawClient(walstream.port, window=1 << 24) for _ in range(300)]
    for raw in crowd:
        raw.conn.increment_flow_control_window(1 << 24)
        one = raw.session()
        raw.until(lambda: one in raw.headers)
    stream = subscribe(walstream, ack_commits=True)
    db.fill(1, 6000, 1000)
    stream.transactions(1, 60)
    if not SANITIZED:
        peak = walstream.status("VmHWM")
        assert peak < 48 * MIB, f"walstream took {peak / MIB:.1f} MiB"
    for raw in crowd:
        raw.close()


def test_never_acks(db, server, subscribe):
    """Who reads all and acks nothing costs WAL, and no memory."""
    walstream = server("--buffer-size", "1MiB")
    stream = subscribe(walstream, batch=True)
    before = db.confirmed()
    for i in range(0, 50000, 1000):
        db.fill(i, i + 999, 300)
    stream.transactions(50, 60)
    assert stream.ids() == list(range(50000))
    if not SANITIZED:
        peak = walstream.status("VmHWM")
        assert peak < 17 * MIB, f"walstream took {peak / MIB:.1f} MiB"
    assert db.confirmed() <= stream.of("begin")[0].pg_lsn
    late = subscribe(walstream, batch=True)
    late.transactions(50, 60)
    assert late.events == stream.events
    assert before <= db.confirmed() <= stream.of("begin")[0].pg_lsn


def test_unacked_is_named(db, server, subscribe):
    """G19: after a minute, by its consumer; who acknowledges is not."""
    walstream = server()
    lazy = subscribe(walstream, consumer="lazy")
    subscribe(walstream, consumer="good", ack_commits=True)
    db.fill(1, 3)
    lazy.transactions(1)
    (line,) = walstream.wait_log("session.unacked", timeout=70)
    assert "a stream of lazy has acknowledged only up to" in line
