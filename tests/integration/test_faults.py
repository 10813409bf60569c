"""Nothing is lost, and nothing comes twice that need not."""

import os
import signal
import time

import grpc
import psycopg
import pytest

from waiting import until
from writer import Writer


def numbers(last):
    return list(range(1, last + 1))


def test_kill_9(db, server, client):
    """kill -9: everything unacked comes again, nothing acked does."""
    walstream = server()
    stream = client(walstream)
    for i in range(1, 31, 3):
        db.fill(i, i + 2)
    events = list(stream.expect(30))
    stream.ack(events[11].pg_lsn)
    db.wait_confirmed(events[11].pg_lsn)
    walstream.kill()
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    db.wait_inactive()
    db.fill(31, 33)
    fresh = client(server())
    fresh.expect(21)
    assert fresh.ids() == list(range(13, 34))
    assert fresh.events[:18] == events[12:]


def test_terminated_walsender(db, stream):
    """pg_terminate_backend under load: the stream loses and repeats none."""
    writer = Writer(db)
    pid = None
    for _ in range(8):
        pid = db.wait_walsender(other_than=pid)
        seen = len(stream.events)
        stream.wait_for(seen + 20)
        db.sql("SELECT pg_terminate_backend(%s)", (pid,))
    db.wait_walsender(other_than=pid)
    last = writer.stop()
    stream.expect(last)
    assert stream.ids() == numbers(last)
    lsns = [event.pg_lsn for event in stream.events]
    assert lsns == sorted(set(lsns))


def test_terminated_while_acking(db, server, client):
    """The same with acks on their way; what was acked does not return."""
    walstream = server()
    stream = client(walstream, ack_every=7)
    writer = Writer(db)
    pid = None
    for _ in range(5):
        pid = db.wait_walsender(other_than=pid)
        stream.wait_for(len(stream.events) + 50)
        db.sql("SELECT pg_terminate_backend(%s)", (pid,))
    db.wait_walsender(other_than=pid)
    last = writer.stop()
    stream.expect(last)
    assert stream.ids() == numbers(last)
    assert len(walstream.logged("pg.lost")) >= 5
    db.wait_confirmed(stream.ack_all())


def test_terminated_in_large_transaction(db, server, client):
    """Cut in the middle of a transaction, it still comes whole and once."""
    stream = client(server("--buffer-size", "256KiB"), held=True)
    db.fill(1, 20000, 1000)
    db.wait_stalled()
    pid = db.terminate_walsender()
    stream.release()
    stream.wait_for(1)
    db.wait_walsender(other_than=pid)
    db.terminate_walsender()
    db.fill(20001, 20001)
    stream.expect(20001, 60)
    assert stream.ids() == numbers(20001)
    assert len({event.pg_lsn for event in stream.events}) == 3


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_restart(pg, db, stream, mode):
    """PostgreSQL restarts: the stream stays, nothing is lost or repeated."""
    for round_ in range(2):
        first = round_ * 100 + 1
        for i in range(first, first + 100, 10):
            db.fill(i, i + 9)
        stream.expect(first + 99)
        if mode == "fast":  # else shutdown waits for the acknowledgement
            db.wait_confirmed(stream.ack_all())
        pg.restart(mode)
        db.wait_walsender()
    db.fill(201, 201)
    stream.expect(201)
    assert stream.ids() == numbers(201)
    assert stream.open()
    db.wait_confirmed(stream.ack_all())


def test_immediate_restart_with_acks(pg, db, server, client):
    """A crash of PostgreSQL makes no acked transaction come again."""
    walstream = server()
    stream = client(walstream)
    db.sql("CHECKPOINT")
    for i in range(1, 31, 3):
        db.fill(i, i + 2)
    stream.ack(stream.expect(30)[14].pg_lsn)
    db.wait_confirmed(stream.events[14].pg_lsn)
    pg.restart("immediate")
    late = client(walstream)
    db.fill(31, 31)
    stream.expect(31, 30)
    assert stream.ids() == numbers(31)
    late.expect(16, 30)
    assert late.ids() == list(range(16, 32))


