"""Old rows and keys: what each REPLICA IDENTITY lets an event say."""

import psycopg
import pytest

from client import FULL, KEY, METHOD, NO_OLD

pytest_plugins = ["subscriber"]

UPDATE_C = "UPDATE k SET c = 'x'"
UPDATE_A = "UPDATE k SET a = 7"
UPDATE_B = "UPDATE k SET b = 8"
UPDATE_AC = "UPDATE k SET a = 7, c = NULL"
UPDATE_NONE = "UPDATE k SET a = a, b = b, c = c"
DELETE = "DELETE FROM k"
OLD = '{"a":1,"b":2,"c":"c"}'

# Of row (1, 2, 'c'): payload, old payload, identity.
CASES = {
    "DEFAULT": [
        (UPDATE_C, '{"a":1,"b":2,"c":"x"}', "", NO_OLD),
        (UPDATE_B, '{"a":1,"b":8,"c":"c"}', "", NO_OLD),
        (UPDATE_A, '{"a":7,"b":2,"c":"c"}', '{"a":1}', KEY),
        (UPDATE_AC, '{"a":7,"b":2,"c":null}', '{"a":1}', KEY),
        (UPDATE_NONE, OLD, "", NO_OLD),
        (DELETE, '{"a":1}', "", KEY)],
    "USING INDEX k_b": [
        (UPDATE_C, '{"a":1,"b":2,"c":"x"}', "", NO_OLD),
        (UPDATE_A, '{"a":7,"b":2,"c":"c"}', "", NO_OLD),
        (UPDATE_B, '{"a":1,"b":8,"c":"c"}', '{"b":2}', KEY),
        (DELETE, '{"b":2}', "", KEY)],
    "FULL": [
        (UPDATE_C, '{"a":1,"b":2,"c":"x"}', OLD, FULL),
        (UPDATE_AC, '{"a":7,"b":2,"c":null}', OLD, FULL),
        (UPDATE_NONE, OLD, OLD, FULL),
        (DELETE, OLD, "", FULL)],
}


def image(row):
    return row.json_payload, row.old_json_payload, row.identity


@pytest.fixture
def k(db):
    """A table k with two keys, empty and published."""
    db.sql("CREATE TABLE k (a int PRIMARY KEY, b int NOT NULL, c text)")
    db.sql("CREATE UNIQUE INDEX k_b ON k (b)")
    db.publish("k")
    return db


@pytest.mark.parametrize("identity", CASES, ids=lambda s: s.split()[0])
def test_images(k, server, subscribe, identity):
    """The old row under FULL; else the key, and of an update only when it
    changed. A delete's old row is its payload; an insert has none."""
    stream = subscribe(server())
    k.sql(f"ALTER TABLE k REPLICA IDENTITY {identity}")
    expected = []
    for statement, *images in CASES[identity]:
        k.sql("INSERT INTO k VALUES (1, 2, 'c')")
        k.sql(statement)
        expected += [(OLD, "", NO_OLD), tuple(images)]
        if statement != DELETE:
            k.sql("TRUNCATE k")
    truncates = len(CASES[identity]) - 1
    stream.expect(len(expected) + truncates)
    found = [image(row) for row in stream.of("insert", "update", "delete")]
    assert found[1::2] == expected[1::2]
    assert found == expected
    assert not any(row.unchanged_columns for row in stream.of("insert"))


def test_nothing(k, server, subscribe):
    """Under NOTHING, inserts and truncates are all there can be."""
    stream = subscribe(server())
    k.sql("ALTER TABLE k REPLICA IDENTITY NOTHING")
    k.sql("INSERT INTO k VALUES (1, 2, 'c')")
    for statement in UPDATE_C, DELETE:
        with pytest.raises(psycopg.Error):
            k.sql(statement)
    k.sql("TRUNCATE k")
    stream.transactions(2)
    insert, truncate = stream.rows()
    assert image(insert) == (OLD, "", NO_OLD)
    assert truncate.table == "k"


def test_no_key(db, server, subscribe):
    """A table without a key: its old rows are whole under FULL."""
    db.sql("CREATE TABLE n (a int, b text)")
    db.sql("ALTER TABLE n REPLICA IDENTITY FULL")
    db.publish("n")
    stream = subscribe(server())
    db.transaction("INSERT INTO n VALUES (1, NULL), (1, NULL)",
                   "UPDATE n SET b = ''", "DELETE FROM n")
    stream.expect(6)
    before, after = '{"a":1,"b":null}', '{"a":1,"b":""}'
    assert [image(row) for row in stream.rows()] == [
        (before, "", NO_OLD)] * 2 + [
        (after, before, FULL)] * 2 + [(after, "", FULL)] * 2


