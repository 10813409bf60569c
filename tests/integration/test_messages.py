"""Logical messages: what pg_logical_emit_message wrote, for who asks."""

import pytest

from client import METHOD
from database import lsn_text

pytest_plugins = ["subscriber"]

ROW = "INSERT INTO t VALUES (%s)"


def emit(db, transactional, prefix, content=b""):
    """Emits a message; returns the end of its record."""
    return db.one("SELECT (pg_logical_emit_message(%s, %s, %s::bytea)"
                  " - '0/0')::bigint", (transactional, prefix, content))


@pytest.fixture
def talking(server):
    """A server that asks for messages."""
    return server("--messages")


def told(stream):
    """What came, in short: the kind, and what tells it from others."""
    names = {"message": lambda b: b.prefix,
             "insert": lambda b: b.json_payload[6:-1].split(",")[0]}
    return [(m.op, names[m.op](m.body)) if m.op in names else m.op
            for m in list(stream.messages)
            if m.op not in ("started", "progress")]


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
def test_in_a_transaction(db, talking, subscribe, batch):
    """Transactional ones come in their place among the rows. What follows the
    last row has its position, the end; seq counts rows, event_count all."""
    db.watch()
    stream = subscribe(talking, messages=["*"], batch=batch)
    db.sql("BEGIN")
    emit(db, True, "a", b"first")
    db.sql(ROW, (1,))
    emit(db, True, "b")
    emit(db, True, "b2")
    db.sql(ROW, (2,))
    emit(db, True, "c", b"last")
    db.sql("COMMIT")
    found, = stream.transactions(1)
    (c, e, _), = db.transactions()
    assert told(stream) == [
        "begin", ("message", "a"), ("insert", "1"), ("message", "b"),
        ("message", "b2"), ("insert", "2"), ("message", "c"), "commit"]
    assert [m.body.pg_lsn for m in stream.messages[1:]] == [
        c, c, c, c, c, e, e, e]
    assert [row.seq for row in found.events] == [1, 2]
    assert found.commit.event_count == 6
    assert [(m.transactional, m.content) for m in stream.of("message")] == [
        (True, b"first"), (True, b""), (True, b""), (True, b"last")]
    stream.ack(e)
    db.wait_confirmed_is(e)


def test_alone(db, talking, subscribe):
    """A transaction of messages only: they have its commit LSN, its commit
    the end LSN."""
    stream = subscribe(talking, messages=["*"])
    db.sql("BEGIN")
    for prefix in "a", "b":
        emit(db, True, prefix)
    db.sql("COMMIT")
    db.fill(1, 1)
    first, second = stream.transactions(2)
    assert told(stream)[:4] == [
        "begin", ("message", "a"), ("message", "b"), "commit"]
    (begin, _, commit), c = first, first.begin.commit_lsn
    assert [m.pg_lsn for m in stream.of("message")] == [c, c]
    assert (begin.pg_lsn, commit.commit_lsn) == (c, c)
    assert c < commit.pg_lsn == commit.end_lsn <= second.begin.pg_lsn
    assert commit.event_count == 2
    stream.ack(c)
    db.wait_confirmed_is(c)
    stream.ack(commit.pg_lsn)
    db.wait_confirmed_is(commit.pg_lsn)


def test_without_rows_to_deliver(db, talking, subscribe):
    """Filters on tables and operations do not touch messages."""
    stream = subscribe(talking, messages=["*"], tables=["nothing.*"],
                       operations=["DELETE"])
    db.sql("BEGIN")
    db.sql(ROW, (1,))
    emit(db, True, "a")
    db.sql("COMMIT")
    found, = stream.transactions(1)
    assert told(stream) == ["begin", ("message", "a"), "commit"]
    assert stream.of("message")[0].pg_lsn == found.commit.end_lsn
    assert found.commit.event_count == 1


