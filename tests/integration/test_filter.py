"""Filters: what a stream is sent when it wants only a part."""

import pytest

from waiting import until

pytest_plugins = ["subscriber"]

TABLES = ["public.t", "public.other", "public.t1", "public.t2", "s.t",
          "s.orders", "s.orders_2024", "S.Odd", "s2.t"]

GLOBS = [
    (["public.t"], ["public.t"]),
    (["public.*"], ["public.t", "public.other", "public.t1", "public.t2"]),
    (["s.*"], ["s.t", "s.orders", "s.orders_2024"]),
    (["s?.*"], ["s2.t"]),
    (["*.t"], ["public.t", "s.t", "s2.t"]),
    (["*.t?"], ["public.t1", "public.t2"]),
    (["public.t[12]"], ["public.t1", "public.t2"]),
    (["public.t[!2-9]"], ["public.t1"]),
    (["*orders*"], ["s.orders", "s.orders_2024"]),
    (["S.Odd"], ["S.Odd"]),
    (["public.t", "s.orders_????", "s2.t"],
     ["public.t", "s.orders_2024", "s2.t"]),
    (["public.t", "*.t"], ["public.t", "s.t", "s2.t"]),
    (["*"], TABLES),
    (["*", "public.t"], TABLES),
    (["t"], []),
    (["s.T"], []),
    (["public.t\\*"], []),
    ([""], []),
]


@pytest.fixture
def many(db):
    """A database with the TABLES, all published."""
    db.sql('CREATE SCHEMA s; CREATE SCHEMA s2; CREATE SCHEMA "S"')
    for table in TABLES:
        schema, name = table.split(".")
        db.sql(f'CREATE TABLE IF NOT EXISTS "{schema}"."{name}"'
               " (id int PRIMARY KEY, v text)")
    for table in TABLES[1:]:
        schema, name = table.split(".")
        db.publish(f'"{schema}"."{name}"')
    return db


def tables_of(stream):
    return [f"{event.schema}.{event.table}" for event in stream.events]


def wait_complete(stream, lsn):
    """Waits until the stream says that it has had everything up to lsn."""
    if stream.of("commit"):
        stream.ack_last()
    until(lambda: any(p.pg_lsn >= lsn for p in stream.of("progress")), 15,
          lambda: f"progress; {stream.state()}")


def test_globs(many, server, subscribe):
    """A table passes when any of the globs matches schema.table."""
    walstream = server()
    whole = subscribe(walstream)
    streams = [subscribe(walstream, tables=globs, progress_interval_ms=100)
               for globs, _ in GLOBS]
    everything = ['INSERT INTO "{}"."{}" VALUES (%d)'.format(*t.split("."))
                  for t in TABLES]
    many.transaction(*(insert % 1 for insert in everything))
    for insert in everything:
        many.sql(insert % 2)
    last = whole.transactions(1 + len(TABLES))[-1].commit.end_lsn
    for stream, (globs, expected) in zip(streams, GLOBS):
        wait_complete(stream, last)
        expected = [table for table in TABLES if table in expected]
        assert tables_of(stream) == expected * 2, globs
        found = stream.transactions(len(expected) + (expected != []))
        assert all(t.commit.event_count == len(t.events) for t in found)


@pytest.mark.parametrize("operations", [
    ["INSERT"], ["UPDATE"], ["DELETE"], ["TRUNCATE"],
    ["DELETE", "INSERT", "DELETE"],
    ["INSERT", "UPDATE", "DELETE", "TRUNCATE"]], ids="+".join)
def test_operations(db, server, subscribe, operations):
    """Only the operations asked for come, each with the seq it has."""
    walstream = server()
    whole = subscribe(walstream)
    stream = subscribe(walstream, operations=operations)
    db.transaction("INSERT INTO t VALUES (1, 'a'), (2, 'b')",
                   "UPDATE t SET v = 'c' WHERE id = 1",
                   "DELETE FROM t WHERE id = 2", "TRUNCATE t")
    whole.transactions(1)
    stream.transactions(1)
    wanted = [word.lower() for word in operations]
    assert stream.rows() == [
        m.body for m in whole.messages if m.op in wanted]
    assert stream.of("commit")[0].event_count == len(stream.rows())