def test_postgres_away(pg, db, server, client):
    """An outage of seconds is bridged, also by a client that comes in it."""
    walstream = server()
    stream = client(walstream)
    db.fill(1, 10)
    stream.expect(10)
    pg.stop("immediate")
    try:
        late = client(walstream, wait=False)
        time.sleep(2)
        assert late.open()
    finally:
        pg.start()
    db.fill(11, 20)
    stream.expect(20, 30)
    late.expect(20, 30)
    assert stream.ids() == late.ids() == numbers(20)


def test_late_client(db, server, client):
    """A client that joins late gets all that is not yet confirmed."""
    walstream = server()
    first = client(walstream)
    for i in range(1, 31, 3):
        db.fill(i, i + 2)
    first.ack(first.expect(30)[8].pg_lsn)
    db.wait_confirmed(first.events[8].pg_lsn)
    late = client(walstream)
    db.fill(31, 31)
    late.expect(22)
    assert late.ids() == list(range(10, 32))
    assert late.events == first.expect(31)[9:]
    assert len(walstream.logged("replication.started")) == 1, \
        "all of that was in memory"


def test_late_client_rewinds(db, server, client):
    """Also when that is much more than the buffer; the first repeats none."""
    walstream = server("--buffer-size", "256KiB")
    first = client(walstream)
    for i in range(1, 4001, 100):
        db.fill(i, i + 99, 1000)
    first.ack(first.expect(4000, 40)[499].pg_lsn)
    db.wait_confirmed(first.events[499].pg_lsn)
    late = client(walstream)
    late.wait_for(3500, 40)
    third = client(walstream)
    db.fill(4001, 4001)
    late.expect(3501, 40)
    third.expect(3501, 40)
    first.expect(4001)
    assert first.ids() == numbers(4001)
    assert late.events == third.events == first.events[500:]


def test_burst_rewinds_once(db, server, client):
    """Clients that join together behind what is in memory share a rewind."""
    walstream = server("--buffer-size", "256KiB")
    first = client(walstream)
    for i in range(1, 2001, 100):
        db.fill(i, i + 99, 1000)
    first.expect(2000, 40)
    joined = [client(walstream, wait=False) for _ in range(8)]
    for stream in joined:
        stream.expect(2000, 40)
        assert stream.events == first.events
    # one each would be 9; how many there are is a matter of when they come
    assert len(walstream.logged("replication.started")) <= 6


def test_joining_under_load(db, server, client):
    """Clients that come while rows do each get every row once."""
    walstream = server("--buffer-size", "256KiB")
    streams = [client(walstream)]
    writer = Writer(db, size=2000, stop_at=800)
    for count in (100, 250, 400):
        streams[0].wait_for(count)
        streams.append(client(walstream))
    last = writer.finish()
    for stream in streams:
        stream.expect(last, 40)
        assert stream.ids() == numbers(last)
        assert stream.events == streams[0].events


def test_joining_beside_stalled(db, server, client):
    """Joining while another's stall fills the buffer: none loses a row."""
    walstream = server("--buffer-size", "256KiB")
    stalled = client(walstream, held=True)
    for i in range(1, 20001, 2000):
        db.fill(i, i + 1999, 1000)
    db.wait_stalled()
    late = [client(walstream, wait=False) for _ in range(2)]
    late[0].attached()
    stalled.release()
    for stream in [stalled, *late]:
        stream.expect(20000, 60)
        assert stream.ids() == numbers(20000)


def test_two_servers(db, server, client):
    """A second walstream on the slot waits for the first to end."""
    first = server()
    stream = client(first)
    db.fill(1, 3)
    stream.expect(3)
    db.wait_confirmed(stream.ack_all())
    second = server(shared=True)
    waiting = client(second, wait=False)
    db.fill(4, 6)
    stream.expect(6)
    assert waiting.events == [] and waiting.open()
    assert first.stop() == 0
    waiting.expect(3, 30)
    assert waiting.ids() == [4, 5, 6]


