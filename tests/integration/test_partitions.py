"""Partitioned tables, as their partitions or as themselves."""

import pytest

from client import FULL, KEY, NO_OLD

pytest_plugins = ["subscriber"]

VIA_ROOT = "ALTER PUBLICATION pub SET (publish_via_partition_root = %s)"


@pytest.fixture
def p(db):
    """A published table p: 0-9 are in low, which has the same columns, 10-19
    in high, which has others, 20-29 in deep, which is partitioned itself."""
    db.sql("CREATE TABLE p (id int PRIMARY KEY, v text)"
           " PARTITION BY RANGE (id)")
    db.sql("CREATE TABLE low PARTITION OF p FOR VALUES FROM (0) TO (10)")
    db.sql("CREATE TABLE high (gone int, v text, gone2 text,"
           " id int PRIMARY KEY)")
    db.sql("ALTER TABLE high DROP gone, DROP gone2")
    db.sql("ALTER TABLE p ATTACH PARTITION high FOR VALUES FROM (10) TO (20)")
    db.sql("CREATE TABLE deep PARTITION OF p FOR VALUES FROM (20) TO (30)"
           " PARTITION BY LIST (id)")
    db.sql("CREATE TABLE leaf PARTITION OF deep DEFAULT")
    db.publish("p")
    return db


@pytest.fixture
def root(p):
    """The same, with publish_via_partition_root."""
    p.sql(VIA_ROOT % "true")
    return p


def told(stream):
    return [(e.op, e.table, e.payload) for e in stream.events]


def work(db):
    """Rows into, within, across and out of the partitions."""
    db.sql("INSERT INTO p VALUES (1, 'a'), (11, 'b'), (21, 'c')")
    db.sql("UPDATE p SET v = 'x' WHERE id = 11")
    db.sql("UPDATE p SET id = 12 WHERE id = 1")
    db.sql("UPDATE p SET id = 22 WHERE id = 21")
    db.sql("DELETE FROM p WHERE id > 11")


def images(rows):
    return [(row.json_payload, row.old_json_payload, row.identity)
            for row in rows]


def test_leaves(p, server, subscribe):
    """Without publish_via_partition_root rows come as their partition's,
    with its columns; one that moves is a delete and an insert."""
    stream = subscribe(server())
    work(p)
    stream.expect(9)
    assert told(stream) == [
        ("insert", "low", '{"id":1,"v":"a"}'),
        ("insert", "high", '{"v":"b","id":11}'),
        ("insert", "leaf", '{"id":21,"v":"c"}'),
        ("update", "high", '{"v":"x","id":11}'),
        ("delete", "low", '{"id":1}'),
        ("insert", "high", '{"v":"a","id":12}'),
        ("update", "leaf", '{"id":22,"v":"c"}'),
        ("delete", "high", '{"id":12}'),
        ("delete", "leaf", '{"id":22}')]
    rows = stream.rows()
    assert [r.relation_oid for r in rows] == [p.oid(r.table) for r in rows]
    assert images(rows[6:7]) == [
        ('{"id":22,"v":"c"}', '{"id":21}', KEY)]


def test_root(root, server, subscribe):
    """With it all are the root's, and have the root's columns."""
    stream = subscribe(server())
    work(root)
    stream.expect(9)
    assert told(stream) == [
        ("insert", "p", '{"id":1,"v":"a"}'),
        ("insert", "p", '{"id":11,"v":"b"}'),
        ("insert", "p", '{"id":21,"v":"c"}'),
        ("update", "p", '{"id":11,"v":"x"}'),
        ("delete", "p", '{"id":1}'),
        ("insert", "p", '{"id":12,"v":"a"}'),
        ("update", "p", '{"id":22,"v":"c"}'),
        ("delete", "p", '{"id":12}'),
        ("delete", "p", '{"id":22}')]
    assert {row.relation_oid for row in stream.rows()} == {root.oid("p")}
    assert images(stream.rows()[6:7]) == [
        ('{"id":22,"v":"c"}', '{"id":21}', KEY)]


