"""Large values that did not change: left out and named, never null."""

import json

import pytest

from client import FULL, KEY, METHOD, NO_OLD

pytest_plugins = ["subscriber"]

V, W = "v" * 5000, "w" * 6000


def create(db, identity):
    """Row 1 of a table whose v and w are stored out of line."""
    db.sql("CREATE TABLE big (id int PRIMARY KEY, v text, n int NOT NULL,"
           " w text)")
    db.sql("ALTER TABLE big ALTER v SET STORAGE EXTERNAL,"
           " ALTER w SET STORAGE EXTERNAL")
    db.sql("CREATE UNIQUE INDEX big_n ON big (n)")
    db.sql(f"ALTER TABLE big REPLICA IDENTITY {identity}")
    db.publish("big")
    db.sql("INSERT INTO big VALUES (1, %s, 1, %s)", (V, W))


@pytest.fixture(params=["DEFAULT", "USING INDEX big_n"],
                ids=["default", "index"])
def big(db, request):
    """That table under an identity of which PostgreSQL sends the key."""
    create(db, request.param)
    return db


@pytest.fixture
def full(db):
    """That table under REPLICA IDENTITY FULL."""
    create(db, "FULL")
    return db


def update(db, stream, statement):
    """Runs it; its event, the only one of the stream."""
    db.sql(statement)
    stream.expect(1)
    return stream.rows()[0]


@pytest.mark.parametrize("statement, payload, unchanged", [
    ("SET id = id", {"id": 1, "n": 1}, ["v", "w"]),
    ("SET v = 'x' || v", {"id": 1, "v": "x" + V, "n": 1}, ["w"]),
    ("SET w = NULL", {"id": 1, "n": 1, "w": None}, ["v"]),
    ("SET v = '', w = 'w'", {"id": 1, "v": "", "n": 1, "w": "w"}, []),
    ("SET w = repeat('w', 6000)", {"id": 1, "n": 1, "w": W}, ["v"]),
], ids=["nothing", "one", "null", "both", "same"])
def test_named(big, server, subscribe, statement, payload, unchanged):
    """What is not sent is named, in the order of the table; what was written
    is in the payload, even if it is the same."""
    row = update(big, subscribe(server()), f"UPDATE big {statement}")
    assert json.loads(row.json_payload) == payload
    assert list(json.loads(row.json_payload)) == list(payload)
    assert list(row.unchanged_columns) == unchanged
    assert (row.old_json_payload, row.identity) == ("", NO_OLD)


def test_key_changed(db, server, subscribe):
    """A changed key comes beside it, and is all the old row there is."""
    create(db, "DEFAULT")
    row = update(db, subscribe(server()), "UPDATE big SET id = 2")
    assert row.json_payload == '{"id":2,"n":1}'
    assert list(row.unchanged_columns) == ["v", "w"]
    assert (row.old_json_payload, row.identity) == ('{"id":1}', KEY)


@pytest.mark.parametrize("statement", [
    "SET n = 2", "SET v = 'short'", "SET w = NULL, id = 7"])
def test_filled_in(full, server, subscribe, statement):
    """Under FULL both rows are whole and nothing is named."""
    old = full.printed("big")
    row = update(full, subscribe(server()), f"UPDATE big {statement}")
    key = 7 if "id" in statement else 1
    assert row.json_payload == full.printed("big", key)
    assert (row.old_json_payload, row.identity) == (old, FULL)
    assert list(row.unchanged_columns) == []


def test_filled_in_of_all_kinds(db, server, subscribe):
    """What is filled in prints as its type does."""
    db.sql("CREATE TYPE pair AS (a int, b text)")
    columns = {"j": "jsonb", "a": "text[]", "b": "bytea", "p": "pair",
               "m": "numeric"}
    db.sql("CREATE TABLE kinds (id int PRIMARY KEY, n int, " + ", ".join(
        f"{name} {kind}" for name, kind in columns.items()) + ")")
    for name in columns:
        db.sql(f"ALTER TABLE kinds ALTER {name} SET STORAGE EXTERNAL")
    db.sql("ALTER TABLE kinds REPLICA IDENTITY FULL")
    db.publish("kinds")
    db.sql("INSERT INTO kinds SELECT 1, 1, jsonb_build_object('k', s),"
           " ARRAY[s, NULL, 'é\"'], convert_to(s, 'UTF8'), (1, s)::"
           "pair, repeat('12345678', 1000)::numeric FROM repeat('x', 5000) s")
    old = db.printed("kinds")
    row = update(db, subscribe(server()), "UPDATE kinds SET n = 2")
    assert row.json_payload == db.printed("kinds")
    assert row.old_json_payload == old


