"""Types that are made, changed and dropped while streaming."""

import json
import time

import pytest

from waiting import SCALE

pytest_plugins = ["subscriber"]

# Types made while streaming, and a value of each.
NEW = [
    ("CREATE TYPE {} AS ENUM ('so \"so\"', 'é')", "'so \"so\"'"),
    ("CREATE DOMAIN {} AS int CHECK (VALUE > 0)", "7"),
    ("CREATE DOMAIN {} AS jsonb", "'{{\"a\": [1, null]}}'"),
    ("CREATE DOMAIN {0}_d AS numeric(6, 2)[]; CREATE TYPE {0} AS (d {0}_d)",
     "ROW('{{1,NULL}}')"),
    ("CREATE TYPE {} AS (a int, b text, c bool)", "(1, 'x \"y\"', true)"),
    ("CREATE TYPE {} AS ()", "ROW()"),
    ("CREATE TYPE {} AS (a t, j json)", "((1, 'v'), '[1, 2]')"),
    ("CREATE TYPE {} AS RANGE (subtype = numeric)", "'[1,2.5)'"),
    ("CREATE TABLE {} (x int, y text[])", "(1, '{{a,\"b c\"}}')"),
    ("CREATE TYPE {0}_e AS ENUM ('v'); CREATE DOMAIN {0}_d AS {0}_e;"
     " CREATE TYPE {0}_c AS (d {0}_d, ds {0}_d[]);"
     " CREATE DOMAIN {0} AS {0}_c", "('v', '{{v}}')"),
]


def creation(n):
    """What makes the type n, a table of it and its array, and a row."""
    statement, value = NEW[n]
    name = f"y{n}"
    return statement.format(name).split("; ") + [
        f"CREATE TABLE x{n} (id int PRIMARY KEY, v {name}, a {name}[])",
        f"ALTER PUBLICATION pub ADD TABLE x{n}",
        f"INSERT INTO x{n} SELECT {n}, v, ARRAY[v, NULL]"
        f" FROM (SELECT {value.format()}::{name} AS v) s"]


def create(db, n):
    for statement in creation(n):
        db.sql(statement)


@pytest.fixture
def composite(db):
    """A type c of two attributes, and a table of it and its array."""
    db.sql("CREATE TYPE c AS (a int, b text)")
    db.sql("CREATE TABLE x (id int PRIMARY KEY, c c, cs c[])")
    db.publish("x")
    return db


def insert(db, key, value, table="x"):
    db.sql(f"INSERT INTO {table} VALUES ({key}, ROW({value}),"
           f" ARRAY[ROW({value})::c])")


def payloads(stream):
    return [event.payload for event in stream.events]


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_new(db, server, subscribe, together):
    """Values of types that were not there when walstream connected, also of
    types made in the same transaction, and arrays of them."""
    stream = subscribe(server())
    db.fill(100, 100)
    stream.expect(1)
    for n in range(len(NEW)):
        if together:
            db.transaction(*creation(n))
        else:
            create(db, n)
    expected = [db.printed(f"x{n}", n) for n in range(len(NEW))]
    stream.expect(1 + len(NEW))
    assert payloads(stream)[1:] == expected


def test_new_all_at_once(db, server, subscribe):
    """All of them in one transaction, between other rows."""
    walstream = server()
    streams = [subscribe(walstream, ack_commits=n == 0) for n in range(3)]
    db.fill(100, 100)
    db.sql("BEGIN")
    for n in range(len(NEW)):
        db.sql(f"INSERT INTO t VALUES ({200 + n})")
        create(db, n)
    db.sql("COMMIT")
    db.fill(300, 300)
    for stream in streams:
        _, found, _ = stream.transactions(3)
        assert [e.seq for e in found.events] \
            == list(range(1, 2 * len(NEW) + 1))
        assert [e.json_payload for e in found.events[1::2]] \
            == [db.printed(f"x{n}", n) for n in range(len(NEW))]
        assert stream.ids()[1::2] == [
            200 + n for n in range(len(NEW))] + [300]


