"""What an acknowledgement confirms, and what is delivered again."""

import grpc
import pytest

from database import lsn_text
from waiting import until


@pytest.fixture
def quick(db):
    """A database whose walsenders ask for status updates often."""
    db.set("wal_sender_timeout", "3s")
    return db


def three_rows(db, first):
    db.fill(first, first + 2)


def again(db, walstream, server, client):
    """Restarts walstream; the new client's events end with row 1000."""
    assert walstream.stop() == 0
    db.sql("INSERT INTO t VALUES (1000, 'marker')")
    fresh = client(server())
    until(lambda: 1000 in fresh.ids(), 15, "the marker")
    return fresh


def test_last_event_confirms(db, server, client):
    """Acking a transaction's last event confirms it: it is gone for good."""
    walstream = server()
    stream = client(walstream)
    three_rows(db, 1)
    stream.expect(3)
    db.wait_confirmed(stream.ack_all())
    assert again(db, walstream, server, client).ids() == [1000]


@pytest.mark.parametrize("row", [0, 1])
def test_earlier_event_does_not(quick, server, client, row):
    """Acking another event confirms up to C, and the rows come again."""
    db = quick
    walstream = server()
    stream = client(walstream)
    three_rows(db, 1)
    commit = stream.expect(3)[row].pg_lsn
    assert commit < stream.events[2].pg_lsn
    stream.ack(commit)
    db.wait_confirmed_is(commit)
    db.settle()
    assert db.confirmed() == commit
    fresh = again(db, walstream, server, client)
    assert fresh.ids() == [1, 2, 3, 1000]
    assert fresh.events[:3] == stream.events


def test_exact_position(quick, stream):
    """With later events unacked, confirmed is what was acked, exactly."""
    db = quick
    for first in (1, 4, 7):
        three_rows(db, first)
    events = stream.expect(9)
    for acked in (2, 3, 5, 7):
        stream.ack(events[acked].pg_lsn)
        db.wait_confirmed_is(events[acked].pg_lsn)
    db.settle()
    assert db.confirmed() == events[7].pg_lsn
    db.wait_confirmed(stream.ack_all())


def test_one_ack_for_many(db, server, client):
    """An ack is cumulative."""
    walstream = server()
    stream = client(walstream)
    for first in range(1, 301, 3):
        three_rows(db, first)
    events = stream.expect(300)
    stream.ack(events[200].pg_lsn)  # the last of its transaction
    db.wait_confirmed_is(events[200].pg_lsn)
    assert again(db, walstream, server, client).ids() \
        == list(range(202, 301)) + [1000]


def test_no_ack(quick, server, client):
    """Nothing acked: nothing is confirmed, everything comes again."""
    db = quick
    walstream = server()
    stream = client(walstream)
    three_rows(db, 1)
    three_rows(db, 4)
    first = stream.expect(6)[0].pg_lsn
    db.settle()
    assert db.confirmed() < first
    assert again(db, walstream, server, client).ids() \
        == [1, 2, 3, 4, 5, 6, 1000]


def test_slower_of_two(quick, server, client):
    """Confirmed stays at the slower client's, until that one leaves."""
    db = quick
    walstream = server()
    fast, slow = client(walstream), client(walstream)
    for first in (1, 4, 7):
        three_rows(db, first)
    fast.expect(9)
    slow.expect(9)
    fast.ack_all()
    position = slow.events[2].pg_lsn
    slow.ack(position)
    db.wait_confirmed_is(position)
    db.settle()
    assert db.confirmed() == position
    slow.close()
    db.wait_confirmed(fast.events[-1].pg_lsn)


def test_idle_advance(quick, stream):
    """With nothing outstanding, other tables' WAL is confirmed."""
    db = quick
    db.wait_confirmed(db.unrelated_wal(), 20)
    three_rows(db, 1)
    stream.expect(3)
    stream.ack_all()
    db.wait_confirmed(db.unrelated_wal(), 20)
    assert stream.open()


def test_no_idle_advance_unacked(quick, stream):
    """With something unacked, other tables' WAL is not confirmed."""
    db = quick
    three_rows(db, 1)
    stream.expect(3)
    end = db.settle()
    assert db.confirmed() < stream.events[0].pg_lsn
    stream.ack_all()
    db.wait_confirmed(end)


@pytest.mark.parametrize("publication", ["t", "none"])
def test_quiet_publication(quick, server, client, publication):
    """WAL that holds nothing published does not pile up at the slot."""
    db = quick
    if publication == "none":
        db.sql("ALTER PUBLICATION pub DROP TABLE t")
    client(server())
    for _ in range(3):
        db.wait_confirmed(db.unrelated_wal(), 20)


def test_harmless_acks(quick, stream):
    """0, lower and repeated acks have no effect."""
    db = quick
    three_rows(db, 1)
    three_rows(db, 4)
    three_rows(db, 7)
    events = stream.expect(9)
    position = events[5].pg_lsn
    stream.ack(0)
    stream.ack(position)
    for lsn in (0, events[0].pg_lsn, position, events[2].pg_lsn, position, 1):
        stream.ack(lsn)
    db.wait_confirmed_is(position)
    db.settle()
    assert db.confirmed() == position
    assert stream.open()
    db.wait_confirmed(stream.ack_all())


@pytest.mark.parametrize("above", [1, 1 << 40])
def test_ack_above(quick, server, client, above):
    """An ack above all that was sent: INVALID_ARGUMENT; the others live."""
    db = quick
    walstream = server()
    stream, other = client(walstream), client(walstream)
    three_rows(db, 1)
    sent = stream.expect(3)[2].pg_lsn
    other.expect(3)
    stream.ack(sent + above)
    assert stream.ended() == grpc.StatusCode.INVALID_ARGUMENT
    for lsn in (sent, sent + above):
        assert lsn_text(lsn) in stream.details
    db.settle()
    assert db.confirmed() < other.events[0].pg_lsn
    three_rows(db, 4)
    other.expect(6)
    db.wait_confirmed(other.ack_all())


def test_ack_before_any_event(db, server, client):
    """On a stream that was sent nothing, only 0 can be acked."""
    walstream = server()
    stream, other = client(walstream), client(walstream)
    stream.ack(0)
    db.fill(1, 1)
    stream.expect(1)
    late = client(walstream)
    late.expect(1)
    late.ack(0xFFFFFFFFFFFFFFFF)
    assert late.ended() == grpc.StatusCode.INVALID_ARGUMENT
    assert stream.open() and other.open()


def test_flood_of_acks(db, server, client):
    """Ten thousand acks change nothing but the position."""
    walstream = server()
    stream = client(walstream)
    for first in range(1, 31, 3):
        three_rows(db, first)
    events = stream.expect(30)
    for n in range(10000):
        stream.ack(events[n % 30].pg_lsn)
    db.wait_confirmed(events[-1].pg_lsn)
    three_rows(db, 31)
    stream.expect(33)


def test_signal_passes_nobody_over(db, server, client):
    """When walstream ends all streams, the slowest still decides."""
    walstream = server()
    streams = [client(walstream) for _ in range(4)]
    db.fill(1, 3)
    db.fill(4, 6)
    for stream in streams:
        stream.expect(6)
    streams[1].ack(streams[1].events[2].pg_lsn)
    for stream in (streams[0], streams[2], streams[3]):
        stream.ack_all()
    db.wait_confirmed(streams[1].events[2].pg_lsn)
    assert walstream.stop() == 0
    assert db.confirmed() == streams[1].events[2].pg_lsn
    again = client(server())
    again.expect(3)
    assert again.ids() == [4, 5, 6]
