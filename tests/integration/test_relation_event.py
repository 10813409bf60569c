"""RelationEvent: the shape of a table, before the first row that has it."""

import pytest

from client import METHOD

pytest_plugins = ["subscriber"]

DEFAULT, NOTHING, FULL, INDEX = 1, 2, 3, 4  # enum ReplicaIdentity

# A change of table r (id int primary key, n int not null unique, v varchar).
CHANGES = {
    "add": "ALTER TABLE r ADD w text",
    "drop": "ALTER TABLE r DROP v",
    "rename column": "ALTER TABLE r RENAME v TO w",
    "type": "ALTER TABLE r ALTER n TYPE bigint",
    "typmod": "ALTER TABLE r ALTER v TYPE varchar(20)",
    "full": "ALTER TABLE r REPLICA IDENTITY FULL",
    "nothing": "ALTER TABLE r REPLICA IDENTITY NOTHING",
    "index": "ALTER TABLE r REPLICA IDENTITY USING INDEX r_n_key",
    "key": "ALTER TABLE r DROP CONSTRAINT r_pkey, ADD PRIMARY KEY (n, id)",
    "recreate": "DROP TABLE r; CREATE TABLE r (id int PRIMARY KEY, n int"
                " NOT NULL UNIQUE, v varchar(9));"
                " ALTER PUBLICATION pub ADD TABLE r",
    "rename": "ALTER TABLE r RENAME TO q;"
              " CREATE VIEW r AS SELECT * FROM q",
    "schema": "CREATE SCHEMA s; ALTER TABLE r SET SCHEMA s;"
              " CREATE VIEW r AS SELECT * FROM s.r",
}

# After these PostgreSQL describes the table anew, as it was.
NO_CHANGE = [
    "COMMENT ON TABLE r IS 'x'", "ANALYZE r", "GRANT SELECT ON r TO PUBLIC",
    "CREATE INDEX ON r (v)", "ALTER TABLE r ALTER v SET STATISTICS 5",
    "ALTER TABLE r ALTER v SET DEFAULT 'v'", "VACUUM FULL r",
    "ALTER TABLE r ADD CHECK (n > 0)", "CREATE TABLE another (id int)",
    "ALTER PUBLICATION pub ADD TABLE another", "ALTER TABLE r SET (fillfactor"
    " = 50)", "TRUNCATE r", "ALTER PUBLICATION pub SET (publish ="
    " 'insert, truncate')", "BEGIN; ALTER TABLE r ADD no int;"
    " INSERT INTO r VALUES (9999, 9999); ROLLBACK",
    "ALTER TABLE r ADD w int; ALTER TABLE r DROP w"]

