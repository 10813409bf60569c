"""Subscribe: start, started, and what is around and in every event."""

import time

import grpc
import pytest

from client import METHOD
from database import lsn_text
from proc import run
from waiting import until

pytest_plugins = ["subscriber"]

MARKS = ("pg_lsn", "commit_lsn", "xid", "commit_time_us")


def commit(db, *statements):
    """Commits them in one transaction; its xid and, in us, its time."""
    with db.connect() as conn:
        with conn.transaction():
            for statement in statements:
                conn.execute(statement)
            xid, = conn.execute(
                "SELECT pg_current_xact_id()::text").fetchone()
        at, = conn.execute(
            "SELECT (extract(epoch FROM pg_xact_commit_timestamp(%s::xid))"
            " * 1000000)::bigint", (xid,)).fetchone()
    return int(xid), at


def mixed(db):
    """Four transactions of all kinds; the (xid, time) of each."""
    return [
        commit(db, "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 5) i"),
        commit(db, "INSERT INTO t VALUES (6, 'six')"),
        commit(db, "UPDATE t SET v = 'y' WHERE id < 3",
               "DELETE FROM t WHERE id = 5"),
        commit(db, "INSERT INTO t VALUES (7, 'seven')", "TRUNCATE t, other")]


def test_nothing_before_start(db, server, subscribe):
    """Before start nothing flows, not even the headers; then all does."""
    walstream = server()
    stream = subscribe(walstream, wait=False, begin=False)
    db.fill(1, 3)
    time.sleep(0.5)
    assert stream.messages == [] and stream.metadata is None
    assert stream.open() and db.walsender() is None
    stream.start()
    stream.transactions(1)
    assert stream.messages[0].op == "started"
    assert stream.ids() == [1, 2, 3]


@pytest.mark.parametrize("first", ["ack", "empty", "end"])
def test_first_message(server, subscribe, stubs, first):
    """Any other first message, or none: INVALID_ARGUMENT."""
    stream = subscribe(server(), wait=False, begin=False)
    if first == "ack":
        stream.ack(0)
    elif first == "empty":
        stream.send(stubs.pb2.ClientMessage())
    else:
        stream.half_close()
    assert stream.ended() == grpc.StatusCode.INVALID_ARGUMENT
    assert "start" in stream.details and stream.messages == []


def test_start_twice(db, server, subscribe):
    """A second start ends the stream."""
    stream = subscribe(server())
    db.fill(1, 1)
    stream.expect(1)
    stream.start()
    assert stream.ended() == grpc.StatusCode.INVALID_ARGUMENT
    assert "start" in stream.details


def test_start_on_session(db, server, subscribe):
    """start does not belong on Session."""
    walstream = server()
    other = subscribe(walstream)
    stream = subscribe(walstream, method=METHOD, wait=False)
    assert stream.ended() == grpc.StatusCode.INVALID_ARGUMENT
    assert "Subscribe" in stream.details
    db.fill(1, 1)
    other.expect(1)


def test_malformed_start(db, server, subscribe):
    """What a start cannot hold: INVALID_ARGUMENT, and the others live."""
    walstream = server()
    other = subscribe(walstream)
    for fields in (
            {"tables": ["t"] * 70}, {"tables": ["x" * 300]},
            {"consumer": "x" * 300}, {"system_identifier": "x" * 300},
            {"consumer": "a\0b"}, {"operations": [9]}, {"operations": [0]},
            {"operations": [1, 2, -1]}):
        stream = subscribe(walstream, wait=False, **fields)
        assert stream.ended() == grpc.StatusCode.INVALID_ARGUMENT, fields
        assert stream.messages == []
    db.fill(1, 1)
    other.expect(1)


def test_largest_start(db, server, subscribe):
    """64 globs of 255 bytes and a name of 255 are taken."""
    globs = [f"{n:02}" + "x" * 253 for n in range(63)]
    stream = subscribe(server(), consumer="c" * 255, tables=globs + ["*.t"])
    db.fill(1, 1)
    stream.expect(1)


@pytest.mark.parametrize("temporary", [False, True],
                         ids=["permanent", "temporary"])