def test_new_column(db, stream):
    """A column of a new type is added to a table, within a transaction."""
    db.fill(1, 1)
    db.sql("BEGIN")
    db.sql("INSERT INTO t VALUES (2)")
    db.sql("CREATE TYPE mood AS ENUM ('sad')")
    db.sql("ALTER TABLE t ADD m mood[]")
    db.sql("INSERT INTO t VALUES (3, 'x', '{sad,NULL}')")
    db.sql("COMMIT")
    stream.expect(3)
    assert payloads(stream)[1:] == [
        '{"id":2,"v":null}', '{"id":3,"v":"x","m":["sad",null]}']


def test_retyped_column(db, stream):
    """So is an old column made one of a new type."""
    db.fill(1, 1)
    db.sql("CREATE TYPE pair AS (a text, b text)")
    db.sql("ALTER TABLE t ALTER v TYPE pair USING ROW(v, v)")
    db.sql("UPDATE t SET id = 2")
    stream.expect(2)
    assert payloads(stream)[1] == '{"id":2,"v":{"a":"x","b":"x"}}'


def test_enum_values(db, stream):
    """Values added to an enum, and its values and itself renamed."""
    db.sql("CREATE TYPE mood AS ENUM ('sad')")
    db.sql("ALTER TABLE t ADD m mood")
    db.sql("INSERT INTO t (id, m) VALUES (1, 'sad')")
    db.sql("ALTER TYPE mood ADD VALUE 'gay'")
    db.sql("INSERT INTO t (id, m) VALUES (2, 'gay')")
    db.sql("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
    db.sql("ALTER TYPE mood RENAME TO temper")
    db.sql("UPDATE t SET v = 'x' WHERE id = 1")
    stream.expect(3)
    assert [json.loads(p)["m"] for p in payloads(stream)] == [
        "sad", "gay", "blue"]


def test_attributes(composite, server, subscribe):
    """Attributes added to and dropped from a composite type: each row has
    those of its moment."""
    db = composite
    stream = subscribe(server())
    expected = []
    for key, (change, value) in enumerate([
            (None, "1, 'x'"), (None, "2, 'y'"),
            ("ADD ATTRIBUTE d numeric", "3, 'z', 1.50"),
            ("ADD ATTRIBUTE e bool[]", "4, NULL, 2, '{t}'"),
            ("DROP ATTRIBUTE a", "'(,)', 3, '{}'"),
            ("DROP ATTRIBUTE b, DROP ATTRIBUTE e", "4")]):
        if change:
            db.sql(f"ALTER TYPE c {change}")
        insert(db, key, value)
        expected.append(db.printed("x", key))
        stream.expect(key + 1)
    assert payloads(stream) == expected


def test_two_versions(composite, server, subscribe):
    """A type gets another attribute within a transaction: the rows before it
    do not have it, those after it do, for every stream."""
    db = composite
    walstream = server()
    streams = [subscribe(walstream, ack_commits=n == 0) for n in range(2)]
    insert(db, 1, "1, 'x'")
    for stream in streams:
        stream.expect(1)
    db.sql("BEGIN")
    insert(db, 2, "2, 'y'")
    expected = [db.printed("x", 1), db.printed("x", 2)]
    db.sql("ALTER TYPE c ADD ATTRIBUTE d numeric")
    insert(db, 3, "3, 'z', 1.50")
    db.sql("UPDATE x SET id = 4 WHERE id = 1")
    expected += [db.printed("x", 3), db.printed("x", 4)]
    db.sql("COMMIT")
    for stream in streams:
        _, found = stream.transactions(2)
        assert payloads(stream) == expected
        assert [e.seq for e in found.events] == [1, 2, 3]


def test_nested_attributes(composite, server, subscribe):
    """So it is deep within other types."""
    db = composite
    db.sql("CREATE DOMAIN d AS c")
    db.sql("CREATE TYPE o AS (n int, c c[], d d)")
    db.sql("CREATE TABLE n (id int PRIMARY KEY, o o[])")
    db.publish("n")
    stream = subscribe(server())
    expected = []
    for key, (change, value, more) in enumerate([
            ("TYPE c OWNER TO postgres", "1, 'x'", ""),
            ("TYPE c ADD ATTRIBUTE e date", "2, 'y', '2024-02-29'", ""),
            ("TYPE o ADD ATTRIBUTE p int", "3, 'z', NULL", ", 7")]):
        db.sql(f"ALTER {change}")
        db.sql(f"INSERT INTO n SELECT {key}, ARRAY[ROW(1, ARRAY[v], v{more})]"
               f"::o[] FROM (SELECT ROW({value})::c v) s")
        expected.append(db.printed("n", key))
        stream.expect(key + 1)
    assert payloads(stream) == expected


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_row_type(db, server, subscribe, together):
    """A column may have a table's row type, and that changes with the
    table."""
    db.sql("CREATE TABLE r (id int PRIMARY KEY, r t, rs t[])")
    db.publish("r")
    stream = subscribe(server())
    row = "INSERT INTO r VALUES ({0}, ROW({1}), ARRAY[ROW({1})::t, NULL])"
    db.sql(row.format(1, "1, 'x'"))
    stream.expect(1)
    if together:
        db.sql("BEGIN")
    db.sql(row.format(2, "2, NULL"))
    expected = [db.printed("r", 1), db.printed("r", 2)]
    db.sql("ALTER TABLE t ADD w int[]")
    db.sql(row.format(3, "1, 'x', '{2}'"))
    db.sql("INSERT INTO t VALUES (4)")
    expected += [db.printed("r", 3), db.printed("t", 4)]
    if together:
        db.sql("COMMIT")
    stream.expect(4)
    assert payloads(stream) == expected


def test_old_rows(composite, server, subscribe):
    """Old rows and values that did not change have the attributes, too."""
    db = composite
    db.sql("ALTER TABLE x REPLICA IDENTITY FULL")
    db.sql("ALTER TABLE x ALTER cs SET STORAGE EXTERNAL")
    stream = subscribe(server())
    insert(db, 1, "1, repeat('x', 5000)")
    stream.expect(1)
    db.sql("ALTER TYPE c ADD ATTRIBUTE d int")
    old = db.printed("x")
    db.sql("UPDATE x SET c.d = 7")
    new = db.printed("x")
    db.sql("DELETE FROM x")
    stream.expect(3)
    _, update, delete = stream.rows()
    assert (update.old_json_payload, update.json_payload) == (old, new)
    assert delete.json_payload == new


def test_read_later(composite, server, subscribe):
    """Rows read later, when their type has other attributes, are the text in
    place of what does not fit; those that fit are objects."""
    db = composite
    walstream = server()
    insert(db, 1, "1, 'x y'")
    db.sql("ALTER TYPE c ADD ATTRIBUTE d int")
    insert(db, 2, "1, 'x', 2")
    stream = subscribe(walstream)
    stream.transactions(2)
    assert json.loads(payloads(stream)[0]) in (
        {"id": 1, "c": '(1,"x y")', "cs": '{"(1,\\"x y\\")"}'},
        {"id": 1, "c": '(1,"x y")', "cs": ['(1,"x y")']},
        {"id": 1, "c": {"a": 1, "b": "x y"}, "cs": [{"a": 1, "b": "x y"}]})
    assert payloads(stream)[1] == db.printed("x", 2)


def test_dropped(db, server, subscribe):
    """Values of types that are gone when they are read are their text."""
    walstream = server()
    db.sql("CREATE TYPE mood AS ENUM ('sad')")
    db.sql("CREATE TYPE c AS (a int, b text)")
    db.sql("CREATE DOMAIN d AS int")
    db.sql("CREATE TABLE x (id int PRIMARY KEY, m mood, ms mood[], c c, d d)")
    db.publish("x")
    db.sql("INSERT INTO x VALUES (1, 'sad', '{sad}', (1, 'x \"y\"'), 7)")
    db.sql("DROP TABLE x; DROP TYPE mood, c; DROP DOMAIN d")
    db.fill(2, 2)
    stream = subscribe(walstream, relations=True)
    stream.transactions(2)
    assert json.loads(payloads(stream)[0]) == {
        "id": 1, "m": "sad", "ms": "{sad}", "c": '(1,"x ""y""")', "d": "7"}
    assert [len(m.columns) for m in stream.of("relation")] == [5, 2]
    assert stream.of("relation")[0].columns[1].name == "m"


def test_dropped_while_streaming(composite, server, subscribe):
    """What was known before it was dropped is printed as before."""
    db = composite
    stream = subscribe(server())
    insert(db, 1, "1, 'x'")
    stream.expect(1)
    insert(db, 2, "2, 'y'")
    expected = db.printed("x", 2)
    db.sql("DROP TABLE x; DROP TYPE c")
    stream.expect(2)
    assert payloads(stream)[1] == expected


def test_recreated(db, server, subscribe):
    """A type made again under its name is another type."""
    stream = subscribe(server())
    expected = []
    for key, (kind, value) in enumerate([
            ("(a int)", "ROW(1)"), ("ENUM ('a')", "'a'"),
            ("(b bool, c int)", "ROW(true, 2)"),
            ("RANGE (subtype = int)", "'[1,2)'")]):
        db.sql("DROP TABLE IF EXISTS x; DROP TYPE IF EXISTS y")
        db.sql(f"CREATE TYPE y AS {kind}")
        db.sql("CREATE TABLE x (id int, y y, ys y[])")
        db.publish("x")
        db.sql(f"INSERT INTO x VALUES ({key}, {value},"
               f" ARRAY[{value}::y])")
        expected.append(db.printed("x", key))
        stream.expect(key + 1)
    assert payloads(stream) == expected


def test_rolled_back(composite, server, subscribe):
    """Types made or altered and rolled back are as if they had not been."""
    db = composite
    stream = subscribe(server())
    insert(db, 1, "1, 'x'")
    db.sql("BEGIN; ALTER TYPE c ADD ATTRIBUTE d int;"
           " CREATE TYPE e AS ENUM ('e'); ALTER TABLE x ADD e e;"
           " INSERT INTO x VALUES (2, (1, 'x', 2), '{}', 'e'); ROLLBACK")
    db.sql("BEGIN")
    db.sql("SAVEPOINT s")
    db.sql("ALTER TYPE c ADD ATTRIBUTE d int")
    insert(db, 3, "3, 'x', 3")
    db.sql("ROLLBACK TO s")
    insert(db, 4, "4, 'x'")
    db.sql("COMMIT")
    stream.expect(2)
    assert payloads(stream) == [db.printed("x", 1), db.printed("x", 4)]


def test_extension(db, server, subscribe):
    """hstore, created while streaming, takes the form of its cast to json;
    the types of another extension are text."""
    have = db.one("SELECT count(*) FROM pg_available_extensions"
                  " WHERE name IN ('hstore', 'cube')")
    if have < 2:
        pytest.skip("the extensions hstore and cube are not installed")
    stream = subscribe(server())
    db.fill(1, 1)
    db.sql("CREATE SCHEMA ext")
    for name in "hstore", "cube":
        db.sql(f"CREATE EXTENSION {name} SCHEMA ext")
    db.sql("CREATE TABLE x (id int, h ext.hstore, hs ext.hstore[],"
           " c ext.cube)")
    db.publish("x")
    db.sql("INSERT INTO x SELECT 1, h, ARRAY[h], '(1,2),(3,4)' FROM"
           " (SELECT 'a=>1, \"b c\"=>NULL, d=>\"e\\\"f\"'::ext.hstore h) s")
    stream.expect(2)
    assert payloads(stream)[1] == db.printed("x")


def test_own_base_type(db, stream):
    """A base type of one's own is its text."""
    db.sql("CREATE TYPE own")
    for name, function, taken, made in (
            ("own_in", "textin", "cstring", "own"),
            ("own_out", "textout", "own", "cstring")):
        db.sql(f"CREATE FUNCTION {name}({taken}) RETURNS {made} AS"
               f" '{function}' LANGUAGE internal IMMUTABLE STRICT")
    db.sql("CREATE TYPE own (INPUT = own_in, OUTPUT = own_out, LIKE = text)")
    db.sql("CREATE TABLE x (id int, o own, os own[])")
    db.publish("x")
    db.sql("INSERT INTO x VALUES (1, 'tr\"ue\n', '{a,\"b c\"}')")
    stream.expect(1)
    assert payloads(stream) == [db.printed("x")]


def test_own_cast(db, stream):
    """A cast to json of one's own is out of reach: such values are text."""
    db.sql("CREATE TYPE mood AS ENUM ('sad')")
    db.sql("CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE sql"
           " IMMUTABLE AS $$ SELECT '{\"cast\": true}'::json $$")
    db.sql("CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood)")
    db.sql("ALTER TABLE t ADD m mood")
    db.sql("INSERT INTO t VALUES (1, 'x', 'sad')")
    stream.expect(1)
    assert payloads(stream) == ['{"id":1,"v":"x","m":"sad"}']


def test_temporary_slot(db, server, client):
    """With a temporary slot, too."""
    stream = client(server(temporary=True))
    for n in range(len(NEW)):
        db.transaction(*creation(n))
    stream.expect(len(NEW))
    assert payloads(stream) == [db.printed(f"x{n}", n)
                                for n in range(len(NEW))]


def test_full_buffer(db, server, subscribe):
    """A new type turns up while the buffer is full and nobody reads."""
    stream = subscribe(server("--buffer-size", "256KiB"), held=True)
    db.sql("BEGIN")
    db.fill(1, 12000, 1000)
    create(db, 0)
    db.fill(12001, 15000, 1000)
    create(db, 4)
    db.sql("COMMIT")
    db.wait_stalled()
    stream.release()
    found, = stream.transactions(1)
    assert [e.seq for e in found.events] == list(range(1, 15003))
    assert [e.json_payload for e in found.events if e.table != "t"] == [
        db.printed("x0", 0), db.printed("x4", 4)]


def test_connections_end(db, server, subscribe):
    """While PostgreSQL ends every connection of walstream over and over
    again, no row is lost, repeated or printed in another way."""
    walstream = server()
    streams = [subscribe(walstream, ack_commits=n == 0) for n in range(2)]
    for n in range(len(NEW)):
        db.transaction(*creation(n))
        db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE datname = current_database()"
               " AND pid <> pg_backend_pid()")
        db.fill(100 + n, 100 + n)
    for stream in streams:
        stream.expect(2 * len(NEW), 60)
        assert payloads(stream)[::2] == [db.printed(f"x{n}", n)
                                         for n in range(len(NEW))]
        assert stream.ids()[1::2] == [100 + n for n in range(len(NEW))]