SHAPE = """
SELECT attname, atttypid::bigint, format_type(atttypid, NULL), atttypmod,
       CASE relreplident WHEN 'f' THEN true
            WHEN 'n' THEN false
            ELSE EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid
                         AND attnum = ANY (indkey::int2[])
                         AND CASE relreplident WHEN 'd' THEN indisprimary
                             ELSE indisreplident END)
            END
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""


def catalogue(db, oid):
    """The columns of a table as PostgreSQL has them now."""
    return db.sql(SHAPE, (oid,))


def columns(relation):
    return [(c.name, c.type_oid, c.type_name, c.typmod, c.key)
            for c in relation.columns]


def insert(db, key, table="r"):
    db.sql(f"INSERT INTO {table} (id, n) VALUES ({key}, {key})")


@pytest.fixture
def r(db):
    """A database with the table r, published."""
    db.sql("CREATE TABLE r (id int PRIMARY KEY, n int NOT NULL UNIQUE,"
           " v varchar(9))")
    db.publish("r")
    return db


def test_asked_for(r, server, subscribe):
    """It comes to streams that asked for it, on Subscribe only."""
    walstream = server()
    session = subscribe(walstream, begin=False, method=METHOD)
    plain = subscribe(walstream)
    stream = subscribe(walstream, relations=True)
    insert(r, 1)
    stream.transactions(1)
    plain.transactions(1)
    session.expect(1)
    assert stream.ops() == ["begin", "relation", "insert", "commit"]
    assert plain.ops() == ["begin", "insert", "commit"]
    assert session.ops() == ["insert"]
    assert stream.rows() == plain.rows() == session.rows()
    assert stream.of("commit") == plain.of("commit")


def test_contents(r, server, subscribe):
    """All it says, of a simple table."""
    stream = subscribe(server(), relations=True)
    insert(r, 1)
    stream.transactions(1)
    relation, = stream.of("relation")
    assert (relation.oid, relation.schema, relation.table,
            relation.replica_identity) == (r.oid("r"), "public", "r", DEFAULT)
    assert columns(relation) == [
        ("id", 23, "integer", -1, True), ("n", 23, "integer", -1, False),
        ("v", 1043, "character varying", 13, False)]
    assert relation.oid == stream.rows()[0].relation_oid


def test_types(db, server, subscribe):
    """Types are named as format_type does it with nothing but pg_catalog in
    the search_path, whatever that is elsewhere."""
    db.set("search_path", "odd, public")
    db.sql('CREATE SCHEMA odd; CREATE TYPE odd."Mood" AS ENUM (\'sad\');'
           " CREATE TYPE public.pair AS (a int, b text);"
           " CREATE DOMAIN odd.positive AS int CHECK (VALUE > 0)")
    kinds = ['odd."Mood"', 'odd."Mood"[]', "public.pair", "odd.positive",
             "public.t", "int2", "int8", "numeric", "numeric(10,3)", "char",
             "char(3)", '"char"', "varchar", "varchar(7)[]", "text[][]",
             "bit(4)", "varbit", "bool", "float4", "float8", "timestamptz(3)",
             "timestamp", "time(0)", "timetz", "interval day to second(3)",
             "bytea", "jsonb", "uuid", "oid", "name", "regclass", "int4range",
             "int2vector", "date"]
    db.sql("CREATE TABLE k (" + ", ".join(
        f"c{i} {kind}" for i, kind in enumerate(kinds)) + ")")
    db.publish("k")
    stream = subscribe(server(), relations=True)
    db.sql("INSERT INTO k (c5) VALUES (1)")
    stream.transactions(1)
    relation, = stream.of("relation")
    db.sql("SET search_path = pg_catalog")
    assert columns(relation) == catalogue(db, relation.oid)
    assert [c.type_name for c in relation.columns][:6] == [
        'odd."Mood"', 'odd."Mood"[]', "public.pair", "odd.positive",
        "public.t", "smallint"]


@pytest.mark.parametrize("identity, number", [
    ("DEFAULT", DEFAULT), ("NOTHING", NOTHING), ("FULL", FULL),
    ("USING INDEX r_n_key", INDEX)], ids=lambda v: str(v).split(" ")[0])
def test_identity(r, server, subscribe, identity, number):
    """replica_identity, and the columns that are part of it."""
    r.sql(f"ALTER TABLE r REPLICA IDENTITY {identity}")
    stream = subscribe(server(), relations=True)
    insert(r, 1)
    stream.transactions(1)
    relation, = stream.of("relation")
    assert relation.replica_identity == number
    assert [c.name for c in relation.columns if c.key] == {
        DEFAULT: ["id"], NOTHING: [], FULL: ["id", "n", "v"],
        INDEX: ["n"]}[number]


def test_once(r, server, subscribe):
    """Each table's comes once, just before its first row."""
    stream = subscribe(server(), relations=True)
    r.transaction("INSERT INTO r VALUES (1, 1), (2, 2)",
                  "INSERT INTO t VALUES (1)", "UPDATE r SET v = 'x'")
    insert(r, 3)
    r.sql("DELETE FROM r")
    stream.transactions(3)
    assert stream.ops() == [
        "begin", "relation", "insert", "insert", "relation", "insert",
        "update", "update", "commit", "begin", "insert", "commit",
        "begin", "delete", "delete", "delete", "commit"]
    assert [m.table for m in stream.of("relation")] == ["r", "t"]