def test_between_transactions(db, talking, subscribe):
    """Others come between transactions, at once, and have positions of their
    own: where PostgreSQL says that their records end."""
    stream = subscribe(talking, messages=["*"])
    lsns = [emit(db, False, "a", b"alone")]
    db.fill(1, 1)
    with db.connect() as conn:
        conn.execute("BEGIN; INSERT INTO t VALUES (2)")
        lsns.append(emit(db, False, "b"))
        db.fill(3, 3)
        lsns.append(conn.execute("SELECT (pg_logical_emit_message(false, 'c',"
                                 " 'own') - '0/0')::bigint").fetchone()[0])
        db.fill(4, 4)
        stream.wait_of("message", 3)
        conn.execute("COMMIT")
    lsns.append(emit(db, False, "d"))
    db.fill(5, 5)
    stream.transactions(5)
    assert told(stream) == [
        ("message", "a"), "begin", ("insert", "1"), "commit",
        ("message", "b"), "begin", ("insert", "3"), "commit",
        ("message", "c"), "begin", ("insert", "4"), "commit",
        "begin", ("insert", "2"), "commit",
        ("message", "d"), "begin", ("insert", "5"), "commit"]
    messages = stream.of("message")
    assert [m.pg_lsn for m in messages] == lsns
    assert [m.transactional for m in messages] == [False] * 4
    assert [m.content for m in messages] == [b"alone", b"", b"own", b""]
    positions = [m.body.pg_lsn for m in stream.messages[1:]]
    assert positions == sorted(positions)


def test_rolled_back(db, talking, subscribe):
    """Of what is rolled back, only those that are not transactional come."""
    stream = subscribe(talking, messages=["*"])
    db.sql("BEGIN")
    emit(db, True, "no")
    emit(db, False, "yes 1")
    db.sql("ROLLBACK")
    db.sql("BEGIN")
    db.sql(ROW, (1,))
    db.sql("SAVEPOINT s")
    emit(db, True, "no")
    emit(db, False, "yes 2")
    db.sql("ROLLBACK TO s")
    emit(db, True, "yes 3")
    db.sql("COMMIT")
    stream.transactions(1)
    assert told(stream) == [
        ("message", "yes 1"), ("message", "yes 2"), "begin", ("insert", "1"),
        ("message", "yes 3"), "commit"]


def test_prefixes(db, talking, subscribe):
    """A stream is sent those whose prefix any of its globs matches; begin
    and commit only if there is something between them."""
    prefixes = ["app", "app.audit", "app.audit.x", "App", "", "é", "a b"]
    globs = {("*",): prefixes, ("app",): ["app"],
             ("app.*",): ["app.audit", "app.audit.x"],
             ("?pp",): ["app", "App"], ("[!A]pp", "é"): ["app", "é"],
             ("",): [""], ("nothing", "a b"): ["a b"], ("audit",): [],
             ("app*", "*.x"): ["app", "app.audit", "app.audit.x"]}
    streams = [subscribe(talking, messages=patterns) for patterns in globs]
    db.sql("BEGIN")
    for prefix in prefixes:
        emit(db, True, prefix)
    db.sql("COMMIT")
    for prefix in prefixes:
        emit(db, False, prefix)
    db.fill(1, 1)
    for stream, (patterns, expected) in zip(streams, globs.items()):
        *inside, _ = stream.transactions(1 + bool(expected))
        assert [m.prefix for m in stream.of("message")] == expected * 2, \
            patterns
        assert [t.commit.event_count for t in inside] \
            == [len(expected)] * bool(expected)


def test_not_asked_for(db, talking, subscribe):
    """Streams without Start.messages, and Session streams, get the rows; the
    last row of a transaction has its end LSN though a message follows."""
    db.watch()
    asking = subscribe(talking, messages=["*"])
    plain = subscribe(talking)
    session = subscribe(talking, begin=False, method=METHOD)
    emit(db, False, "a")
    db.sql("BEGIN")
    db.sql(ROW, (1,))
    emit(db, True, "b")
    db.sql(ROW, (2,))
    emit(db, True, "c")
    db.sql("COMMIT")
    emit(db, True, "d")
    db.fill(3, 3)
    asking.transactions(3)
    first, _ = plain.transactions(2)
    session.expect(3)
    (c, e, _), _ = db.transactions()
    assert plain.ops() == ["begin", "insert", "insert", "commit", "begin",
                           "insert", "commit"]
    assert [row.pg_lsn for row in first.events] == [c, e]
    assert first.commit.event_count == 2
    assert session.ops() == ["insert"] * 3
    assert session.rows() == plain.rows() == asking.rows()


def test_server_without(pg, db, server, subscribe):
    """Without --messages there are none, and PostgreSQL is not asked."""
    stream = subscribe(server(), messages=["*"])
    emit(db, False, "a")
    db.sql("BEGIN")
    emit(db, True, "b")
    db.sql(ROW, (1,))
    db.sql("COMMIT")
    stream.transactions(1)
    assert told(stream) == ["begin", ("insert", "1"), "commit"]
    with open(pg.log, encoding="utf-8", errors="replace") as log:
        asked = [line for line in log if "START_REPLICATION" in line
                 and db.slot in line]
    assert asked and not any("messages" in line for line in asked)


