"""What is published, by one publication or several, and when it changes."""

import json

import pytest

from proc import fails

pytest_plugins = ["subscriber"]


@pytest.fixture
def f(db):
    """A table f of ten rows, published under a row filter."""
    db.needs(15, "row filters")
    db.sql("CREATE TABLE f (id int PRIMARY KEY, n int NOT NULL, v text)")
    db.sql("INSERT INTO f SELECT i, i, 'v' FROM generate_series(0, 9) i")
    db.sql("ALTER PUBLICATION pub ADD TABLE f WHERE (id < 5)")
    return db


def told(stream):
    return [(e.op, e.table, json.loads(e.payload)) for e in stream.events]


def several(server, *publications):
    """A server of all of them."""
    return server(*(f"--publication={p}" for p in publications[1:]),
                  publication=publications[0])


# Several

def test_several(db, server, subscribe):
    """All their tables are streamed, what several have once; started names
    them."""
    for n in (1, 2):
        db.sql(f"CREATE TABLE t{n} (id int PRIMARY KEY)")
    db.sql("CREATE PUBLICATION one FOR TABLE t1, t")
    db.sql('CREATE PUBLICATION "Two, \'2\'" FOR TABLE t, t2')
    stream = subscribe(several(server, "pub", "one", "Two, '2'"))
    db.transaction("INSERT INTO t1 VALUES (1)", "INSERT INTO t VALUES (2)",
                   "INSERT INTO t2 VALUES (3)", "TRUNCATE t1, t, other, t2")
    found, = stream.transactions(1)
    assert list(stream.started.publications) == ["pub", "one", "Two, '2'"]
    assert [e.table for e in found.events[:3]] == ["t1", "t", "t2"]
    assert sorted(e.table for e in found.events[3:]) == ["t", "t1", "t2"]
    assert [e.seq for e in found.events] == list(range(1, 7))


def test_walsender_ends(db, server, subscribe):
    """All of them are asked for again when PostgreSQL ends the connection."""
    db.sql("CREATE PUBLICATION one FOR TABLE other")
    stream = subscribe(several(server, "pub", "one"))
    db.fill(1, 1)
    stream.expect(1)
    pid = db.terminate_walsender()
    db.wait_walsender(other_than=pid)
    db.transaction("INSERT INTO other (id) VALUES (2)",
                   "INSERT INTO t VALUES (3)")
    stream.expect(3)
    assert stream.ids() == [1, 2, 3]


@pytest.mark.parametrize("names", [
    ["pub", "absent"], ["absent", "pub"], ["pub", "Odd, one"]])
def test_missing(db, names):
    """One that is missing is named; no slot is left behind."""
    missing = next(name for name in names if name != "pub")
    options = [f"--publication={name}" for name in names]
    line = fails("-c", db.conninfo(), "start", *options, "--slot", db.slot,
                 "--host", "127.0.0.1", "--port", "0", "--temporary", "false",
                 naming=[missing], code=1)
    assert '"pub"' not in line
    assert db.slots() == []


def test_operations_add_up(db, server, subscribe):
    """Each says which operations it publishes; one of them is enough."""
    db.sql("ALTER PUBLICATION pub SET (publish = 'insert')")
    db.sql("CREATE PUBLICATION one FOR TABLE t WITH"
           " (publish = 'insert, truncate')")
    db.sql("CREATE PUBLICATION two FOR TABLE t, other WITH"
           " (publish = 'delete')")
    stream = subscribe(several(server, "pub", "one", "two"))
    db.transaction(
        "INSERT INTO t VALUES (1), (2)", "UPDATE t SET v = 'x'",
        "INSERT INTO other (id) VALUES (1)", "DELETE FROM t WHERE id = 1",
        "DELETE FROM other", "TRUNCATE t, other")
    found, = stream.transactions(1)
    assert [(e.op, e.table) for e in stream.events] == [
        ("insert", "t"), ("insert", "t"), ("delete", "t"),
        ("delete", "other"), ("truncate", "t")]
    assert [e.seq for e in found.events] == [1, 2, 3, 4, 5]


def test_row_filters_add_up(db, server, client):
    """A row that one of several filters lets pass comes, once."""
    db.needs(15, "row filters")
    for name, where in ("low", "id < 5"), ("mid", "id > 3 AND id < 7"), (
            "none", "id = 0"):
        db.sql(f"CREATE PUBLICATION {name} FOR TABLE t WHERE ({where})")
    stream = client(several(server, "low", "mid", "none"))
    db.fill(1, 9)
    stream.expect(6)
    assert stream.ids() == [1, 2, 3, 4, 5, 6]


