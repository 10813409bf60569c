"""Tables that change while they are streamed."""

import json

import pytest

pytest_plugins = ["subscriber"]

CHANGES = [
    "ADD w int",
    "ADD d int DEFAULT 7",
    "ADD r text DEFAULT 'r' || random() NOT NULL",
    "DROP v",
    "ADD v jsonb",
    "RENAME w TO \"W w\"",
    "ALTER d TYPE text USING 'n' || d",
    "ALTER id TYPE bigint",
    "ADD at date DEFAULT '2024-02-29', DROP r",
    "ADD a int[] DEFAULT '{1,2}'",
    "DROP \"W w\", DROP at",
    "ALTER a TYPE numeric(6, 2)[]",
]


@pytest.fixture
def everything(db):
    """pub has all tables, those to come too."""
    db.sql("DROP PUBLICATION pub")
    db.sql("CREATE PUBLICATION pub FOR ALL TABLES")
    return db


def payloads(stream):
    return [event.payload for event in stream.events]


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_columns(db, stream, together):
    """Columns added, dropped, renamed and retyped, between transactions and
    within one: every row has the columns of its moment, and rewriting a table
    is no change of rows."""
    expected = []
    if together:
        db.sql("BEGIN")
    for n, change in enumerate([None] + CHANGES):
        if change:
            db.sql(f"ALTER TABLE t {change}")
        db.sql(f"INSERT INTO t (id) VALUES ({n})")
        expected.append(db.printed("t", n))
    if together:
        db.sql("COMMIT")
    stream.expect(len(expected))
    assert payloads(stream) == expected


def test_logged(db, stream):
    """While a table is unlogged its rows are not in the WAL; that it is made
    logged again is no change of rows."""
    db.fill(1, 1)
    db.sql("ALTER PUBLICATION pub DROP TABLE t")
    db.sql("ALTER TABLE t SET UNLOGGED")
    db.fill(2, 2)
    db.sql("ALTER TABLE t SET LOGGED")
    db.publish("t")
    db.fill(3, 3)
    stream.expect(2)
    assert stream.ids() == [1, 3]


def test_rolled_back(db, stream):
    """What was altered and rolled back, wholly or to a savepoint, is as if
    it had not been."""
    db.sql("BEGIN; ALTER TABLE t ADD no int; INSERT INTO t VALUES (9);"
           " ROLLBACK")
    db.transaction(
        "INSERT INTO t VALUES (1, 'a')", "SAVEPOINT s",
        "ALTER TABLE t ADD no int, DROP v", "INSERT INTO t VALUES (2, 2)",
        "ROLLBACK TO s", "INSERT INTO t VALUES (3, 'c')",
        "ALTER TABLE t ADD yes int", "INSERT INTO t VALUES (4, 'd', 5)")
    stream.expect(3)
    assert payloads(stream) == ['{"id":1,"v":"a"}', '{"id":3,"v":"c"}',
                                '{"id":4,"v":"d","yes":5}']


def test_old_rows(db, server, subscribe):
    """Rows written before the table changed have, as old rows, the columns
    of the moment they are updated or deleted."""
    db.sql("ALTER TABLE t REPLICA IDENTITY FULL")
    stream = subscribe(server())
    db.fill(1, 2)
    db.sql("ALTER TABLE t ADD d int DEFAULT 7, ADD n int, DROP v")
    old = db.printed("t", 1)
    db.sql("UPDATE t SET n = 1 WHERE id = 1")
    db.sql("DELETE FROM t WHERE id = 2")
    stream.expect(4)
    update, delete = stream.rows()[2:]
    assert old == update.old_json_payload == '{"id":1,"d":7,"n":null}'
    assert update.json_payload == '{"id":1,"d":7,"n":1}'
    assert delete.json_payload == '{"id":2,"d":7,"n":null}'


