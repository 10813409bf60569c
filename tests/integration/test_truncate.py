"""TRUNCATE: one event for each table, with its flags."""

import pytest

from client import METHOD

pytest_plugins = ["subscriber"]

CASES = {  # statement: tables, cascade, restart_identity
    "TRUNCATE t": (["t"], False, False),
    "TRUNCATE t RESTART IDENTITY": (["t"], False, True),
    "TRUNCATE t CONTINUE IDENTITY RESTRICT": (["t"], False, False),
    "TRUNCATE t CASCADE": (["t"], True, False),
    "TRUNCATE parent CASCADE": (["parent", "child"], True, False),
    "TRUNCATE parent RESTART IDENTITY CASCADE":
        (["parent", "child"], True, True),
    "TRUNCATE t, other, parent, child": (["t", "parent", "child"],
                                         False, False),
    "TRUNCATE ONLY base": (["base"], False, False),
    "TRUNCATE base": (["base", "heir"], False, False),
    "TRUNCATE parts": (["part1", "part2"], False, False),
    "TRUNCATE part1 RESTART IDENTITY": (["part1"], False, True),
}


@pytest.fixture
def tables(db):
    """Tables of all kinds; all but `other` are published."""
    db.sql("CREATE TABLE parent (id serial PRIMARY KEY)")
    db.sql("CREATE TABLE child (id serial PRIMARY KEY,"
           " parent int REFERENCES parent)")
    db.sql("CREATE TABLE base (id int)")
    db.sql("CREATE TABLE heir () INHERITS (base)")
    db.sql("CREATE TABLE parts (id int) PARTITION BY RANGE (id)")
    for n in (1, 2):
        db.sql(f"CREATE TABLE part{n} PARTITION OF parts"
               f" FOR VALUES FROM ({n}) TO ({n + 1})")
    db.publish("parent", "child", "base", "parts")
    return db


def told(row):
    return row.table, row.cascade, row.restart_identity


def test_flags(tables, server, subscribe):
    """The flags are those of the statement, in the event of each table that
    it truncated and that is published."""
    stream = subscribe(server())
    for statement in CASES:
        tables.sql(statement)
    found = stream.transactions(len(CASES))
    for transaction, (statement, (names, cascade, restart)) in zip(
            found, CASES.items()):
        events = transaction.events
        assert sorted(map(told, events)) == sorted(
            (name, cascade, restart) for name in names), statement
        assert [e.seq for e in events] == list(range(1, len(names) + 1))
        assert [e.relation_oid for e in events] == [
            tables.oid(e.table) for e in events]
        assert len({e.change_lsn for e in events}) == 1


def test_among_rows(tables, server, subscribe):
    """In a transaction it comes in its place."""
    stream = subscribe(server())
    tables.transaction("INSERT INTO t VALUES (1, '')",
                       "TRUNCATE t, parent RESTART IDENTITY CASCADE",
                       "INSERT INTO t VALUES (2, '')", "TRUNCATE t")
    found, = stream.transactions(1)
    assert stream.ops()[1:-1] == ["insert"] + ["truncate"] * 3 + [
        "insert", "truncate"]
    assert [e.seq for e in found.events] == [1, 2, 3, 4, 5, 6]
    assert [(e.cascade, e.restart_identity)
            for e in stream.of("truncate")] == [(True, True)] * 3 + [
        (False, False)]


def test_session(tables, server, subscribe):
    """Session streams say the same."""
    walstream = server()
    session = subscribe(walstream, begin=False, method=METHOD)
    stream = subscribe(walstream)
    tables.sql("TRUNCATE parent RESTART IDENTITY CASCADE")
    stream.expect(2)
    session.expect(2)
    assert session.rows() == stream.rows()
    assert [told(row)[1:] for row in session.rows()] == [(True, True)] * 2
