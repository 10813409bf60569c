"""Which events come, with what in them, in which order."""

import json
import threading

import pytest


def told(events):
    """Events without their positions, payloads parsed."""
    return [(e.op, f"{e.schema}.{e.table}",
             None if e.payload is None else json.loads(e.payload))
            for e in events]


def check_positions(events, transactions):
    """Each transaction's rows carry C, and the last of them E."""
    expected = []
    for commit, end, rows in transactions:
        expected += [commit] * (rows - 1) + [end]
    assert [e.pg_lsn for e in events] == expected


def test_insert_update_delete(db, stream):
    """Each row change is one event, named and with its row."""
    db.sql("INSERT INTO t VALUES (1, 'one')")
    db.sql("UPDATE t SET v = 'uno' WHERE id = 1")
    db.sql("UPDATE t SET v = NULL WHERE id = 1")
    db.sql("DELETE FROM t WHERE id = 1")
    assert told(stream.expect(4)) == [
        ("insert", "public.t", {"id": 1, "v": "one"}),
        ("update", "public.t", {"id": 1, "v": "uno"}),
        ("update", "public.t", {"id": 1, "v": None}),
        ("delete", "public.t", {"id": 1})]


def test_update_of_key(db, stream):
    """An update of the key is one update event with the new row."""
    db.sql("INSERT INTO t VALUES (1, 'one')")
    db.sql("UPDATE t SET id = 2")
    assert told(stream.expect(2))[1] == (
        "update", "public.t", {"id": 2, "v": "one"})


def test_several_tables(db, stream):
    """All tables of the publication are streamed, and no other."""
    db.sql("CREATE SCHEMA s")
    db.sql("CREATE TABLE s.t (id int PRIMARY KEY, w int)")
    db.publish("s.t")
    db.transaction("INSERT INTO t VALUES (1, 'a')",
                   "INSERT INTO other (v) VALUES ('unseen')",
                   "INSERT INTO s.t VALUES (1, 2)",
                   "UPDATE s.t SET w = 3",
                   "DELETE FROM s.t")
    assert told(stream.expect(4)) == [
        ("insert", "public.t", {"id": 1, "v": "a"}),
        ("insert", "s.t", {"id": 1, "w": 2}),
        ("update", "s.t", {"id": 1, "w": 3}),
        ("delete", "s.t", {"id": 1})]


def test_truncate(db, stream):
    """TRUNCATE of two tables is one event for each, without payload."""
    db.sql("CREATE TABLE u (id int PRIMARY KEY)")
    db.publish("u")
    db.fill(1, 1)
    db.sql("TRUNCATE t, u")
    events = stream.expect(3)[1:]
    assert sorted(told(events)) == [
        ("truncate", "public.t", None), ("truncate", "public.u", None)]
    assert events[0].pg_lsn < events[1].pg_lsn


def test_odd_names(db, stream):
    """Names come as they are, in events and as keys of the payload."""
    db.sql('CREATE SCHEMA "My Schema"')
    db.sql('CREATE TABLE "My Schema"."Ta""ble é\\" ('
           ' id int PRIMARY KEY, "q""uo\\te é\n" text)')
    db.publish('"My Schema"."Ta""ble é\\"')
    db.sql('INSERT INTO "My Schema"."Ta""ble é\\" VALUES (1, \'v\')')
    event = stream.expect(1)[0]
    assert (event.schema, event.table) == ("My Schema", 'Ta"ble é\\')
    assert json.loads(event.payload) == {"id": 1, 'q"uo\\te é\n': "v"}


def test_delete_default_identity(db, stream):
    """Under REPLICA IDENTITY DEFAULT a delete has the key columns only."""
    db.sql("CREATE TABLE k (a int, b text, c int, PRIMARY KEY (c, a))")
    db.publish("k")
    db.sql("INSERT INTO k VALUES (1, 'b', 3)")
    db.sql("DELETE FROM k")
    assert stream.expect(2)[1].payload == '{"a":1,"c":3}'


def test_delete_full_identity(db, stream):
    """Under REPLICA IDENTITY FULL a delete has the whole row."""
    db.sql("CREATE TABLE k (a int PRIMARY KEY, b text, c int)")
    db.sql("ALTER TABLE k REPLICA IDENTITY FULL")
    db.publish("k")
    db.sql("INSERT INTO k VALUES (1, 'b', NULL)")
    db.sql("DELETE FROM k")
    assert stream.expect(2)[1].payload == '{"a":1,"b":"b","c":null}'


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_unchanged_toast(db, stream, identity):
    """A large unchanged value: absent, or filled in under FULL; not null."""
    db.sql("CREATE TABLE big (id int PRIMARY KEY, n int, v text)")
    db.sql("ALTER TABLE big ALTER v SET STORAGE EXTERNAL")
    db.sql(f"ALTER TABLE big REPLICA IDENTITY {identity}")
    db.publish("big")
    db.sql("INSERT INTO big VALUES (1, 1, repeat('x', 100000))")
    db.sql("UPDATE big SET n = 2")
    db.sql("UPDATE big SET v = 'short'")
    rows = [row for _, _, row in told(stream.expect(3))]
    large = {"v": "x" * 100000}
    assert rows == [
        {"id": 1, "n": 1, **large},
        {"id": 1, "n": 2, **(large if identity == "FULL" else {})},
        {"id": 1, "n": 2, "v": "short"}]