@pytest.mark.parametrize("via", ["leaves", "root"])
def test_full(p, server, subscribe, via):
    """Old rows have the columns of the table they are said to be of."""
    p.sql(VIA_ROOT % str(via == "root").lower())
    for table in "p", "low", "high":
        p.sql(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
    stream = subscribe(server())
    p.sql("INSERT INTO p VALUES (11, 'a')")
    p.sql("UPDATE p SET v = 'b'")
    p.sql("UPDATE p SET id = 1")
    rows = ['{"id":11,"v":"a"}', '{"id":11,"v":"b"}', '{"id":1,"v":"b"}']
    if via == "leaves":
        rows[:2] = ['{"v":"a","id":11}', '{"v":"b","id":11}']
    stream.expect(4)
    assert images(stream.rows()) == [
        (rows[0], "", NO_OLD), (rows[1], rows[0], FULL), (rows[1], "", FULL),
        (rows[2], "", NO_OLD)]


def test_truncate(p, server, subscribe):
    """TRUNCATE of the table is one of each partition, or one of the root; of
    a partition it is not one of the root."""
    stream = subscribe(server())
    p.sql("TRUNCATE p")
    p.sql("TRUNCATE deep")
    p.sql(VIA_ROOT % "true")
    p.sql("TRUNCATE high")
    p.sql("TRUNCATE p")
    found = stream.transactions(3)
    assert [sorted(e.table for e in t.events) for t in found] == [
        ["high", "leaf", "low"], ["leaf"], ["p"]]


def test_root_switched(p, server, subscribe):
    """publish_via_partition_root may change while streaming."""
    stream = subscribe(server())
    p.sql("INSERT INTO p VALUES (11, 'a')")
    p.sql(VIA_ROOT % "true")
    p.sql("INSERT INTO p VALUES (12, 'b')")
    p.sql(VIA_ROOT % "false")
    p.sql("INSERT INTO p VALUES (13, 'c')")
    stream.expect(3)
    assert [row for _, *row in told(stream)] == [
        ["high", '{"v":"a","id":11}'], ["p", '{"id":12,"v":"b"}'],
        ["high", '{"v":"c","id":13}']]


@pytest.mark.parametrize("via", ["leaves", "root"])
def test_attached_later(p, server, subscribe, via):
    """Partitions made, attached and detached while streaming."""
    p.needs(15, "decoding sees that partitions come and go")
    p.sql(VIA_ROOT % str(via == "root").lower())
    stream = subscribe(server())
    p.sql("CREATE TABLE late (v text, id int PRIMARY KEY)")
    p.sql("INSERT INTO late VALUES ('no', 30)")
    p.sql("ALTER TABLE p ATTACH PARTITION late FOR VALUES FROM (30) TO (40)")
    p.sql("INSERT INTO p VALUES (31, 'yes')")
    p.sql("ALTER TABLE p DETACH PARTITION high")
    p.sql("INSERT INTO high (id) VALUES (11)")
    p.sql("ALTER TABLE p DETACH PARTITION late")
    p.sql("INSERT INTO late VALUES ('no', 32)")
    p.sql("CREATE TABLE made PARTITION OF p FOR VALUES FROM (10) TO (20)")
    p.transaction("INSERT INTO p VALUES (12, 'yes')", "DROP TABLE made",
                  "ALTER TABLE p ADD w int",
                  "CREATE TABLE made PARTITION OF p DEFAULT",
                  "INSERT INTO p VALUES (13, 'yes', 1)")
    stream.expect(3)
    expected = [("late", '{"v":"yes","id":31}'),
                ("made", '{"id":12,"v":"yes"}'),
                ("made", '{"id":13,"v":"yes","w":1}')]
    if via == "root":
        expected = [("p", '{"id":31,"v":"yes"}'), ("p", expected[1][1]),
                    ("p", expected[2][1])]
    assert [(e.table, e.payload) for e in stream.events] == expected


def test_one_partition(p, server, client):
    """A publication of one partition has its rows alone."""
    p.sql("CREATE PUBLICATION one FOR TABLE high")
    stream = client(server(publication="one"))
    work(p)
    stream.expect(4)
    assert told(stream) == [
        ("insert", "high", '{"v":"b","id":11}'),
        ("update", "high", '{"v":"x","id":11}'),
        ("insert", "high", '{"v":"a","id":12}'),
        ("delete", "high", '{"id":12}')]


def test_unchanged_toast(root, server, subscribe):
    """Unchanged large values are named by the root's column."""
    large = "x" * 5000
    root.sql("ALTER TABLE high ALTER v SET STORAGE EXTERNAL")
    root.sql("INSERT INTO p VALUES (11, %s)", (large,))
    stream = subscribe(server())
    root.sql("UPDATE p SET id = 12")
    stream.expect(1)
    row = stream.rows()[0]
    assert images([row]) == [('{"id":12}', '{"id":11}', KEY)]
    assert list(row.unchanged_columns) == ["v"]


def test_filter(root, server, subscribe):
    """Streams are filtered by the name in the event."""
    walstream = server()
    ours = subscribe(walstream, tables=["public.p"])
    theirs = subscribe(walstream, tables=["public.high"])
    root.sql("INSERT INTO p VALUES (11, 'a')")
    root.sql(VIA_ROOT % "false")
    root.sql("INSERT INTO p VALUES (12, 'b')")
    ours.transactions(1)
    theirs.transactions(1)
    assert (ours.ids(), theirs.ids()) == ([11], [12])