def test_inline(db, server, subscribe):
    """A value that compresses into the row is sent like any other."""
    stream = subscribe(server())
    db.sql("INSERT INTO t VALUES (1, repeat('x', 50000))")
    db.sql("UPDATE t SET id = id")
    stream.expect(2)
    row = stream.rows()[1]
    assert json.loads(row.json_payload) == {"id": 1, "v": "x" * 50000}
    assert list(row.unchanged_columns) == []


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_insert_and_delete(db, server, subscribe, identity):
    """They leave nothing out."""
    create(db, identity)
    whole = db.printed("big")
    stream = subscribe(server())
    db.sql("DELETE FROM big")
    db.sql("INSERT INTO big VALUES (1, %s, 1, %s)", (V, W))
    stream.expect(2)
    delete, insert = stream.rows()
    assert insert.json_payload == whole
    assert delete.json_payload == (
        whole if identity == "FULL" else '{"id":1}')
    assert list(insert.unchanged_columns) == []
    assert list(delete.unchanged_columns) == []


def test_toasted_key(db, server, subscribe):
    """A key that is stored out of line can be told from the event, also when
    another column changed."""
    key = "k" * 2300
    db.sql("CREATE TABLE k (id text PRIMARY KEY, n int)")
    db.sql("ALTER TABLE k ALTER id SET STORAGE EXTERNAL")
    db.publish("k")
    db.sql("INSERT INTO k VALUES (%s, 1)", (key,))
    stream = subscribe(server())
    db.sql("UPDATE k SET n = 2")
    db.sql("DELETE FROM k")
    stream.expect(2)
    row, delete = stream.rows()
    new = json.loads(row.json_payload)
    assert new["n"] == 2
    if "id" not in new:
        assert list(row.unchanged_columns) == ["id"]
        assert row.identity == KEY
        new["id"] = json.loads(row.old_json_payload)["id"]
    assert new["id"] == key
    assert json.loads(delete.json_payload) == {"id": key}


def test_odd_names(db, server, subscribe):
    """Columns are named as they are."""
    names = ['q"uo\\te', "é\n", "UPPER"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    db.sql("CREATE TABLE o (id int PRIMARY KEY, "
           + ", ".join(f"{name} text" for name in quoted) + ")")
    for name in quoted:
        db.sql(f"ALTER TABLE o ALTER {name} SET STORAGE EXTERNAL")
    db.publish("o")
    db.sql("INSERT INTO o VALUES (1, %s, %s, %s)", (V, V, V))
    row = update(db, subscribe(server()), "UPDATE o SET id = 2")
    assert list(row.unchanged_columns) == names


def test_many(db, server, subscribe):
    """Of 200 such columns, all are named."""
    names = [f"c{i}" for i in range(200)]
    db.sql("CREATE TABLE m (id int PRIMARY KEY, "
           + ", ".join(f"{name} text" for name in names) + ")")
    for name in names:
        db.sql(f"ALTER TABLE m ALTER {name} SET STORAGE EXTERNAL")
    db.publish("m")
    db.sql("INSERT INTO m SELECT 1, " + ", ".join(["s"] * 200)
           + " FROM repeat('x', 2500) s")
    row = update(db, subscribe(server()), "UPDATE m SET id = 2, c7 = 'x'")
    assert row.json_payload == '{"id":2,"c7":"x"}'
    assert list(row.unchanged_columns) == names[:7] + names[8:]


def test_session(db, server, subscribe):
    """Session streams say the same."""
    create(db, "DEFAULT")
    walstream = server()
    session = subscribe(walstream, begin=False, method=METHOD)
    stream = subscribe(walstream)
    db.sql("UPDATE big SET n = 2")
    db.sql("ALTER TABLE big REPLICA IDENTITY FULL")
    db.sql("UPDATE big SET n = 3, v = 'x'")
    stream.expect(2)
    session.expect(2)
    assert session.rows() == stream.rows()
    first, second = session.rows()
    assert list(first.unchanged_columns) == ["v", "w"]
    assert second.identity == FULL