def test_table_changed_mid_stream(db, stream):
    """A column added, dropped or renamed holds from the exact row on."""
    db.sql("INSERT INTO t VALUES (1, 'a')")
    db.sql("ALTER TABLE t ADD w int")
    db.sql("INSERT INTO t VALUES (2, 'b', 3)")
    db.sql("ALTER TABLE t DROP v")
    db.transaction("INSERT INTO t VALUES (3, 4)",
                   "ALTER TABLE t RENAME w TO x",
                   "INSERT INTO t VALUES (4, 5)")
    assert [row for _, _, row in told(stream.expect(4))] == [
        {"id": 1, "v": "a"}, {"id": 2, "v": "b", "w": 3},
        {"id": 3, "w": 4}, {"id": 4, "x": 5}]


def test_rollback(db, stream):
    """What was rolled back, wholly or to a savepoint, is not streamed."""
    db.sql("BEGIN; INSERT INTO t VALUES (1, 'no'); ROLLBACK")
    db.transaction("INSERT INTO t VALUES (2, 'yes')", "SAVEPOINT s",
                   "INSERT INTO t VALUES (3, 'no')", "ROLLBACK TO s",
                   "INSERT INTO t VALUES (4, 'yes')")
    stream.expect(2)
    assert stream.ids() == [2, 4]


def test_subtransactions(db, stream):
    """Of 2,000 subtransactions, those that failed are not streamed."""
    db.sql("""DO $$ BEGIN FOR i IN 1..2000 LOOP BEGIN
        INSERT INTO t VALUES (i, '');
        IF i % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF;
        EXCEPTION WHEN raise_exception THEN END; END LOOP; END $$""")
    stream.expect(1000)
    assert stream.ids() == list(range(1, 2000, 2))


def test_prepared_transactions(db, stream):
    """A prepared transaction comes when and if it is committed."""
    for name in ("kept", "dropped"):
        with db.connect() as conn:
            conn.execute(f"BEGIN; INSERT INTO t VALUES ({len(name)}, '');"
                         f" PREPARE TRANSACTION '{db.name}_{name}'")
    db.fill(1, 1)
    stream.expect(1)
    db.sql(f"ROLLBACK PREPARED '{db.name}_dropped'")
    db.sql(f"COMMIT PREPARED '{db.name}_kept'")
    db.fill(2, 2)
    stream.expect(3)
    assert stream.ids() == [1, 4, 2]


def test_partitions(db, stream):
    """Rows of a partitioned table come under their partition's name."""
    db.sql("CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    db.sql("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)")
    db.sql("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)")
    db.publish("p")
    db.sql("INSERT INTO p VALUES (1), (11)")
    db.sql("UPDATE p SET id = 12 WHERE id = 1")
    assert told(stream.expect(4)) == [
        ("insert", "public.p1", {"id": 1}),
        ("insert", "public.p2", {"id": 11}),
        ("delete", "public.p1", {"id": 1}),
        ("insert", "public.p2", {"id": 12})]


def test_all_tables(db, server, client):
    """A publication FOR ALL TABLES has tables made later, too."""
    db.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    stream = client(server(publication="everything"))
    db.sql("CREATE TABLE late (id int PRIMARY KEY)")
    db.sql("INSERT INTO late VALUES (1)")
    db.sql("CREATE TABLE later AS SELECT 2 AS id")
    assert told(stream.expect(2)) == [
        ("insert", "public.late", {"id": 1}),
        ("insert", "public.later", {"id": 2})]


def test_lsn_rule(db, stream):
    """pg_lsn is C, in a transaction's last event E, as PostgreSQL says."""
    db.watch()
    db.sql("CREATE TABLE u (id int PRIMARY KEY)")
    db.publish("u")
    db.fill(1, 3)
    db.transaction("INSERT INTO t VALUES (4, '')", "UPDATE t SET v = 'u'",
                   "DELETE FROM t WHERE id > 2", "INSERT INTO u VALUES (1)")
    db.unrelated_wal()
    db.sql("TRUNCATE t, u")
    db.transaction("INSERT INTO t VALUES (9, '')", "TRUNCATE t, u")
    db.sql("INSERT INTO t VALUES (10, 'single')")
    transactions = db.transactions()
    assert [rows for _, _, rows in transactions] == [3, 8, 2, 3, 1]
    check_positions(stream.expect(17), transactions)
    lsns = [event.pg_lsn for event in stream.events]
    assert lsns == sorted(lsns)