def test_dropped_before(db, server, subscribe):
    """Columns dropped earlier leave no trace, in keys neither."""
    db.sql("CREATE TABLE d (gone1 int, b int, gone2 text, id int, gone3 int,"
           " PRIMARY KEY (id, b))")
    db.sql("ALTER TABLE d DROP gone1, DROP gone2, DROP gone3")
    db.publish("d")
    stream = subscribe(server())
    db.sql("INSERT INTO d VALUES (1, 2)")
    db.sql("UPDATE d SET b = 3")
    db.sql("DELETE FROM d")
    stream.expect(3)
    insert, update, delete = stream.rows()
    assert insert.json_payload == update.old_json_payload == '{"b":1,"id":2}'
    assert update.json_payload == delete.json_payload == '{"b":3,"id":2}'


def test_generated(db, stream):
    """Generated columns are not sent unless the publication says so."""
    db.sql("CREATE TABLE g (id int PRIMARY KEY,"
           " d int GENERATED ALWAYS AS (id * 2) STORED, v text)")
    db.publish("g")
    db.sql("INSERT INTO g (id, v) VALUES (1, 'v')")
    db.sql("UPDATE g SET v = 'w'")
    stream.expect(2)
    assert payloads(stream) == ['{"id":1,"v":"v"}', '{"id":1,"v":"w"}']


def test_generated_published(db, server, subscribe):
    """publish_generated_columns: stored ones are sent, virtual ones not."""
    db.needs(18, "publish_generated_columns")
    db.sql("CREATE TABLE g (id int PRIMARY KEY,"
           " d int GENERATED ALWAYS AS (id * 2) STORED,"
           " n int GENERATED ALWAYS AS (id * 3) VIRTUAL, v text)")
    db.publish("g")
    stream = subscribe(server())
    for setting in "stored", "none":
        db.sql("ALTER PUBLICATION pub SET"
               f" (publish_generated_columns = {setting})")
        db.sql("INSERT INTO g (id, v) VALUES (1, 'v')")
        db.sql("UPDATE g SET id = 2")
        db.sql("DELETE FROM g")
    stream.expect(6)
    assert [(row.json_payload, row.old_json_payload)
            for row in stream.rows()] == [
        ('{"id":1,"d":2,"v":"v"}', ""), ('{"id":2,"d":4,"v":"v"}', '{"id":1}'),
        ('{"id":2}', ""),
        ('{"id":1,"v":"v"}', ""), ('{"id":2,"v":"v"}', '{"id":1}'),
        ('{"id":2}', "")]


def test_renamed(db, server, subscribe):
    """A table goes by the name it has at the row; its OID stays."""
    stream = subscribe(server())
    oid = db.oid("t")
    db.sql("CREATE SCHEMA s")
    db.fill(1, 1)
    db.sql("ALTER TABLE t RENAME TO u")
    db.sql("INSERT INTO u VALUES (2)")
    db.transaction("INSERT INTO u VALUES (3)", "ALTER TABLE u SET SCHEMA s",
                   "INSERT INTO s.u VALUES (4)", "ALTER TABLE s.u RENAME TO t",
                   "INSERT INTO s.t VALUES (5)")
    stream.expect(5)
    assert [(e.schema, e.table) for e in stream.events] == [
        ("public", "t"), ("public", "u"), ("public", "u"), ("s", "u"),
        ("s", "t")]
    assert {row.relation_oid for row in stream.rows()} == {oid}
    assert stream.ids() == [1, 2, 3, 4, 5]


def test_schema_renamed(db, stream):
    """So does a schema."""
    db.needs(16, "a schema's new name reaches subscribers")
    db.sql("CREATE SCHEMA s; CREATE TABLE s.u (id int)")
    db.publish("s.u")
    db.sql("INSERT INTO s.u VALUES (1)")
    db.sql("ALTER SCHEMA s RENAME TO r")
    db.sql("INSERT INTO r.u VALUES (2)")
    stream.expect(2)
    assert [e.schema for e in stream.events] == ["s", "r"]


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_recreated(everything, server, subscribe, together):
    """Dropped and made again under the same name, it is another table."""
    db = everything
    stream = subscribe(server())
    oids = []
    if together:
        db.sql("BEGIN")
    for n, columns in enumerate(
            ["id int, v text", "id int, v text", "w bool, id text"]):
        db.sql(f"DROP TABLE t; CREATE TABLE t ({columns})")
        db.sql(f"INSERT INTO t (id) VALUES ({n})")
        oids.append(db.oid("t"))
    if together:
        db.sql("COMMIT")
    stream.expect(3)
    assert payloads(stream) == ['{"id":0,"v":null}', '{"id":1,"v":null}',
                                '{"w":null,"id":"2"}']
    assert [row.relation_oid for row in stream.rows()] == oids
    assert len(set(oids)) == 3