def test_started(db, server, subscribe, temporary):
    """started says where this is, as the server itself says it."""
    walstream = server(temporary=temporary)
    confirmed = db.confirmed()
    started = subscribe(walstream).started
    system, timeline, version = db.sql(
        "SELECT system_identifier::text, timeline_id,"
        " current_setting('server_version_num')::int"
        " FROM pg_control_system(), pg_control_checkpoint()")[0]
    assert started.system_identifier == system
    assert (started.timeline, started.server_version) == (timeline, version)
    assert (started.slot, started.temporary) == (db.slot, temporary)
    assert list(started.publications) == ["pub"]
    assert started.walstream_version in run("--version").stdout.split()
    if temporary:
        assert started.start_lsn >= confirmed
    else:
        assert started.start_lsn == confirmed


def test_transactions(db, server, subscribe):
    """begin and commit are around every transaction, and all numbers are
    PostgreSQL's own."""
    db.publish("other")
    db.watch()
    stream = subscribe(server())
    committed = mixed(db)
    found = stream.transactions(4)
    counts = [(5, "insert"), (1, "insert"), (3, None), (3, None)]
    assert [len(t.events) for t in found] == [n for n, _ in counts]
    for (begin, events, end), (c, e, rows), (xid, at) in zip(
            found, db.transactions(), committed):
        assert [getattr(begin, f) for f in MARKS] == [c, c, xid, at]
        assert [getattr(end, f) for f in MARKS] == [e, c, xid, at]
        assert end.end_lsn == e and end.event_count == len(events) == rows
        assert [event.seq for event in events] == list(range(1, rows + 1))
        assert [event.pg_lsn for event in events] == [c] * (rows - 1) + [e]
        for event in events:
            assert [getattr(event, f) for f in MARKS[1:]] == [c, xid, at]
    assert [e.op for e in stream.events[6:]] == [
        "update", "update", "delete", "insert", "truncate", "truncate"]


def test_session_has_the_fields(db, server, subscribe):
    """On Session the same events come, and nothing but events."""
    walstream = server()
    session = subscribe(walstream, method=METHOD, begin=False)
    stream = subscribe(walstream, progress_interval_ms=100)
    db.publish("other")
    mixed(db)
    stream.transactions(4)
    session.expect(12)
    stream.ack_last()
    session.ack_last()
    stream.wait_of("progress")
    assert [m.op for m in session.messages] == [
        e.op for e in stream.events]
    assert session.rows() == stream.rows()


def test_empty_transactions(db, server, subscribe):
    """A transaction with nothing published has neither begin nor commit."""
    stream = subscribe(server())
    db.unrelated_wal()
    db.sql("CREATE TABLE elsewhere ()")
    db.transaction("SAVEPOINT a", "INSERT INTO t VALUES (1, 'gone')",
                   "ROLLBACK TO a", "INSERT INTO other (v) VALUES ('x')")
    db.fill(2, 2)
    stream.transactions(1)
    assert stream.ids() == [2]


def test_subtransactions(db, server, subscribe):
    """seq counts what is delivered; rolled back parts leave no gap."""
    stream = subscribe(server())
    db.transaction(
        "INSERT INTO t VALUES (1, 'a')", "SAVEPOINT a",
        "INSERT INTO t VALUES (2, 'gone')", "ROLLBACK TO a", "SAVEPOINT b",
        "INSERT INTO t VALUES (3, 'b')", "RELEASE b",
        "INSERT INTO t VALUES (4, 'c')")
    found, = stream.transactions(1)
    assert stream.ids() == [1, 3, 4]
    assert [event.seq for event in found.events] == [1, 2, 3]


def test_names_last(db, server, subscribe):
    """After a restart the same event has the same name and content."""
    walstream = server()
    stream = subscribe(walstream)
    mixed(db)
    stream.transactions(4)
    walstream.kill()
    again = subscribe(server())
    again.transactions(4)
    assert again.messages[1:] == stream.messages[1:]
    assert len(set(again.keys())) == len(again.keys())