def test_end_lsn_is_not_lost_to_unpublished_rows(db, stream):
    """The last event carries E also when more of its transaction follows."""
    db.watch()
    db.transaction("INSERT INTO t VALUES (1, '')",
                   "INSERT INTO other (v) VALUES ('')",
                   "CREATE TABLE late (id int)",
                   "SELECT pg_logical_emit_message(true, 'p', 'content')")
    check_positions(stream.expect(1), db.transactions())


def test_large_copy(db, stream):
    """A COPY of 200,000 rows comes whole, in order, in one transaction."""
    rows = 200000
    with db.connect() as conn, conn.cursor() as cursor:
        with cursor.copy("COPY t FROM STDIN") as copy:
            for first in range(0, rows, 1000):
                copy.write("".join(f"{i}\tvalue {i}\n" for i in
                                   range(first, first + 1000)))
    events = stream.wait_for(rows, 90)
    assert len(events) == rows
    last = events[-1]
    assert {e.pg_lsn for e in events[:-1]} == {events[0].pg_lsn}
    assert last.pg_lsn > events[0].pg_lsn
    for i, event in enumerate(events):
        assert event.payload == f'{{"id":{i},"v":"value {i}"}}'


@pytest.mark.parametrize("buffer_size", ["16MiB", "1MiB"])
def test_row_sizes(db, server, client, buffer_size):
    """Rows of one byte and of 5 MB pass, also through a smaller buffer."""
    stream = client(server("--buffer-size", buffer_size))
    sizes = [1, 5000000, 1, 5000000, 5000000, 0]
    for i, size in enumerate(sizes):
        db.fill(i, i, size)
    events = stream.expect(len(sizes), 60)
    assert [len(json.loads(e.payload)["v"]) for e in events] == sizes


def test_wide_row(db, stream):
    """A table with 1,600 columns is streamed."""
    columns = ",".join(f"c{i} int" for i in range(1599))
    db.sql(f"CREATE TABLE wide (id int PRIMARY KEY, {columns})")
    db.publish("wide")
    db.sql("INSERT INTO wide (id, c7, c1598) VALUES (1, 2, 3)")
    row = json.loads(stream.expect(1)[0].payload)
    assert len(row) == 1600
    assert {k: v for k, v in row.items() if v is not None} == {
        "id": 1, "c7": 2, "c1598": 3}


def test_two_clients(db, server, client):
    """Every client gets everything, the same."""
    walstream = server()
    first, second = client(walstream), client(walstream)
    for i in range(0, 2000, 100):
        db.fill(i, i + 99)
    db.sql("UPDATE t SET v = 'again' WHERE id < 100")
    assert first.expect(2100) == second.expect(2100)


WRITERS, COMMITS = 50, 24


def write(db, writer):
    """Commits rows (writer, n, gate); every third under a row lock."""
    with db.connect() as conn:
        for n in range(COMMITS):
            gate = "NULL"
            with conn.transaction():
                if n % 3 == 0:
                    gate = conn.execute("UPDATE gate SET n = n + 1"
                                        " RETURNING n").fetchone()[0]
                conn.execute(f"INSERT INTO w VALUES ({writer}, {n}, {gate}),"
                             f" ({writer}, {n + 1000}, NULL)")


def test_concurrent_writers(db, stream):
    """Of 50 writers, transactions come whole and in commit order."""
    db.sql("CREATE TABLE gate (n int)")
    db.sql("INSERT INTO gate VALUES (0)")
    db.sql("CREATE TABLE w (w int, n int, gate int, PRIMARY KEY (w, n))")
    db.publish("w")
    db.watch()
    threads = [threading.Thread(target=write, args=(db, i))
               for i in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = stream.expect(WRITERS * COMMITS * 2, 60)
    check_positions(events, db.transactions())
    rows = [json.loads(e.payload) for e in events]
    for row, second in zip(rows[::2], rows[1::2]):
        assert (row["w"], row["n"] + 1000) == (second["w"], second["n"])
    for writer in range(WRITERS):
        assert [r["n"] for r in rows[::2] if r["w"] == writer] \
            == list(range(COMMITS))
    gates = [r["gate"] for r in rows if r["gate"] is not None]
    assert gates == list(range(1, WRITERS * COMMITS // 3 + 1))