# Filters, lists, schemas

def test_row_filter(f, server, subscribe):
    """Rows come as the filter sees them: an update that moves one out of it
    is a delete, into it an insert."""
    stream = subscribe(server())
    f.sql("INSERT INTO f VALUES (-1, 0, 'in'), (10, 0, 'out')")
    f.sql("UPDATE f SET v = 'w' WHERE id IN (0, 8)")
    f.sql("UPDATE f SET id = 11 WHERE id = 1")
    f.sql("UPDATE f SET id = -2 WHERE id = 9")
    f.sql("DELETE FROM f WHERE id IN (4, 5)")
    stream.expect(5)
    assert told(stream) == [
        ("insert", "f", {"id": -1, "n": 0, "v": "in"}),
        ("update", "f", {"id": 0, "n": 0, "v": "w"}),
        ("delete", "f", {"id": 1}),
        ("insert", "f", {"id": -2, "n": 9, "v": "v"}),
        ("delete", "f", {"id": 4})]


def test_row_filter_full(f, server, subscribe):
    """Under FULL the delete it makes has the whole old row."""
    f.sql("ALTER TABLE f REPLICA IDENTITY FULL")
    stream = subscribe(server())
    f.sql("UPDATE f SET id = 11, v = 'x' WHERE id = 1")
    f.sql("UPDATE f SET v = 'y' WHERE id = 2")
    stream.expect(2)
    assert [(row.json_payload, row.old_json_payload)
            for row in stream.rows()] == [
        ('{"id":1,"n":1,"v":"v"}', ""),
        ('{"id":2,"n":2,"v":"y"}', '{"id":2,"n":2,"v":"v"}')]


def test_row_filter_on_toast(db, server, subscribe):
    """A row that comes into the filter is an insert of all of it, the large
    value that did not change too."""
    db.needs(15, "row filters")
    db.sql("CREATE TABLE b (id int PRIMARY KEY, v text)")
    db.sql("ALTER TABLE b ALTER v SET STORAGE EXTERNAL")
    db.sql("ALTER TABLE b REPLICA IDENTITY FULL")
    db.sql("ALTER PUBLICATION pub ADD TABLE b"
           " WHERE (id > 0 AND length(v) > 9)")
    db.sql("INSERT INTO b VALUES (-1, repeat('x', 5000))")
    stream = subscribe(server())
    db.sql("UPDATE b SET id = 1")
    stream.expect(1)
    row, = stream.of("insert")
    assert row.json_payload == db.printed("b")


def test_column_list(db, server, subscribe):
    """Only the listed columns come, of old rows and keys, too; whatever was
    updated, it is an update."""
    db.needs(15, "column lists")
    db.sql("CREATE TABLE c (a int, b int, c text, d int, PRIMARY KEY (d, a))")
    db.sql("ALTER PUBLICATION pub ADD TABLE c (d, c, a)")
    stream = subscribe(server())
    db.sql("INSERT INTO c VALUES (1, 2, 'c', 4)")
    db.sql("UPDATE c SET b = 3")
    db.sql("UPDATE c SET a = 7")
    db.sql("DELETE FROM c")
    stream.expect(4)
    assert [(row.json_payload, row.old_json_payload)
            for row in stream.rows()] == [
        ('{"a":1,"c":"c","d":4}', ""), ('{"a":1,"c":"c","d":4}', ""),
        ('{"a":7,"c":"c","d":4}', '{"a":1,"d":4}'), ('{"a":7,"d":4}', "")]


def test_column_list_and_toast(db, server, subscribe):
    """Unchanged large values outside the list are not named."""
    db.needs(15, "column lists")
    db.sql("CREATE TABLE c (id int PRIMARY KEY, a text, b text)")
    db.sql("ALTER TABLE c ALTER a SET STORAGE EXTERNAL,"
           " ALTER b SET STORAGE EXTERNAL")
    db.sql("ALTER PUBLICATION pub ADD TABLE c (id, b)")
    db.sql("INSERT INTO c SELECT 1, s, s FROM repeat('x', 5000) s")
    stream = subscribe(server())
    db.sql("UPDATE c SET id = 2")
    stream.expect(1)
    row = stream.rows()[0]
    assert (row.json_payload, list(row.unchanged_columns)) == (
        '{"id":2}', ["b"])