def test_cut_in_a_transaction(db, server, subscribe):
    """Cut off in a transaction, its begin and commit still come once."""
    stream = subscribe(server("--buffer-size", "256KiB"), held=True)
    db.fill(1, 15000, 1000)
    db.wait_stalled()
    pid = db.terminate_walsender()
    stream.release()
    db.wait_walsender(other_than=pid)
    db.fill(15001, 15001)
    found = stream.transactions(2)
    assert found[0].commit.event_count == 15000
    assert [e.seq for e in found[0].events] == list(range(1, 15001))
    assert stream.ids() == list(range(1, 15002))


def test_joining_in_a_transaction(db, server, subscribe):
    """A stream that joins while one is under way gets it from its begin."""
    walstream = server("--buffer-size", "256KiB")
    first = subscribe(walstream, held=True)
    db.fill(1, 15000, 1000)
    db.wait_stalled()
    late = subscribe(walstream, wait=False)
    first.release()
    for stream in first, late:
        found, = stream.transactions(1)
        assert found.commit.event_count == 15000
        assert stream.ids() == list(range(1, 15001))


def test_other_cluster(db, server, subscribe):
    """A wrong system_identifier: FAILED_PRECONDITION naming both."""
    walstream = server()
    own = subscribe(walstream).started.system_identifier
    other = str(int(own) + 1)
    stream = subscribe(walstream, wait=False, system_identifier=other)
    assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
    assert own in stream.details and other in stream.details
    assert stream.messages == []
    right = subscribe(walstream, system_identifier=own)
    db.fill(1, 1)
    right.expect(1)


def test_acks(db, server, subscribe):
    """begin.pg_lsn confirms up to C, commit.pg_lsn the transaction."""
    stream = subscribe(server())
    db.fill(1, 3)
    db.fill(4, 6)
    first, second = stream.transactions(2)
    for lsn in (first.begin.pg_lsn, first.commit.pg_lsn,
                second.begin.pg_lsn):
        stream.ack(lsn)
        db.wait_confirmed_is(lsn)
    stream.ack(second.commit.pg_lsn)
    db.wait_confirmed(second.commit.pg_lsn)


def test_ack_above(db, server, subscribe):
    """An ack above all that was sent: INVALID_ARGUMENT naming both."""
    stream = subscribe(server())
    db.fill(1, 3)
    found, = stream.transactions(1)
    stream.ack(found.commit.pg_lsn + 1)
    assert stream.ended() == grpc.StatusCode.INVALID_ARGUMENT
    for lsn in found.commit.pg_lsn, found.commit.pg_lsn + 1:
        assert lsn_text(lsn) in stream.details
    assert db.confirmed() < found.begin.pg_lsn


@pytest.mark.parametrize("how", ["observer", "half-closed"])
def test_not_waited_for(db, server, subscribe, how):
    """Observers and half-closed streams get all and hold nothing back."""
    walstream = server()
    watching = subscribe(walstream, observer=how == "observer")
    if how != "observer":
        watching.half_close()
    stream = subscribe(walstream)
    db.fill(1, 3)
    db.fill(4, 6)
    stream.transactions(2)
    db.wait_confirmed(stream.ack_last())
    db.fill(7, 9)
    watching.transactions(3)
    assert watching.ids() == list(range(1, 10))
    db.wait_confirmed(stream.expect(9)[5].pg_lsn)
    assert watching.open()


@pytest.mark.parametrize("how", ["observer", "half-closed"])
def test_only_watched(quick, server, subscribe, how):
    """With nobody attached who acknowledges, nothing is confirmed."""
    db = quick
    walstream = server()
    before = db.confirmed()
    watching = subscribe(walstream, observer=how == "observer")
    if how != "observer":
        watching.half_close()
    db.fill(1, 3)
    watching.transactions(1)
    db.settle()
    assert db.confirmed() == before
    stream = subscribe(walstream)
    stream.transactions(1)
    assert stream.ids() == [1, 2, 3]


def test_leaving_before_start(db, server, subscribe):
    """Streams that never sent start leave nothing behind."""
    walstream = server()
    idle = [subscribe(walstream, wait=False, begin=False) for _ in range(20)]
    stream = subscribe(walstream)
    for one in idle:
        one.close()
    stream.close()
    until(lambda: walstream.logged("replication.stopped"), 10,
          "replication to stop")
    db.fill(1, 1)
    subscribe(walstream).expect(1)