def test_next_client(db, server, client):
    """When the last client has left, the next gets all unconfirmed."""
    walstream = server()
    stream = client(walstream)
    db.fill(1, 3)
    db.fill(4, 6)
    stream.ack(stream.expect(6)[2].pg_lsn)
    db.wait_confirmed(stream.events[2].pg_lsn)
    stream.close()
    db.fill(7, 7)
    for _ in range(3):
        stream = client(walstream)
        stream.expect(4)
        assert stream.ids() == [4, 5, 6, 7]
        stream.close()


def test_nobody_attached(db, server, client):
    """Rows committed while no client is there wait for the first one."""
    walstream = server()
    db.fill(1, 100)
    stream = client(walstream)
    db.fill(101, 101)
    stream.expect(101)
    assert stream.ids() == numbers(101)


def test_slot_vanished(db, server, client):
    """A slot dropped under walstream: DATA_LOSS, and it is not made anew."""
    walstream = server()
    stream = client(walstream)
    db.fill(1, 1)
    stream.expect(1)

    def dropped():
        try:
            db.sql("SELECT pg_terminate_backend(%s, 1000)",
                   (db.walsender() or 0,))
            db.sql("SELECT pg_drop_replication_slot(%s)", (db.slot,))
            return True
        except psycopg.Error:
            return False
    until(dropped, 10, "the slot to be dropped")
    assert stream.ended() == grpc.StatusCode.DATA_LOSS
    assert db.slots() == []
    walstream.expected = (0, 1)


def test_temporary_slot(db, server, client):
    """A temporary slot: all since the headers; gone when walstream stops."""
    db.fill(1, 3)
    walstream = server(temporary=True)
    assert db.sql("SELECT temporary FROM pg_replication_slots"
                  " WHERE slot_name = %s", (db.slot,)) == [(True,)]
    db.fill(4, 6)
    stream = client(walstream)
    db.fill(7, 9)
    stream.expect(3)
    assert stream.ids() == [7, 8, 9]
    late = client(walstream)
    db.fill(10, 10)
    late.expect(1)
    stream.expect(4)
    assert late.ids() == [10]
    assert walstream.stop() == 0
    until(lambda: not db.slots(), 10, "the slot to vanish")


def test_temporary_slot_next_client(db, server, client):
    """When its last client has left, the next starts at its own headers."""
    walstream = server(temporary=True)
    for i in range(1, 31, 10):
        stream = client(walstream)
        db.fill(i, i + 2)
        stream.expect(3)
        stream.close()
        db.fill(i + 3, i + 5)
        assert stream.ids() == [i, i + 1, i + 2]


def test_temporary_slot_lost(db, server, client):
    """With its connection a temporary slot is lost: DATA_LOSS, then anew."""
    walstream = server(temporary=True)
    stream = client(walstream)
    db.fill(1, 1)
    stream.expect(1)
    db.terminate_walsender()
    assert stream.ended() == grpc.StatusCode.DATA_LOSS
    db.wait_walsender()
    stream = client(walstream)
    db.fill(2, 2)
    stream.expect(1)
    assert stream.ids() == [2]


def test_silent_server(db, server, client):
    """P24: a walsender that says nothing is left; a quiet one is not."""
    walstream = server("--server-timeout", "2")
    stream = client(walstream)
    db.fill(1, 1)
    stream.expect(1)
    pid = db.wait_walsender()
    time.sleep(5)  # nothing to send, but it answers
    assert db.walsender() == pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "the server has been silent for 2 s" in walstream.wait_log(
            "pg.lost")[0]
    finally:
        os.kill(pid, signal.SIGCONT)
    db.fill(2, 3)
    stream.expect(3)
    assert stream.ids() == numbers(3)