def test_hold_nothing(quick, server, subscribe):
    """Messages that nobody is sent do not hold WAL back."""
    db = quick
    walstream = server("--messages")
    streams = [subscribe(walstream, begin=False, method=METHOD),
               subscribe(walstream), subscribe(walstream, messages=["b"])]
    emit(db, False, "a")
    emit(db, True, "a")
    db.wait_confirmed(db.unrelated_wal())
    assert [stream.ops() for stream in streams] == [[], [], []]


def test_hold_back(quick, server, subscribe):
    """One that was sent and not acknowledged does."""
    db = quick
    stream = subscribe(server("--messages"), messages=["*"])
    lsn = emit(db, False, "a")
    db.unrelated_wal()
    stream.wait_of("message")
    db.settle()
    assert db.confirmed() < lsn
    stream.ack(lsn)
    db.wait_confirmed(db.unrelated_wal())


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_acknowledged(db, server, subscribe, how):
    """Acknowledging one confirms exactly its end: after walstream starts
    again it does not come, the next one does."""
    walstream = server("--messages")
    stream = subscribe(walstream, messages=["*"])
    first, second = emit(db, False, "a"), emit(db, False, "b")
    db.fill(1, 1)
    stream.transactions(1)
    stream.ack(first)
    db.wait_confirmed_is(first)
    if how == "killed":
        walstream.kill()
    else:
        assert walstream.stop() == 0
    again = subscribe(server("--messages"), messages=["*"])
    again.transactions(1)
    assert told(again) == [("message", "b"), "begin", ("insert", "1"),
                           "commit"]
    assert again.messages[1:] == stream.messages[2:]
    again.ack(second)
    db.wait_confirmed_is(second)
    again.ack_last()


def test_acknowledged_after_rows(db, talking, subscribe):
    """Acknowledging one confirms the transactions before it, too."""
    stream = subscribe(talking, messages=["*"])
    db.fill(1, 3)
    lsn = emit(db, False, "a")
    db.fill(4, 6)
    stream.transactions(2)
    stream.ack(lsn)
    db.wait_confirmed_is(lsn)
    late = subscribe(talking, messages=["*"])
    late.transactions(1)
    assert late.ids() == [4, 5, 6] and late.of("message") == []


def test_ack_above(db, talking, subscribe):
    """No ack may be above the last message."""
    stream = subscribe(talking, messages=["*"])
    lsn = emit(db, False, "a")
    db.unrelated_wal()
    stream.wait_of("message")
    stream.ack(lsn + 1)
    stream.ended()
    assert lsn_text(lsn) in stream.details
    assert db.confirmed() < lsn


def test_after_lsn(db, talking, subscribe):
    """after_lsn skips those that end at or before it."""
    holder = subscribe(talking, messages=["*"])
    lsns = [emit(db, False, str(n)) for n in range(4)]
    db.fill(1, 1)
    holder.transactions(1)
    for n, lsn in enumerate(lsns):
        stream = subscribe(talking, messages=["*"], after_lsn=lsn)
        stream.transactions(1)
        assert [m.prefix for m in stream.of("message")] == [
            "0", "1", "2", "3"][n + 1:]
    end = holder.of("commit")[0].pg_lsn
    stream = subscribe(talking, messages=["*"], after_lsn=end)
    emit(db, False, "last")
    db.fill(2, 2)
    stream.transactions(1)
    assert told(stream)[0] == ("message", "last") and stream.ids() == [2]


def test_walsender_ends(db, talking, subscribe):
    """Those that were sent do not come again, whatever PostgreSQL does; and
    none is lost."""
    stream = subscribe(talking, messages=["*"])
    for n in range(5):
        emit(db, False, f"{n} out")
        db.sql("BEGIN")
        emit(db, True, f"{n} in")
        db.sql(ROW, (n,))
        db.sql("COMMIT")
        stream.transactions(n + 1)
        pid = db.terminate_walsender()
        emit(db, False, f"{n} gone")
        db.wait_walsender(other_than=pid)
    db.fill(9, 9)
    stream.transactions(6)
    assert [m.prefix for m in stream.of("message")] == [
        f"{n} {what}" for n in range(5) for what in ("out", "in", "gone")]
    assert stream.ids() == [0, 1, 2, 3, 4, 9]


