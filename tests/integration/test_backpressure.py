"""Slow clients: memory stays bounded, nothing is dropped or cut off."""

import signal
import time

import grpc

from rawh2 import RawClient
from waiting import SANITIZED

MIB = 1 << 20


def test_sleeping_client(db, server, client):
    """200,000 rows commit while a client sleeps 20 s: it gets them all."""
    walstream = server("--buffer-size", "1MiB")
    stream = client(walstream, held=True)
    begin = time.monotonic()
    for i in range(0, 200000, 10000):
        db.fill(i, i + 9999, 100)
    time.sleep(max(0, begin + 20 - time.monotonic()))
    assert stream.events == []
    stream.release()
    stream.wait_for(200000, 90)
    assert stream.ids() == list(range(200000))
    if not SANITIZED:
        peak = walstream.status("VmHWM")
        assert peak < 17 * MIB, f"walstream took {peak / MIB:.1f} MiB"
    db.wait_confirmed(stream.ack_all())


def test_wal_sender_timeout(db, server, client):
    """A stall of five times wal_sender_timeout keeps the connection."""
    db.set("wal_sender_timeout", "2s")
    walstream = server("--buffer-size", "256KiB")
    stream = client(walstream, held=True)
    pid = db.wait_walsender()
    db.fill(1, 30000, 1000)
    db.wait_stalled()
    time.sleep(10)
    assert db.walsender() == pid
    assert walstream.logged("pg.lost") == []
    stream.release()
    stream.wait_for(30000, 60)
    assert stream.ids() == list(range(1, 30001))
    assert db.walsender() == pid
    assert walstream.logged("pg.lost") == []


def test_slow_beside_fast(db, server, client):
    """While the slow one has room in the buffer, the fast one is served."""
    walstream = server()
    slow, fast = client(walstream, held=True), client(walstream)
    db.fill(1, 5000, 100)
    fast.expect(5000)
    slow.release()
    assert slow.expect(5000) == fast.events


def test_slow_one_leaves(db, server, client):
    """When the client leaves that filled the buffer, the others go on."""
    walstream = server("--buffer-size", "256KiB")
    slow, fast = RawClient(walstream.port, window=0), client(walstream)
    slow.session()
    slow.until(lambda: slow.headers)
    db.fill(1, 20000, 1000)
    fast.wait_for(100)
    db.wait_stalled()
    slow.close()
    fast.expect(20000, 40)
    assert fast.ids() == list(range(1, 20001))


def test_signal_while_stalled(db, server, client):
    """A stalled client holds up the end of walstream no longer than --drain."""
    walstream = server("--buffer-size", "256KiB", drain="1")
    stream = client(walstream, held=True)
    db.fill(1, 30000, 1000)
    db.wait_stalled()
    assert walstream.stop(signal.SIGTERM, 5) == 0
    stream.release()
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE


def test_postgres_stops_while_stalled(pg, db, server, client):
    """A stalled client does not hold up PostgreSQL's shutdown for ever: after
    --shutdown-grace walstream lets go, and goes on when it is back."""
    walstream = server("--buffer-size", "256KiB", "--shutdown-grace", "2")
    stream = client(walstream, held=True)
    db.fill(1, 30000, 1000)
    db.wait_stalled()
    begin = time.monotonic()
    pg.restart("fast")
    assert time.monotonic() - begin < 12
    assert len(walstream.logged("pg.lost")) >= 1
    stream.release()
    stream.expect(30000, 60)
    assert stream.ids() == list(range(1, 30001))


def test_large_transaction(db, server, client):
    """One transaction of many buffers' size passes in bounded memory."""
    walstream = server("--buffer-size", "1MiB")
    stream = client(walstream)
    db.fill(1, 50, 1000000)
    stream.expect(50, 60)
    assert [len(e.payload) for e in stream.events] \
        == [1000000 + len(f'{{"id":{i},"v":""}}') for i in range(1, 51)]
    if not SANITIZED:
        peak = walstream.status("VmHWM")
        assert peak < 24 * MIB, f"walstream took {peak / MIB:.1f} MiB"