def test_not_repeated(r, server, subscribe):
    """Not again while the shape is the same, whatever else was changed."""
    stream = subscribe(server(), relations=True)
    insert(r, 1)
    for n, statement in enumerate(NO_CHANGE, 2):
        for part in statement.split("; "):
            r.sql(part)
        insert(r, n)
    truncates = 1
    stream.transactions(1 + len(NO_CHANGE) + truncates)
    assert stream.ops().count("relation") == 1


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
@pytest.mark.parametrize("change", CHANGES)
def test_again(r, server, subscribe, change, together):
    """Again when the shape is another, from the exact row on."""
    stream = subscribe(server(), relations=True)
    after = {"rename": "q", "schema": "s.r"}.get(change, "r")
    shapes = []
    if together:
        r.sql("BEGIN")
    for n, table in enumerate(["r", after]):
        if n:
            r.sql(CHANGES[change])
        insert(r, 2 * n)
        insert(r, 2 * n + 1)
        shapes.append((r.oid(table), catalogue(r, r.oid(table))))
    if together:
        r.sql("COMMIT")
    stream.transactions(1 if together else 4)
    assert [op for op in stream.ops() if op not in ("begin", "commit")] == [
        "relation", "insert", "insert"] * 2
    first, second = stream.of("relation")
    assert [(m.oid, columns(m)) for m in (first, second)] == shapes
    assert (second.schema, second.table) == {
        "q": ("public", "q"), "s.r": ("s", "r")}.get(after, ("public", "r"))
    assert first != second


def test_back_again(r, server, subscribe):
    """A shape that comes back is said again."""
    stream = subscribe(server(), relations=True)
    for n, identity in enumerate(["DEFAULT", "FULL", "DEFAULT", "FULL"]):
        r.sql(f"ALTER TABLE r REPLICA IDENTITY {identity}")
        insert(r, n)
    stream.transactions(4)
    assert [relation.replica_identity
            for relation in stream.of("relation")] == [
        DEFAULT, FULL, DEFAULT, FULL]


def test_walsender_ends(r, server, subscribe):
    """Not again because PostgreSQL ended the connection; but if the table
    changed meanwhile."""
    stream = subscribe(server(), relations=True)
    insert(r, 1)
    stream.transactions(1)
    pid = r.terminate_walsender()
    r.wait_walsender(other_than=pid)
    insert(r, 2)
    stream.transactions(2)
    pid = r.terminate_walsender()
    r.sql("ALTER TABLE r ADD w int")
    r.wait_walsender(other_than=pid)
    insert(r, 3)
    stream.transactions(3)
    assert stream.ops() == [
        "begin", "relation", "insert", "commit", "begin", "insert", "commit",
        "begin", "relation", "insert", "commit"]


def test_cut_in_a_transaction(r, server, subscribe):
    """Nor within a transaction that is cut off and read again."""
    stream = subscribe(server("--buffer-size", "256KiB"), held=True,
                       relations=True)
    r.transaction(
        "INSERT INTO r SELECT i, i FROM generate_series(1, 100) i",
        "INSERT INTO t SELECT i, repeat('x', 1000)"
        " FROM generate_series(1, 15000) i", "ALTER TABLE r ADD w int",
        "INSERT INTO r SELECT i, i FROM generate_series(101, 200) i")
    r.wait_stalled()
    pid = r.terminate_walsender()
    stream.release()
    r.wait_walsender(other_than=pid)
    found, = stream.transactions(1)
    assert [e.seq for e in found.events] == list(range(1, 15201))
    at = [i for i, op in enumerate(stream.ops()) if op == "relation"]
    assert at == [1, 102, 15103]