def test_many(db, server, subscribe):
    """One hundred new types, each in a transaction of its own, while two
    streams are attached."""
    walstream = server()
    streams = [subscribe(walstream, ack_commits=True), subscribe(walstream)]
    for n in range(100):
        db.transaction(f"CREATE TYPE y{n} AS (n int, \"{n}\" text)",
                       f"CREATE TABLE x{n} (id int, y y{n})",
                       f"ALTER PUBLICATION pub ADD TABLE x{n}",
                       f"INSERT INTO x{n} VALUES ({n}, ({n}, 'x'))")
    for stream in streams:
        stream.transactions(100)
        assert payloads(stream) == [
            f'{{"id":{n},"y":{{"n":{n},"{n}":"x"}}}}' for n in range(100)]


def test_renamed_attribute(composite, server, client):
    """PostgreSQL does not tell of it; the new name is there within 3 s."""
    stream = client(server())
    insert(composite, 1, "1, 'v'")
    stream.expect(1)
    composite.sql("ALTER TYPE c RENAME ATTRIBUTE a TO renamed")
    begin = time.monotonic()
    count = 1
    while '"renamed"' not in payloads(stream)[-1]:
        assert time.monotonic() - begin < 3.5 * SCALE
        time.sleep(0.3)
        count += 1
        insert(composite, count, "1, 'v'")
        stream.expect(count)
    assert payloads(stream)[-1] == composite.printed("x", count)