def test_late_stream(db, server, subscribe):
    """A stream that joins late, behind what is still in memory, gets what is
    unconfirmed in the same order; the others get nothing twice."""
    walstream = server("--messages", "--buffer-size", "256KiB")
    first = subscribe(walstream, messages=["*"])
    emit(db, False, "a")
    db.sql("BEGIN")
    emit(db, True, "b")
    db.sql("INSERT INTO t SELECT i, repeat('x', 1000)"
           " FROM generate_series(1, 2000) i")
    emit(db, True, "c")
    db.sql("COMMIT")
    emit(db, False, "d")
    db.fill(3000, 3000)
    first.transactions(2)
    late = subscribe(walstream, messages=["*"])
    late.transactions(2)
    emit(db, False, "e")
    db.fill(3001, 3001)
    first.transactions(3)
    late.transactions(3)
    assert late.messages[1:] == first.messages[1:]
    assert [m.prefix for m in first.of("message")] == list("abcde")


def test_contents(db, talking, subscribe):
    """Any bytes, of any length, and any prefix."""
    stream = subscribe(talking, messages=["*"])
    contents = [b"", b"\0", bytes(range(256)), "é".encode(),
                b"\xff" * 1000000, b'{"a":1}']
    prefixes = ["", "x" * 1000, "é\n\"\\", "%s", "漢字", "\x01"]
    for transactional in True, False:
        for prefix, content in zip(prefixes, contents):
            emit(db, transactional, prefix, content)
    db.fill(1, 1)
    stream.transactions(len(prefixes) + 1)
    messages = stream.of("message")
    assert [m.content for m in messages] == contents * 2
    assert [m.prefix for m in messages] == prefixes * 2


@pytest.mark.parametrize("size", [300000, 3000000])
def test_larger_than_the_buffer(db, server, subscribe, size):
    """Messages that are larger than the buffer pass, also behind a row."""
    stream = subscribe(server("--messages", "--buffer-size", "256KiB"),
                       messages=["*"])
    emit(db, False, "out", b"x" * size)
    db.sql("BEGIN")
    db.sql(ROW, (1,))
    for _ in range(3):
        emit(db, True, "in", b"y" * size)
    db.sql("COMMIT")
    db.fill(2, 2)
    found, _ = stream.transactions(2)
    assert [len(m.content) for m in stream.of("message")] == [size] * 4
    positions = [m.body.pg_lsn for m in stream.messages[1:]]
    assert positions == sorted(positions)
    assert found.commit.pg_lsn == found.commit.end_lsn
    if size < 1000000 / 3:
        assert found.events[0].pg_lsn == found.commit.end_lsn
    db.wait_confirmed_is(stream.ack_last())


def test_other_database(pg, db, talking, subscribe):
    """Those of other databases do not come."""
    stream = subscribe(talking, messages=["*"])
    with pg.connect("postgres") as other:
        for transactional in "true", "false":
            other.execute("SELECT pg_logical_emit_message("
                          f"{transactional}, 'no', '')")
    emit(db, False, "yes")
    db.fill(1, 1)
    stream.transactions(1)
    assert [m.prefix for m in stream.of("message")] == ["yes"]


def test_temporary_slot(db, server, subscribe):
    """With a temporary slot they come from when the stream is in place."""
    walstream = server("--messages", temporary=True)
    emit(db, False, "no")
    db.unrelated_wal()
    stream = subscribe(walstream, messages=["*"])
    emit(db, False, "yes")
    emit(db, True, "yes, too")
    stream.transactions(1)
    assert told(stream) == [("message", "yes"), "begin",
                            ("message", "yes, too"), "commit"]


def test_observer(quick, server, subscribe):
    """An observer is sent them and holds nothing up."""
    db = quick
    walstream = server("--messages")
    watching = subscribe(walstream, messages=["*"], observer=True)
    holder = subscribe(walstream)
    emit(db, False, "a")
    db.wait_confirmed(db.unrelated_wal())
    watching.wait_of("message")
    assert holder.ops() == []


def test_relations(db, talking, subscribe):
    """relation and message keep to their places beside each other."""
    stream = subscribe(talking, messages=["*"], relations=True)
    db.sql("BEGIN")
    emit(db, True, "a")
    db.sql(ROW, (1,))
    emit(db, True, "b")
    db.sql("ALTER TABLE t ADD w int")
    emit(db, True, "c")
    db.sql(ROW, (2,))
    db.sql("COMMIT")
    found, = stream.transactions(1)
    assert stream.ops() == [
        "begin", "message", "relation", "insert", "message", "message",
        "relation", "insert", "commit"]
    assert found.commit.event_count == 5