def test_table_and_operation(many, server, subscribe):
    """Both filters must let a change pass."""
    stream = subscribe(server(), tables=["s.*"], operations=["UPDATE"])
    many.transaction("INSERT INTO s.t VALUES (1)", "INSERT INTO t VALUES (1)",
                     "UPDATE s.t SET v = 'a'", "UPDATE t SET v = 'b'")
    found, = stream.transactions(1)
    assert [(e.table, e.seq) for e in found.events] == [("t", 3)]
    assert found.events[0].schema == "s"


def test_filtered_transactions(many, server, subscribe):
    """A transaction with nothing to deliver has neither begin nor commit."""
    stream = subscribe(server(), tables=["public.t"])
    for i in range(3):
        many.sql(f"INSERT INTO s.t VALUES ({i})")
        many.fill(i, i)
        many.transaction(f"UPDATE s.t SET v = 'x' WHERE id = {i}",
                         "UPDATE other SET v = 'x'")
    assert len(stream.transactions(3)) == 3
    assert stream.ids() == [0, 1, 2]


def test_commit_confirms(many, server, subscribe):
    """Whoever is not sent the last row confirms by the commit."""
    db = many
    db.watch()
    walstream = server()
    stream = subscribe(walstream, tables=["public.t"])
    db.transaction("INSERT INTO t VALUES (1), (2)",
                   "INSERT INTO s.t VALUES (1)")
    db.fill(3, 3)
    first, second = stream.transactions(2)
    (c, e, _), _ = db.transactions()
    assert [event.pg_lsn for event in first.events] == [c, c]
    assert (first.commit.pg_lsn, first.commit.end_lsn) == (e, e)
    assert first.commit.event_count == 2
    stream.ack(c)
    db.wait_confirmed_is(c)
    stream.ack(e)
    db.wait_confirmed_is(e)
    late = subscribe(walstream)
    assert late.transactions(1)[0].begin == second.begin


def test_row_confirms_nothing(many, server, subscribe):
    """The ack of a row that is not the last delivers all of it again."""
    db = many
    walstream = server()
    stream = subscribe(walstream, tables=["public.t"])
    db.transaction("INSERT INTO t VALUES (1)", "INSERT INTO s.t VALUES (1)")
    found, = stream.transactions(1)
    stream.ack(found.events[-1].pg_lsn)
    db.wait_confirmed_is(found.begin.pg_lsn)
    stream.close()
    again, = subscribe(walstream).transactions(1)
    assert again.begin == found.begin and len(again.events) == 2


def test_no_match_holds_nothing(many, server, subscribe):
    """A stream whose filter lets nothing pass does not hold WAL back."""
    db = many
    db.set("wal_sender_timeout", "3s")
    walstream = server()
    stream = subscribe(walstream, tables=["nowhere.*"])
    db.fill(1, 1000)
    db.wait_confirmed(db.unrelated_wal())
    other = subscribe(walstream, tables=["s.*"])
    db.fill(1001, 1003)
    db.sql("INSERT INTO s.t VALUES (1)")
    found, = other.transactions(1)
    db.fill(1004, 1006)
    db.settle()
    assert db.confirmed() < found.commit.end_lsn
    other.ack(found.commit.pg_lsn)
    db.wait_confirmed(db.unrelated_wal())
    assert [m.op for m in stream.messages] == ["started"]


def test_new_tables(many, server, subscribe):
    """Tables that are made, renamed or published later are filtered by the
    name they have then."""
    db = many
    walstream = server()
    stream = subscribe(walstream, tables=["s.new*"])
    for n in range(20):
        db.sql(f"CREATE TABLE s.new{n} (id int)")
        db.publish(f"s.new{n}")
        db.transaction(f"INSERT INTO s.new{n} VALUES (1)",
                       f"INSERT INTO t VALUES ({n})")
    db.sql("ALTER TABLE s.new3 RENAME TO old3")
    db.sql("INSERT INTO s.old3 VALUES (2)")
    db.sql("ALTER TABLE s.t RENAME TO new20")
    db.sql("INSERT INTO s.new20 VALUES (3)")
    stream.transactions(21)
    assert [e.table for e in stream.events] == [f"new{n}" for n in range(21)]
