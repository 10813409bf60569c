"""Names of all kinds come as they are."""

import json

import pytest

pytest_plugins = ["subscriber"]

NAMES = [
    "UPPER", "with space", 'qu"ote', '"', "apo'strophe", "back\\slash",
    "new\nline", "tab\tand\rreturn", "é", "漢字", "\U0001F600", "e\u0301",
    "\u2028", "\x01\x7f", "select", "a.b", "a,b", "{}", "[*]?", "%s", "$1",
    " ", "0", "-- no", "x" * 63, "é" * 31]


def quote(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture
def odd(db):
    """A schema for each name, with an enum type and a table of that name,
    one of whose columns has it, too."""
    for name in NAMES:
        q = quote(name)
        enum = quote("m" + name[:20])
        db.transaction(
            f"CREATE SCHEMA {q}", f"CREATE TYPE {q}.{enum} AS ENUM ('v')",
            f"CREATE TABLE {q}.{q} (id int PRIMARY KEY, {q} {q}.{enum})",
            f"ALTER PUBLICATION pub ADD TABLE {q}.{q}")
    return db


def test_all(odd, server, subscribe):
    """Of schemas, tables and columns: in events, payloads and relations."""
    stream = subscribe(server(), relations=True)
    for name in NAMES:
        q = quote(name)
        odd.sql(f"INSERT INTO {q}.{q} VALUES (1, 'v')")
    odd.sql("TRUNCATE " + ", ".join(f"{quote(n)}.{quote(n)}" for n in NAMES))
    found = stream.transactions(len(NAMES) + 1)
    for name, (_, (row,), _) in zip(NAMES, found):
        q = quote(name)
        assert (row.schema, row.table) == (name, name)
        assert json.loads(row.json_payload) == {"id": 1, name: "v"}
        assert row.relation_oid == odd.oid(f"{q}.{q}")
    assert sorted((e.schema, e.table) for e in found[-1].events) \
        == sorted(zip(NAMES, NAMES))
    with odd.connect() as conn:
        conn.execute("SET search_path = pg_catalog")
        types = [conn.execute(
            "SELECT format_type(atttypid, NULL) FROM pg_attribute"
            " WHERE attrelid = %s AND attnum = 2",
            (relation.oid,)).fetchone()[0]
            for relation in stream.of("relation")]
    assert [(r.schema, r.table, r.columns[1].name, r.columns[1].type_name)
            for r in stream.of("relation")] == [
        (name, name, name, kind) for name, kind in zip(NAMES, types)]


def test_payload(odd, stream):
    """As keys of the payload they are escaped as row_to_json does it."""
    expected = []
    for name in NAMES:
        q = quote(name)
        odd.sql(f"INSERT INTO {q}.{q} VALUES (1, 'v')")
        expected.append(odd.printed(f"{q}.{q}"))
    stream.expect(len(NAMES))
    assert [event.payload for event in stream.events] == expected


def test_types(odd, server, subscribe):
    """Composite types' attributes, too."""
    attributes = ", ".join(f"{quote(name)} text" for name in NAMES)
    odd.sql(f"CREATE TYPE c AS ({attributes})")
    odd.sql("CREATE TABLE w (id int PRIMARY KEY, c c, cs c[])")
    odd.publish("w")
    stream = subscribe(server())
    values = ", ".join(["%s"] * len(NAMES))
    odd.sql(f"INSERT INTO w SELECT 1, x, ARRAY[x, NULL]"
            f" FROM (SELECT ({values})::c x) s", NAMES)
    stream.expect(1)
    assert stream.events[0].payload == odd.printed("w")


def test_publications(db, server, subscribe):
    """Of publications, all of them at once."""
    for n, name in enumerate(NAMES):
        db.sql(f"CREATE TABLE n{n} (id int)")
        db.sql(f"CREATE PUBLICATION {quote(name)} FOR TABLE n{n}")
    options = [f"--publication={name}" for name in NAMES]
    stream = subscribe(server(*options))
    for n in range(len(NAMES)):
        db.sql(f"INSERT INTO n{n} VALUES ({n})")
    stream.expect(len(NAMES))
    assert stream.ids() == list(range(len(NAMES)))
    assert list(stream.started.publications) == ["pub"] + NAMES


def test_filter(odd, server, subscribe):
    """A filter takes them as they are, but for what a glob means."""
    stream = subscribe(server(), tables=[
        'qu"ote.qu"ote', "new\nline.*", "漢字.漢*", "*. ", "UPPER.upper"])
    for name in NAMES:
        q = quote(name)
        odd.sql(f"INSERT INTO {q}.{q} VALUES (1, 'v')")
    odd.sql(f"INSERT INTO {quote(' ')}.{quote(' ')} VALUES (2, 'v')")
    stream.transactions(5)
    assert [event.table for event in stream.events] == [
        'qu"ote', "new\nline", "漢字", " ", " "]


def test_database(pg, server, client):
    """Of the database."""
    name = 'Data "base" é'
    with pg.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {quote(name)}")
    try:
        with pg.connect(name) as conn:
            conn.execute("CREATE TABLE t (id int); CREATE PUBLICATION pub"
                         " FOR TABLE t")
            walstream = server(
                temporary=True, connection=f"host=127.0.0.1 port={pg.port}"
                f" user=postgres dbname='{name}'")
            stream = client(walstream)
            conn.execute("INSERT INTO t VALUES (1)")
            stream.expect(1)
            stream.close()
            assert walstream.stop() == 0
    finally:
        with pg.connect("postgres") as admin:
            admin.execute(f"DROP DATABASE {quote(name)} WITH (FORCE)")