def test_several_key_columns(db, server, subscribe):
    """All of the key comes, also what did not change, in table order."""
    db.sql("CREATE TABLE m (a int, b text, c int, d int, PRIMARY KEY (d, a))")
    db.publish("m")
    stream = subscribe(server())
    db.sql("INSERT INTO m VALUES (1, 'b', 3, 4)")
    db.sql("UPDATE m SET d = 5")
    db.sql("DELETE FROM m")
    stream.expect(3)
    assert [image(row) for row in stream.rows()[1:]] == [
        ('{"a":1,"b":"b","c":3,"d":5}', '{"a":1,"d":4}', KEY),
        ('{"a":1,"d":5}', "", KEY)]


def test_old_values(db, server, subscribe):
    """Old rows and keys print as new rows do."""
    db.sql("CREATE TABLE v (id numeric(5, 2), at timestamptz, j jsonb,"
           " a int[], q text, PRIMARY KEY (id, at))")
    db.sql("INSERT INTO v VALUES (1.50, '2024-02-29 12:34:56+05:30',"
           " '{\"b\": [1, null]}', '{{1},{NULL}}', 'qu\"ote\n\\')")
    db.publish("v")
    whole = db.one("SELECT row_to_json(v)::text FROM v")
    key = db.one("SELECT row_to_json(x)::text FROM"
                 " (SELECT id, at FROM v) x")
    stream = subscribe(server())
    db.sql("UPDATE v SET id = 2")
    db.sql("UPDATE v SET id = 1.5")
    db.sql("ALTER TABLE v REPLICA IDENTITY FULL")
    db.sql("UPDATE v SET id = 2")
    db.sql("UPDATE v SET id = 1.5")
    db.sql("DELETE FROM v")
    stream.expect(5)
    rows = stream.rows()
    assert rows[0].old_json_payload == key
    assert rows[1].json_payload == whole
    assert rows[2].old_json_payload == whole
    assert image(rows[4]) == (whole, "", FULL)


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_identity_changed(k, server, subscribe, together):
    """A change of identity holds from the exact row on, also within a
    transaction."""
    stream = subscribe(server())
    if together:
        k.sql("BEGIN")
    k.sql("INSERT INTO k VALUES (1, 2, 'c')")
    changes = ["REPLICA IDENTITY FULL", "REPLICA IDENTITY USING INDEX k_b",
               "REPLICA IDENTITY DEFAULT", "REPLICA IDENTITY FULL",
               "DROP CONSTRAINT k_pkey, ADD PRIMARY KEY (b),"
               " REPLICA IDENTITY DEFAULT"]
    for n, change in enumerate([None] + changes):
        if change:
            k.sql(f"ALTER TABLE k {change}")
        k.sql(f"UPDATE k SET a = {10 + n}, b = {20 + n}")
    if together:
        k.sql("COMMIT")
    stream.expect(7)
    assert [(row.old_json_payload, row.identity)
            for row in stream.rows()[1:]] == [
        ('{"a":1}', KEY), ('{"a":10,"b":20,"c":"c"}', FULL),
        ('{"b":21}', KEY), ('{"a":12}', KEY),
        ('{"a":13,"b":23,"c":"c"}', FULL), ('{"b":24}', KEY)]


def test_change_lsn(k, server, subscribe):
    """change_lsn is the LSN PostgreSQL gives the change; rows of one record
    share it. relation_oid is the table's."""
    k.watch()
    stream = subscribe(server())
    k.sql("INSERT INTO k SELECT i, i FROM generate_series(1, 3) i")
    k.transaction("INSERT INTO t VALUES (1, '')", UPDATE_C,
                  "DELETE FROM k WHERE a = 2", "TRUNCATE k, t")
    with k.connect() as conn, conn.cursor() as cursor:
        with cursor.copy("COPY k FROM STDIN") as copy:
            copy.write("".join(f"{i}\t{i}\tc\n" for i in range(50)))
    expected = []
    for kind, lsn in k.changes():
        expected += [lsn] * {"I": 1, "U": 1, "D": 1, "T": 2}.get(kind, 0)
    stream.expect(len(expected))
    rows = stream.rows()
    assert [row.change_lsn for row in rows] == expected
    assert 0 not in expected and len(set(expected[-50:])) < 50
    oids = {table: k.oid(table) for table in ("k", "t")}
    assert [row.relation_oid for row in rows] \
        == [oids[row.table] for row in rows]


@pytest.mark.parametrize("identity", CASES, ids=lambda s: s.split()[0])
def test_session(k, server, subscribe, identity):
    """Session streams say the same."""
    walstream = server()
    session = subscribe(walstream, begin=False, method=METHOD)
    stream = subscribe(walstream)
    k.sql(f"ALTER TABLE k REPLICA IDENTITY {identity}")
    k.sql("INSERT INTO k VALUES (1, 2, 'c')")
    k.transaction(UPDATE_A, UPDATE_B, UPDATE_C, DELETE, "TRUNCATE k, t")
    stream.expect(7)
    session.expect(7)
    assert session.rows() == stream.rows()
    assert all(row.change_lsn and row.relation_oid for row in session.rows())
    assert {row.identity for row in session.of("update")} \
        == {r[3] for r in CASES[identity] if r[0].startswith("UPDATE")}