def test_read_later(everything, server, subscribe):
    """What was written before tables changed or went is read later as it was
    then."""
    db = everything
    walstream = server()
    db.sql("CREATE TABLE gone (id int PRIMARY KEY, v text)")
    oid = db.oid("gone")
    db.sql("INSERT INTO gone VALUES (1, 'gone')")
    db.sql("DROP TABLE gone")
    db.fill(2, 2)
    db.sql("ALTER TABLE t DROP v, ADD w int")
    db.sql("INSERT INTO t VALUES (3, 4)")
    db.sql("DROP TABLE t")
    stream = subscribe(walstream)
    stream.transactions(3)
    assert payloads(stream) == ['{"id":1,"v":"gone"}', '{"id":2,"v":"x"}',
                                '{"id":3,"w":4}']
    assert stream.rows()[0].relation_oid == oid


def test_not_published(everything, stream):
    """Temporary and unlogged tables and materialized views are not streamed,
    even FOR ALL TABLES; nor what belongs to PostgreSQL itself."""
    db = everything
    db.sql("CREATE TEMPORARY TABLE p (id int); INSERT INTO p VALUES (1)")
    db.sql("CREATE UNLOGGED TABLE u (id int); INSERT INTO u VALUES (1)")
    db.sql("CREATE MATERIALIZED VIEW m AS SELECT 1 AS id")
    db.sql("REFRESH MATERIALIZED VIEW m")
    db.sql("CREATE SEQUENCE s; SELECT nextval('s')")
    for statement in ("ANALYZE", "VACUUM FULL t", "CLUSTER t USING t_pkey",
                      "REINDEX TABLE t"):
        db.sql(statement)
    db.fill(2, 2)
    stream.expect(1)
    assert stream.ids() == [2]


def test_wide_and_narrow(db, stream):
    """A table may have no column left, and 1,000 again."""
    db.sql("ALTER TABLE t DROP id, DROP v")
    db.sql("INSERT INTO t DEFAULT VALUES")
    db.sql("ALTER TABLE t " + ", ".join(f"ADD c{i} int DEFAULT {i}"
                                        for i in range(1000)))
    db.sql("INSERT INTO t DEFAULT VALUES")
    stream.expect(2)
    assert payloads(stream)[0] == "{}"
    assert json.loads(payloads(stream)[1]) == {
        f"c{i}": i for i in range(1000)}


@pytest.mark.parametrize("together", [False, True],
                         ids=["apart", "together"])
def test_identity_of_changing_table(db, server, subscribe, together):
    """Keys follow columns that are renamed and retyped."""
    stream = subscribe(server())
    if together:
        db.sql("BEGIN")
    db.fill(1, 1)
    expected = []
    for n, (change, old) in enumerate([
            ("RENAME id TO k", '{"k":1}'),
            ("ALTER k TYPE text", '{"k":"20"}'),
            ("ADD b int NOT NULL DEFAULT 5, DROP CONSTRAINT t_pkey,"
             " ADD PRIMARY KEY (b, k)", '{"k":"21","b":5}'),
            ("DROP v", '{"k":"22","b":5}')]):
        db.sql(f"ALTER TABLE t {change}")
        db.sql(f"UPDATE t SET k = {20 + n}")
        expected.append(old)
    if together:
        db.sql("COMMIT")
    stream.expect(5)
    assert [row.old_json_payload for row in stream.rows()[1:]] == expected