def test_each_stream(r, server, subscribe):
    """Each stream is told before the first row that it is sent, and of no
    table or shape of which it is sent none."""
    walstream = server()
    streams = [subscribe(walstream, relations=True, **fields) for fields in (
        {}, {"tables": ["public.t"]}, {"operations": ["DELETE"]})]
    insert(r, 1)
    r.sql("ALTER TABLE r DROP v")
    insert(r, 2)
    r.sql("ALTER TABLE r ADD w int")
    insert(r, 3)
    r.transaction("INSERT INTO t VALUES (1, 'x')", "DELETE FROM r")
    whole, filtered, deletes = streams
    whole.transactions(4)
    filtered.transactions(1)
    deletes.transactions(1)
    assert filtered.ops() == ["begin", "relation", "insert", "commit"]
    assert [m.table for m in filtered.of("relation")] == ["t"]
    assert deletes.ops() == ["begin", "relation"] + ["delete"] * 3 + [
        "commit"]
    assert [[c.name for c in m.columns] for m in deletes.of("relation")] == [
        ["id", "n", "w"]]
    assert [len(m.columns) for m in whole.of("relation")] == [3, 2, 3, 2]
    late = subscribe(walstream, relations=True)
    late.transactions(4)
    assert late.messages[1:] == whole.messages[1:]


def test_late_stream(r, server, subscribe):
    """A stream that joins later is told what it has not been; the others are
    not told again, also when what it lacks has to be read again."""
    walstream = server("--buffer-size", "256KiB")
    first = subscribe(walstream, relations=True)
    insert(r, 1)
    r.sql("ALTER TABLE r ADD w int")
    insert(r, 2)
    r.fill(1, 2000, 1000)
    first.transactions(3)
    late = subscribe(walstream, relations=True)
    late.transactions(3)
    insert(r, 3)
    r.fill(2001, 2001)
    first.transactions(5)
    late.transactions(5)
    assert late.messages[1:] == first.messages[1:]
    assert first.ops().count("relation") == 3
    end = first.ack_last()
    late.ack_last()
    r.wait_confirmed(end)
    last = subscribe(walstream, relations=True)
    insert(r, 4)
    r.fill(2002, 2002)
    last.transactions(2)
    assert last.ops() == ["begin", "relation", "insert", "commit"] * 2
    assert [m.table for m in last.of("relation")] == ["r", "t"]
    assert list(last.of("relation")) == list(first.of("relation"))[1:]


def test_new_stream_of_a_consumer(r, server, subscribe):
    """A consumer that comes back is told again: it is another stream."""
    walstream = server()
    stream = subscribe(walstream, relations=True, consumer="c")
    insert(r, 1)
    insert(r, 2)
    first = stream.transactions(2)[0]
    stream.ack(first.commit.pg_lsn)
    r.wait_confirmed_is(first.commit.pg_lsn)
    again = subscribe(walstream, relations=True, consumer="c")
    again.transactions(1)
    assert again.ops() == ["begin", "relation", "insert", "commit"]
    assert again.ids() == [2]


def test_not_counted(r, server, subscribe):
    """It has no number of its own: seq and event_count are of rows, and what
    is acknowledged is the row."""
    r.watch()
    stream = subscribe(server(), relations=True)
    r.transaction("INSERT INTO r VALUES (1, 1)", "ALTER TABLE r ADD w int",
                  "INSERT INTO r VALUES (2, 2)", "INSERT INTO t VALUES (3)")
    found, = stream.transactions(1)
    (commit, end, rows), = r.transactions()
    assert stream.ops()[1:-1] == ["relation", "insert"] * 3
    assert [e.seq for e in found.events] == [1, 2, 3]
    assert [e.pg_lsn for e in found.events] == [commit, commit, end]
    assert found.commit.event_count == rows == 3
    stream.ack(end)
    r.wait_confirmed_is(end)


