"""The end of walstream and of PostgreSQL while streams have work in hand."""

import signal
import threading
import time

import grpc
import pytest

from client import channel
from waiting import SCALE

pytest_plugins = ["subscriber"]

LARGE = 15000  # rows of 1,000 bytes: more than sockets and the buffer take


def stalled(db, subscribe, walstream, **options):
    """A held stream with a large transaction under way, another behind it."""
    stream = subscribe(walstream, held=True, **options)
    db.fill(1, LARGE, 1000)
    db.fill(LARGE + 1, LARGE + 1)
    db.wait_stalled()
    return stream


def seconds(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


@pytest.mark.parametrize("batch", [False, True], ids=["plain", "batch"])
def test_transaction_in_hand(db, server, subscribe, batch):
    """The transaction in hand is finished, the next one not begun; acks that
    come while it drains count."""
    walstream = server("--buffer-size", "256KiB", drain="30")
    stream = stalled(db, subscribe, walstream, batch=batch)
    walstream.child.send_signal(signal.SIGTERM)
    walstream.wait_log("server.stopping")
    stream.release()
    found, = stream.transactions(1, 30)
    assert len(found.events) == LARGE
    stream.ack(found.commit.pg_lsn)
    assert walstream.wait(5) == 0
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    stream.transactions(1)
    assert db.confirmed() == found.commit.end_lsn
    late = subscribe(server())
    late.expect(1)
    assert late.ids() == [LARGE + 1]


def test_acks_within_the_drain(db, server, subscribe):
    """Acks that come one by one count, and the last one ends it."""
    walstream = server(drain="30")
    stream, other = subscribe(walstream), subscribe(walstream)
    for i in range(1, 16, 3):
        db.fill(i, i + 2)
    found = stream.transactions(5)
    other.transactions(5)
    other.ack_last()
    walstream.child.send_signal(signal.SIGTERM)
    walstream.wait_log("server.stopping")
    for one in found:
        assert walstream.child.poll() is None
        stream.ack(one.commit.pg_lsn)
        if one is not found[-1]:
            db.wait_confirmed_is(one.commit.pg_lsn)
    assert walstream.wait(5) == 0
    assert db.confirmed() >= found[-1].commit.end_lsn


@pytest.mark.parametrize("drain", [0, 2])
def test_no_acks(db, server, subscribe, drain):
    """A client that never acknowledges delays the end by --drain at most."""
    walstream = server(drain=str(drain))
    stream = subscribe(walstream)
    db.fill(1, 3)
    found, = stream.transactions(1)
    took = seconds(lambda: walstream.stop(signal.SIGTERM))
    assert drain - 0.1 < took < drain + 1.5 * SCALE
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    assert db.confirmed() <= found.begin.pg_lsn


def test_all_acked(db, server, subscribe):
    """With nothing outstanding it ends at once, whatever --drain is."""
    walstream = server(drain="60")
    stream = subscribe(walstream)
    observer = subscribe(walstream, observer=True)
    filtered = subscribe(walstream, tables=["nothing"])
    subscribe(walstream, wait=False, begin=False)
    db.fill(1, 3)
    stream.transactions(1)
    observer.transactions(1)
    lsn = stream.ack_last()
    db.wait_confirmed(lsn)
    assert seconds(lambda: walstream.stop(signal.SIGTERM)) < 1.5 * SCALE
    for one in stream, observer, filtered:
        assert one.ended() == grpc.StatusCode.UNAVAILABLE
    assert db.confirmed() >= lsn


def test_second_signal(db, server, subscribe):
    """A second signal ends it at once, and confirms nothing unacked."""
    walstream = server("--buffer-size", "256KiB", drain="60")
    stream = stalled(db, subscribe, walstream)
    before = db.confirmed()
    walstream.child.send_signal(signal.SIGTERM)
    walstream.wait_log("server.stopping")
    took = seconds(lambda: walstream.stop(signal.SIGINT))
    assert took < 1 * SCALE
    stream.release()
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    db.wait_inactive()
    assert db.confirmed() == before


@pytest.mark.parametrize("how", ["stream", "connection"])
def test_no_new_streams(db, server, subscribe, how):
    """While it drains, whoever comes is told to come again."""
    walstream = server(drain="30")
    with channel(walstream.address) as on:
        stream = subscribe(walstream, on=on)
        db.fill(1, 3)
        stream.transactions(1)
        walstream.child.send_signal(signal.SIGTERM)
        walstream.wait_log("server.stopping")
        late = subscribe(walstream, on=None if how == "connection" else on,
                         wait=False)
        assert late.ended(5) == grpc.StatusCode.UNAVAILABLE
        stream.ack_last()
    assert walstream.wait(5) == 0


def test_said_at_the_end(db, server, subscribe):
    """The last line says up to where all is confirmed."""
    walstream = server()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stream.ack_last()
    assert walstream.stop() == 0
    line = walstream.logged("server.stopped")[0]
    text = db.one("SELECT confirmed_flush_lsn::text FROM pg_replication_slots"
                  " WHERE slot_name = %s", (db.slot,))
    assert text in line and "3 events" in line


def test_with_postgres_stopping(pg, db, server, subscribe):
    """SIGTERM while PostgreSQL shuts down ends both."""
    walstream = server("--shutdown-grace", "30", drain="1")
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stopping = threading.Thread(target=pg.stop, args=("fast", 20))
    stopping.start()
    try:
        assert walstream.stop(signal.SIGTERM, 5) == 0
        stopping.join(10 * SCALE)
        assert not stopping.is_alive()
    finally:
        stopping.join()
        pg.start()
    stream = subscribe(server())
    stream.expect(3)


# PostgreSQL's own shutdown

def restarted(pg):
    """How long PostgreSQL's fast shutdown takes; it is started again."""
    try:
        return seconds(lambda: pg.stop("fast", 30))
    finally:
        pg.start()


@pytest.mark.parametrize("fields", [
    {}, {"batch": True}, {"tables": ["nothing"]},
    {"exact": True, "progress_interval_ms": 100}], ids=[
        "plain", "batch", "filtered", "exact"])
def test_fast_shutdown(pg, db, server, subscribe, fields):
    """PostgreSQL stops at once when all is acknowledged."""
    walstream = server()
    stream = subscribe(walstream, ack_commits=True, **fields)
    other = subscribe(walstream, ack_commits=True)
    db.fill(1, 3)
    found, = other.transactions(1)
    db.wait_confirmed(found.commit.end_lsn)
    db.unrelated_wal()
    assert restarted(pg) < 1.5 * SCALE
    db.fill(4, 6)
    other.transactions(2)
    if "tables" not in fields:
        assert stream.transactions(2) == other.transactions(2)
    assert stream.open() and other.open()


@pytest.mark.parametrize("fields", [
    {"batch": True}, {"exact": True}], ids=["batch", "exact"])
def test_shutdown_grace(pg, db, server, subscribe, fields):
    """With something unacked it waits --shutdown-grace; the stream stays
    attached, and gets everything when PostgreSQL is back."""
    walstream = server("--shutdown-grace", "2")
    stream = subscribe(walstream, **fields)
    other = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    other.transactions(1)
    other.ack_last()
    assert 1.5 < restarted(pg) < 2 + 2 * SCALE
    db.fill(4, 6)
    for one in stream, other:
        one.transactions(2)
        assert one.ids() == [1, 2, 3, 4, 5, 6]
    confirmed = stream.ack_last()
    other.ack_last()
    db.wait_confirmed(confirmed)


def test_ack_during_the_shutdown(pg, db, server, subscribe):
    """An ack that comes while PostgreSQL waits for it lets it stop."""
    walstream = server("--shutdown-grace", "20")
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    threading.Timer(1, stream.ack_last).start()
    assert 0.5 < restarted(pg) < 5 * SCALE
    assert walstream.logged("pg.lost")
    db.fill(4, 6)
    stream.transactions(2)
    assert stream.ids() == [1, 2, 3, 4, 5, 6]