def test_tables_in_schema(db, server, client):
    """TABLES IN SCHEMA: what is made there or moved there later, too."""
    db.needs(15, "TABLES IN SCHEMA")
    db.sql("CREATE SCHEMA s; CREATE SCHEMA r; CREATE TABLE s.a (id int);"
           " CREATE TABLE r.b (id int)")
    db.sql("ALTER PUBLICATION pub ADD TABLES IN SCHEMA s")
    stream = client(server())
    db.sql("INSERT INTO s.a VALUES (1)")
    db.sql("INSERT INTO r.b VALUES (2)")
    db.sql("CREATE TABLE s.c AS SELECT 3 AS id")
    db.sql("ALTER TABLE r.b SET SCHEMA s")
    db.sql("INSERT INTO s.b VALUES (4)")
    db.sql("ALTER PUBLICATION pub DROP TABLES IN SCHEMA s")
    db.sql("INSERT INTO s.a VALUES (5)")
    db.fill(6, 6)
    stream.expect(4)
    assert [(e.schema, e.table) for e in stream.events] == [
        ("s", "a"), ("s", "c"), ("s", "b"), ("public", "t")]
    assert stream.ids() == [1, 3, 4, 6]


# Changes while streaming

@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_tables_change(db, stream, together):
    """A table added, dropped or set is so from the exact row on, also within
    a transaction."""
    if together:
        db.sql("BEGIN")
    for n, change in enumerate([
            "ADD TABLE other", "DROP TABLE t", "SET TABLE t",
            "SET TABLE other", "ADD TABLE t", "DROP TABLE t, other"]):
        db.sql("INSERT INTO t VALUES (%s)", (10 * n,))
        db.sql("INSERT INTO other VALUES (%s)", (10 * n + 1,))
        db.sql(f"ALTER PUBLICATION pub {change}")
    db.sql("INSERT INTO t VALUES (60)")
    db.sql("INSERT INTO other VALUES (61)")
    if together:
        db.sql("COMMIT")
    db.publish("t")
    db.fill(70, 70)
    stream.expect(9)
    assert stream.ids() == [0, 10, 11, 21, 30, 41, 50, 51, 70]


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_operations_change(db, stream, together):
    """publish may change, too."""
    if together:
        db.sql("BEGIN")
    for n, publish in enumerate(["insert", "update, delete", "truncate",
                                 "insert, update, delete, truncate"]):
        db.sql(f"ALTER PUBLICATION pub SET (publish = '{publish}')")
        db.sql("INSERT INTO t VALUES (%s)", (n,))
        db.sql("UPDATE t SET v = 'x'")
        db.sql("DELETE FROM t")
        db.sql("TRUNCATE t")
    if together:
        db.sql("COMMIT")
    stream.expect(8)
    assert [e.op for e in stream.events] == [
        "insert", "update", "delete", "truncate", "insert", "update",
        "delete", "truncate"]
    assert stream.ids() == [0, 1, 1, 3, 3, 3]


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_filters_and_lists_change(f, stream, together):
    """So may row filters and column lists."""
    if together:
        f.sql("BEGIN")
    for n, what in enumerate(["f (id, v)", "f (id, n) WHERE (n < 10)",
                              "f WHERE (id > 100)", "f"]):
        f.sql(f"ALTER PUBLICATION pub SET TABLE {what}")
        f.sql("INSERT INTO f VALUES (%s, 9, 'a'), (%s, 10, 'b')",
              (100 + n, n - 10))
    if together:
        f.sql("COMMIT")
    expected = [
        {"id": 100, "v": "a"}, {"id": -10, "v": "b"}, {"id": 101, "n": 9},
        {"id": 102, "n": 9, "v": "a"}, {"id": 103, "n": 9, "v": "a"},
        {"id": -7, "n": 10, "v": "b"}]
    stream.expect(len(expected))
    assert [row for *_, row in told(stream)] == expected


def test_published_late(db, server, subscribe):
    """A table created, published and filled in one transaction is streamed
    whole; so is one that was published before streaming began."""
    stream = subscribe(server())
    db.transaction(
        "CREATE TABLE a (id int PRIMARY KEY, v text)",
        "INSERT INTO a VALUES (1, 'no')", "ALTER PUBLICATION pub ADD TABLE a",
        "INSERT INTO a VALUES (2, 'yes')", "UPDATE a SET v = 'x'")
    found, = stream.transactions(1)
    assert [(e.op, e.payload) for e in stream.events] == [
        ("insert", '{"id":2,"v":"yes"}'), ("update", '{"id":1,"v":"x"}'),
        ("update", '{"id":2,"v":"x"}')]
    assert [e.seq for e in found.events] == [1, 2, 3]