@pytest.mark.parametrize("most", [0, 1])
def test_batch(r, server, subscribe, most):
    """In batches, too, it is in its place."""
    walstream = server()
    plain = subscribe(walstream, relations=True)
    batched = subscribe(walstream, relations=True, batch=True,
                        max_batch_bytes=most)
    r.transaction("INSERT INTO r VALUES (1, 1)", "ALTER TABLE r ADD w int",
                  "INSERT INTO r VALUES (2, 2)", "INSERT INTO t VALUES (3)")
    plain.transactions(1)
    batched.transactions(1)
    # Each has a start of its own.
    assert batched.messages[1:] == plain.messages[1:]
    assert plain.ops()[1:-1] == ["relation", "insert"] * 3
    assert not most or {n for _, n in batched.batches} == {1}


@pytest.mark.parametrize("via", ["leaves", "root"])
def test_partitions(db, server, subscribe, via):
    """It describes the table that the events name: a partition, or with
    publish_via_partition_root the root."""
    db.sql("CREATE TABLE p (id int PRIMARY KEY, n int) PARTITION BY"
           " RANGE (id)")
    db.sql("CREATE TABLE low PARTITION OF p FOR VALUES FROM (0) TO (10)")
    db.sql("CREATE TABLE high (n int, id int PRIMARY KEY)")
    db.sql("ALTER TABLE p ATTACH PARTITION high FOR VALUES FROM (10) TO (20)")
    db.publish("p")
    db.sql("ALTER PUBLICATION pub SET (publish_via_partition_root ="
           f" {str(via == 'root').lower()})")
    stream = subscribe(server(), relations=True)
    for n in (1, 11, 2, 12):
        insert(db, n, "p")
    stream.transactions(4)
    told = [(m.table, m.oid, [c.name for c in m.columns])
            for m in stream.of("relation")]
    if via == "root":
        assert told == [("p", db.oid("p"), ["id", "n"])]
    else:
        assert told == [("low", db.oid("low"), ["id", "n"]),
                        ("high", db.oid("high"), ["n", "id"])]
    assert {m.oid for m in stream.of("relation")} \
        == {row.relation_oid for row in stream.rows()}


def test_column_list(db, server, subscribe):
    """A column list shows, and a change of it is a change of shape."""
    db.needs(15, "column lists")
    stream = subscribe(server(), relations=True)
    lists = ["t (id)", "t (id, v)", "t", "t (v, id)", "t (id)"]
    for n, what in enumerate(lists):
        db.sql(f"ALTER PUBLICATION pub SET TABLE {what}")
        db.fill(n, n)
    stream.transactions(len(lists))
    assert [[c.name for c in m.columns] for m in stream.of("relation")] == [
        ["id"], ["id", "v"], ["id"]]


def test_many_tables(db, server, subscribe):
    """Of 200 tables, one after the other and again, each comes once."""
    for n in range(200):
        db.sql(f"CREATE TABLE m{n} (id int, c{n} int)")
    db.publish(*[", ".join(f"m{n}" for n in range(200))])
    stream = subscribe(server("--buffer-size", "256KiB"), relations=True)
    for _ in range(2):
        db.transaction(*[f"INSERT INTO m{n} VALUES ({n})"
                         for n in range(200)])
    stream.transactions(2)
    assert [(m.table, m.columns[1].name) for m in stream.of("relation")] == [
        (f"m{n}", f"c{n}") for n in range(200)]
    assert stream.ops()[1:401] == ["relation", "insert"] * 200


def test_truncate(r, server, subscribe):
    """A truncate before the first row is no reason to say it twice."""
    stream = subscribe(server(), relations=True)
    r.sql("TRUNCATE r")
    insert(r, 1)
    r.sql("TRUNCATE r")
    stream.transactions(3)
    ops = [op for op in stream.ops() if op not in ("begin", "commit")]
    assert ops.count("relation") == 1
    assert ops.index("relation") < ops.index("insert")
