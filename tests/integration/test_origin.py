"""Replication origins are no business of the clients."""

import contextlib

import pytest

pytest_plugins = ["subscriber"]


@pytest.fixture
def origin(db):
    """Makes a session replay from an origin, as a subscription does."""
    name = f"{db.name}_origin"
    db.sql("SELECT pg_replication_origin_create(%s)", (name,))

    @contextlib.contextmanager
    def replaying():
        db.sql("SELECT pg_replication_origin_session_setup(%s)", (name,))
        yield
        db.sql("SELECT pg_replication_origin_session_reset()")

    yield replaying
    db.sql("SELECT pg_replication_origin_drop(%s)", (name,))


def test_rows(db, origin, server, subscribe):
    """Rows that were replayed from elsewhere come like any other."""
    db.watch()
    stream = subscribe(server(), relations=True)
    db.fill(1, 1)
    with origin():
        db.fill(2, 3)
        db.transaction(
            "SELECT pg_replication_origin_xact_setup('0/1234',"
            " '2001-02-03 04:05:06.789+00')",
            "INSERT INTO t VALUES (4, '')", "UPDATE t SET v = 'u'",
            "DELETE FROM t WHERE id = 1", "TRUNCATE t")
    db.fill(5, 5)
    found = stream.transactions(4)
    for (begin, events, commit), (c, e, rows) in zip(
            found, db.transactions()):
        assert (begin.pg_lsn, commit.pg_lsn) == (c, e)
        assert commit.event_count == rows
        assert [event.seq for event in events] == list(range(1, rows + 1))
        assert [event.pg_lsn for event in events] == [c] * (rows - 1) + [e]
    assert [e.op for e in stream.events] == ["insert"] * 4 + [
        "update"] * 4 + ["delete", "truncate", "insert"]
    assert set(stream.ops()) <= {
        "begin", "commit", "relation", "insert", "update", "delete",
        "truncate"}


def test_commit_time(db, origin, server, subscribe):
    """Their commit time is the one PostgreSQL has for them: the origin's."""
    stream = subscribe(server())
    with origin():
        db.transaction("SELECT pg_replication_origin_xact_setup('0/1234',"
                       " '2001-02-03 04:05:06.789+00')",
                       "INSERT INTO t VALUES (1, '')")
    found, = stream.transactions(1)
    at = db.one("SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin))"
                " * 1000000)::bigint FROM t")
    assert at == 981173106789000
    assert {found.begin.commit_time_us, found.commit.commit_time_us,
            found.events[0].commit_time_us} == {at}


def test_messages(db, origin, server, subscribe):
    """Messages, too."""
    stream = subscribe(server("--messages"), messages=["*"])
    with origin():
        db.sql("SELECT pg_logical_emit_message(false, 'out', '')")
        db.transaction("SELECT pg_logical_emit_message(true, 'in', '')",
                       "INSERT INTO t VALUES (1, '')")
    stream.transactions(1)
    assert stream.ops() == ["message", "begin", "message", "insert",
                            "commit"]
