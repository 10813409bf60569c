"""walstream check: every line it can say, of servers that are so."""

import ctypes
import json
import os
import subprocess
import threading

import psycopg
import pytest

from pgserver import PgServer, free_port
from proc import Server, fails, run
from replica import Cluster, MovingDatabase
from waiting import until

pytest_plugins = ["tlspg"]

QUIET = {"max_slot_wal_keep_size": "1GB"}


def check(connection, *args, env=None):
    """[(check, result, text, do)] in both formats, which say the same."""
    done = run("-c", connection, "check", *args, "--format", "json", env=env)
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] == (done.returncode == 0)
    assert told["ok"] == all(line["result"] != "fail"
                             for line in told["checks"])
    for line in told["checks"]:
        assert set(line) - {"do"} == {"check", "result", "text"}
        assert ("do" in line) == (line["result"] != "ok"), line
    return told["checks"]


def lines(connection, name, *args):
    return [line for line in check(connection, *args)
            if line["check"] == name]


def the_line(connection, name, *args):
    found = lines(connection, name, *args)
    assert len(found) == 1, found
    return found[0]


def expect(line, result, *words):
    assert line["result"] == result, line
    for word in words:
        assert word in line["text"] + line.get("do", ""), (word, line)


@pytest.fixture
def own(request):
    """A server with the settings of the test's own."""
    servers = []

    def start(hba="", **settings):
        servers.append(PgServer(hba=hba, **{**QUIET, **settings}))
        return servers[-1]

    yield start
    for server in servers:
        server.remove()


def of(server, dbname="postgres", **more):
    words = {"host": "127.0.0.1", "port": server.port, "user": "postgres",
             "dbname": dbname, **more}
    return " ".join(f"{key}={value}" for key, value in words.items())


def test_all_is_well(own):
    """Exit status 0, and no line asks for anything."""
    server = own()
    with server.connect("postgres") as sql:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY)")
        sql.execute("CREATE PUBLICATION pub FOR TABLE t")
        sql.execute("SELECT pg_create_logical_replication_slot("
                    "'slot', 'pgoutput')")
    told = check(of(server), "pub", "slot")
    assert {line["result"] for line in told} == {"ok"}, told
    ids = [line["check"] for line in told]
    assert ids[:8] == [
        "connection", "version", "recovery", "wal_level",
        "max_replication_slots", "max_wal_senders", "replication", "role"]
    done = run("-c", of(server), "check", "pub", "slot")
    assert done.returncode == 0 and done.stderr == ""
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["ok", name] for name in ids]


def test_nothing_listens():
    """The first line says so, in JSON as well; the exit status is 1."""
    where = f"host=127.0.0.1 port={free_port()} user=u dbname=d"
    expect(the_line(where, "connection"), "fail", "refused",
           "listen_addresses")
    done = run("-c", where, "check")
    assert done.returncode == 1 and done.stdout.startswith("FAIL  connection")
    assert done.stderr == ""


def test_asked_wrongly(db):
    """Wrong usage is told apart: exit status 2."""
    fails("-c", db.conninfo(), "check", "--format", "yaml",
          naming=["yaml"], code=2)
    fails("-c", db.conninfo(), "check", "--slot", "No",
          naming=["No"], code=2)
    fails("-c", db.conninfo(), "check", "--publication", "",
          naming=["--publication"], code=2)
    fails("-c", "nosuch=1", "check", naming=["nosuch"], code=2)


@pytest.mark.parametrize("user, words", [
    ("auth_refused", ["pg_hba.conf", "auth_refused"]),
    ("nobody_here", ["nobody_here", "role"]),
])
def test_refused(db, user, words):
    """Who is refused is told what line, or role, would help."""
    expect(the_line(db.conninfo(user=user), "connection"), "fail", *words)


def test_wrong_password(db):
    line = the_line(db.conninfo(user="auth_scram", password="secretword"),
                    "connection")
    expect(line, "fail", "password authentication failed", "ALTER ROLE")
    assert "secretword" not in json.dumps(line)


def test_missing_database(db):
    expect(the_line(db.conninfo(dbname="no_such_db"), "connection"),
           "fail", "no_such_db", "CREATE DATABASE")


def test_role(db):
    """REPLICATION is needed; what the role may not see is no failure."""
    db.sql("CREATE ROLE plain LOGIN")
    try:
        told = check(db.conninfo(user="plain"), "pub", db.slot)
        by_id = {line["check"]: line for line in told}
        expect(by_id["replication"], "fail", 'ALTER ROLE "plain" REPLICATION')
        expect(by_id["role"], "fail", "REPLICATION")
        db.sql('ALTER ROLE "plain" REPLICATION')
        told = check(db.conninfo(user="plain"), "pub", db.slot)
        assert not [line for line in told if line["result"] == "fail"], told
        db.sql("ALTER ROLE plain VALID UNTIL 'tomorrow'")
        expect(the_line(db.conninfo(user="plain"), "role"), "warn",
               "expires", "VALID UNTIL")
    finally:
        db.sql("DROP ROLE plain")


def test_wal_level(own):
    """wal_level, all slots and all walsenders in use."""
    server = own(wal_level="replica", max_replication_slots="1",
                 max_wal_senders="1")
    with server.connect("postgres") as sql:
        sql.execute("SELECT pg_create_physical_replication_slot('other')")
    told = {line["check"]: line for line in check(of(server))}
    expect(told["wal_level"], "fail", "replica", "restart")
    expect(told["max_replication_slots"], "fail", "1", "walstream delete")
    with server.connect("postgres") as sql:
        sql.execute("ALTER SYSTEM SET wal_level = 'logical'")
        sql.execute("SELECT pg_reload_conf()")
        until(lambda: "already" in the_line(of(server), "wal_level")["do"],
              20, "the setting to be pending")


def test_walsenders(own):
    """The only walsender is this walstream's."""
    server = own(max_wal_senders="1")
    with server.connect("postgres") as sql:
        sql.execute("CREATE PUBLICATION p FOR ALL TABLES")
    walstream = Server("-c", of(server), "start", "p", "taken", "--temporary",
                       "false", "--host", "127.0.0.1", "--port", "0")
    try:
        walstream.wait_listening()
        expect(the_line(of(server), "max_wal_senders"), "fail",
               "max_wal_senders")
        expect(the_line(of(server), "replication"), "fail", "53300")
    finally:
        walstream.finish()


def test_slot_in_use(db, stream):
    """A slot that is read is well; who comes second waits."""
    del stream
    pid = db.wait_walsender()
    expect(the_line(db.conninfo(), "slot", "pub", db.slot), "ok",
           f"PID {pid} reads it")


def test_no_replication_in_hba(own):
    """pg_hba.conf has the database, and a pooler in between has no
    walsenders: the replication connection is tried."""
    server = own(hba="host postgres outsider 127.0.0.1/32 reject\n")
    with server.connect("postgres") as sql:
        sql.execute("CREATE ROLE outsider LOGIN REPLICATION")
    line = the_line(of(server, user="outsider"), "connection")
    expect(line, "fail",
           'host "postgres" "outsider" 127.0.0.1/32 scram-sha-256',
           "pg_reload_conf()")


def test_no_socket_in_hba(own):
    server = own(hba="local postgres outsider reject\n")
    with server.connect("postgres") as sql:
        sql.execute("CREATE ROLE outsider LOGIN REPLICATION")
    line = the_line(of(server, user="outsider", host=server.dir),
                    "connection")
    expect(line, "fail", '"local "postgres" "outsider" scram-sha-256"')


def test_publication(db):
    db.sql("CREATE PUBLICATION nothing")
    db.sql("CREATE PUBLICATION few FOR TABLE t WITH"
           " (publish = 'insert, truncate', publish_via_partition_root)")
    expect(the_line(db.conninfo(), "publication"), "ok", "none was named",
           "few, nothing, pub")
    told = lines(db.conninfo(), "publication", "--publication", "few",
                 "--publication", "missing", "--publication", "nothing")
    expect(told[0], "ok", "few covers 1 table and publishes insert, truncate",
           "root")
    expect(told[1], "fail", "missing does not exist", "CREATE PUBLICATION")
    expect(told[2], "warn", "nothing covers 0 tables", "ADD TABLE")
    db.sql("CREATE PUBLICATION mute FOR ALL TABLES WITH (publish = '')")
    expect(the_line(db.conninfo(), "publication", "mute"), "warn",
           "mute covers 2 tables, which is all and publishes nothing",
           "SET (publish = ")


def test_publication_of_schema(db):
    db.needs(15, "FOR TABLES IN SCHEMA")
    db.sql("CREATE SCHEMA s")
    db.sql("CREATE TABLE s.t (id int PRIMARY KEY)")
    db.sql("CREATE UNLOGGED TABLE s.u (id int PRIMARY KEY)")
    db.sql("CREATE UNLOGGED TABLE elsewhere (id int PRIMARY KEY)")
    db.sql("CREATE PUBLICATION s FOR TABLES IN SCHEMA s")
    expect(the_line(db.conninfo(), "publication", "s"), "ok",
           "s covers 1 table, those of its schemas among them")
    told = lines(db.conninfo(), "tables", "s")
    expect(told[0], "ok", "s.t")
    expect(told[1], "warn", "s.u (unlogged)")
    assert "elsewhere" not in told[1]["text"]


def test_tables(db):
    """What is covered, by name up to ten; and what cannot be."""
    for i in range(12):
        db.sql(f'CREATE TABLE "T{i:02}" (id int PRIMARY KEY)')
    db.sql("CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)")
    db.sql("CREATE FOREIGN DATA WRAPPER w")
    db.sql("CREATE SERVER far FOREIGN DATA WRAPPER w")
    db.sql("CREATE FOREIGN TABLE away (id int) SERVER far")
    db.sql("CREATE PUBLICATION every FOR ALL TABLES")
    told = lines(db.conninfo(), "tables", "every")
    expect(told[0], "ok", 'public."T00"', "and 4 more")
    expect(told[1], "warn", "public.away (foreign), public.fast (unlogged)",
           "SET LOGGED")
    assert "more" not in told[1]["text"]
    for i in range(12):
        db.sql(f"CREATE UNLOGGED TABLE u{i} (id int)")
    expect(lines(db.conninfo(), "tables", "every")[1], "warn", "and 4 more")
    assert len(lines(db.conninfo(), "tables", "pub")) == 1


def test_filters_and_columns(db):
    db.needs(15, "row filters and column lists")
    db.sql("CREATE TABLE w (id int PRIMARY KEY, a int, b int)")
    db.sql("CREATE PUBLICATION one FOR TABLE w (id, a) WHERE (id > 3)")
    db.sql("CREATE PUBLICATION two FOR TABLE w (id, b)")
    told = check(db.conninfo(), "one")
    expect([line for line in told if line["check"] == "tables"][1], "ok",
           "public.w: only rows with (id > 3)")
    expect([line for line in told if line["check"] == "column_lists"][0],
           "ok", "public.w: only the columns id, a")
    expect(the_line(db.conninfo(), "column_lists", "--publication", "one",
                    "--publication", "two"), "fail", "public.w", "agree")
    for i in range(12):  # as many lists as there are lines, and all well
        db.sql(f"CREATE TABLE a{i} (id int PRIMARY KEY, a int)")
        db.sql(f"ALTER PUBLICATION one ADD TABLE a{i} (id)")
    assert lines(db.conninfo(), "column_lists", "--publication", "one",
                 "--publication", "two")[0]["result"] == "fail"


@pytest.mark.parametrize("made, result, words", [
    ("CREATE TABLE w (id int)", "fail", ["public.w has no primary key",
                                         "REPLICA IDENTITY"]),
    ("CREATE TABLE w (id int PRIMARY KEY);"
     "ALTER TABLE w REPLICA IDENTITY NOTHING", "fail", ["NOTHING"]),
    ("CREATE TABLE w (id int NOT NULL UNIQUE);"
     "ALTER TABLE w REPLICA IDENTITY USING INDEX w_id_key;"
     "ALTER TABLE w DROP CONSTRAINT w_id_key", "fail", ["gone or invalid"]),
    ("CREATE TABLE w (id int NOT NULL UNIQUE);"
     "ALTER TABLE w REPLICA IDENTITY USING INDEX w_id_key", "ok",
     ["each of 1 has one"]),
    ("CREATE TABLE w (id int); ALTER TABLE w REPLICA IDENTITY FULL", "ok",
     ["FULL"]),
    ("CREATE TABLE w (id int, k int) PARTITION BY LIST (k);"
     "CREATE TABLE w1 PARTITION OF w FOR VALUES IN (1);"
     "CREATE TABLE w2 PARTITION OF w FOR VALUES IN (2);"
     "ALTER TABLE w2 ADD PRIMARY KEY (id)", "fail", ["public.w1"]),
    ("CREATE TABLE w (id int PRIMARY KEY DEFERRABLE)", "fail",
     ["deferrable", "NOT DEFERRABLE", "public.w REPLICA IDENTITY FULL"]),
    ("CREATE TABLE w (id int, k int) PARTITION BY LIST (k);"
     "CREATE UNLOGGED TABLE w1 PARTITION OF w FOR VALUES IN (1);"
     "CREATE TABLE w2 PARTITION OF w FOR VALUES IN (2);"
     "ALTER TABLE w2 ADD PRIMARY KEY (id)", "ok", ["each of 1 has one"]),
])
def test_replica_identity(db, made, result, words):
    """What is said of a table, and that PostgreSQL means the same."""
    db.sql(made)
    db.sql("CREATE PUBLICATION w FOR TABLE w"
           " WITH (publish_via_partition_root)")
    expect(the_line(db.conninfo(), "replica_identity", "w"), result, *words)
    if result == "fail":
        with pytest.raises(psycopg.Error, match="replica identity"):
            db.sql("DELETE FROM w")
    else:
        db.sql("DELETE FROM w")
    db.sql("ALTER PUBLICATION w SET (publish = 'insert')")
    assert lines(db.conninfo(), "replica_identity", "w") == []


@pytest.mark.parametrize("covers, identity, result, words", [
    ("(id, v)", "DEFAULT", "ok", []),
    ("(v)", "DEFAULT", "fail", ["column list", "SET TABLE"]),
    ("(id, v)", "FULL", "fail", ["column list", "DEFAULT"]),
    ("WHERE (id > 1)", "DEFAULT", "ok", []),
    ("WHERE (v > 1)", "DEFAULT", "fail", ["row filter", "IDENTITY FULL"]),
    ("WHERE (v > 1)", "FULL", "ok", ["FULL"]),
    ("WHERE (1 > 2)", "DEFAULT", "ok", []),
])
def test_publication_without_identity(db, covers, identity, result, words):
    """A filter or list that leaves out what names the row."""
    db.needs(15, "row filters and column lists")
    db.sql("CREATE TABLE w (id int PRIMARY KEY, v int, x int)")
    db.sql(f"ALTER TABLE w REPLICA IDENTITY {identity}")
    db.sql("INSERT INTO w VALUES (1, 1)")
    db.sql(f"CREATE PUBLICATION w FOR TABLE w {covers}")
    expect(the_line(db.conninfo(), "replica_identity", "w"), result, *words)
    if result == "fail":
        with pytest.raises(psycopg.Error, match="cannot update table"):
            db.sql("UPDATE w SET x = 1")
    else:
        db.sql("UPDATE w SET x = 1")


def test_many_without_identity(db):
    """Twenty are named, the rest is counted."""
    for i in range(23):
        db.sql(f"CREATE TABLE w{i} (id int)")
    db.sql("CREATE PUBLICATION w FOR ALL TABLES")
    told = lines(db.conninfo(), "replica_identity", "w")
    assert len(told) == 21
    expect(told[-1], "fail", "3 more tables")


def test_generated(db):
    db.sql("CREATE TABLE w (id int PRIMARY KEY,"
           " twice int GENERATED ALWAYS AS (id * 2) STORED)")
    db.sql("CREATE PUBLICATION w FOR TABLE w")
    line = the_line(db.conninfo(), "generated_columns", "w")
    expect(line, "warn", "public.w", "twice")
    version = db.one("SELECT current_setting('server_version_num')::int")
    assert ("SET (publish" in line["do"]) == (version >= 180000)


def test_generated_and_sent(db):
    """By the publication, or its column list; virtual ones never."""
    db.needs(18, "publish_generated_columns")
    db.sql("CREATE TABLE w (id int PRIMARY KEY,"
           " twice int GENERATED ALWAYS AS (id * 2) STORED)")
    db.sql("CREATE PUBLICATION w FOR TABLE w"
           " WITH (publish_generated_columns = stored)")
    db.sql("CREATE PUBLICATION x FOR TABLE w (id, twice)")
    for name in "wx":
        assert lines(db.conninfo(), "generated_columns", name) == []
    db.sql("ALTER TABLE w ADD never int GENERATED ALWAYS AS (id) VIRTUAL")
    line = the_line(db.conninfo(), "generated_columns", "w")
    expect(line, "warn", "not sent: never", "Compute")
    assert "twice" not in line["text"]


def test_slot(db):
    """Every kind of slot that there can be in its place."""
    where = db.conninfo()
    expect(the_line(where, "slot"), "ok", "none was named")
    expect(the_line(where, "slot", "pub", db.slot), "ok", "start makes it")
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (db.slot,))
    expect(the_line(where, "slot", "pub", db.slot), "ok", "permanent",
           "holds back", "reserved", "not confirmed")
    expect(the_line(where + " dbname=postgres", "slot", "--slot", db.slot),
           "fail", f"belongs to database {db.name}")
    other = db.slot[:50] + "_x"
    db.sql("SELECT pg_create_physical_replication_slot(%s)", (other,))
    try:
        expect(the_line(where, "slot", "--slot", other), "fail",
               "physical slot", "another name")
    finally:
        db.sql("SELECT pg_drop_replication_slot(%s)", (other,))


def test_temporary_slot(db):
    with db.connect() as sql:
        sql.execute("SELECT pg_create_logical_replication_slot("
                    "%s, 'pgoutput', true)", (db.slot,))
        expect(the_line(db.conninfo(), "slot", "--slot", db.slot), "fail",
               "temporary slot of the session with PID")


def test_two_phase_slot(db):
    """Prepared transactions would come in a way that nobody asked for."""
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput', false,"
           " true)", (db.slot,))
    expect(the_line(db.conninfo(), "slot", "--slot", db.slot), "fail",
           "two_phase", "another name")


def test_slot_in_the_making(db):
    """It waits for the end of a transaction."""
    with db.connect() as writer:
        writer.execute("BEGIN")
        writer.execute("INSERT INTO t VALUES (1, '')")
        maker = threading.Thread(target=db.sql, args=(
            "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
            (db.slot,)))
        maker.start()
        try:
            until(lambda: the_line(db.conninfo(), "slot", "--slot", db.slot)
                  ["result"] == "fail", 30, "the slot to be there")
            expect(the_line(db.conninfo(), "slot", "--slot", db.slot), "fail",
                   "no position")
        finally:
            writer.execute("COMMIT")
            maker.join()
    expect(the_line(db.conninfo(), "slot", "--slot", db.slot), "ok")


def more_wal(sql, segments):
    for _ in range(segments):
        sql.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
        sql.execute("SELECT pg_switch_wal()")


def test_slot_that_holds_wal(own):
    """extended, unreserved, lost; and one that others forgot."""
    server = own(max_wal_size="32MB", min_wal_size="32MB",
                 max_slot_wal_keep_size="-1")
    where = of(server)
    with server.connect("postgres") as sql:
        sql.execute("SELECT pg_create_logical_replication_slot("
                    "'slot', 'pgoutput')")
        expect(the_line(where, "max_slot_wal_keep_size"), "warn", "no limit")
        more_wal(sql, 4)
        expect(the_line(where, "slot", "--slot", "slot"), "warn",
               "extended", "session.unacked")
        expect(the_line(where, "other_slots"), "warn", "logical slot slot",
               "walstream delete slot")
        expect(the_line(where, "other_slots", "--slot", "slot"), "ok")
        sql.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
        sql.execute("SELECT pg_reload_conf()")
        until(lambda: the_line(where, "max_slot_wal_keep_size")["result"]
              == "ok", 20, "the new setting")
        expect(the_line(where, "slot", "--slot", "slot"), "warn",
               "unreserved", "checkpoint")
        sql.execute("CHECKPOINT")
        expect(the_line(where, "slot", "--slot", "slot"), "fail",
               "slot is invalid", "walstream delete slot")


@pytest.mark.parametrize("value, result, word", [
    ("0", "warn", "off"), ("2s", "warn", "2s"), ("60s", "ok", "1min")])
def test_sender_timeout(db, value, result, word):
    db.set("wal_sender_timeout", value)
    expect(the_line(db.conninfo(), "wal_sender_timeout"), result, word)


def test_idle_timeout(own, db):
    db.needs(18, "idle_replication_slot_timeout")
    server = own(idle_replication_slot_timeout="2h")
    expect(the_line(of(server), "idle_replication_slot_timeout"), "warn",
           "2h", "invalidated")


def test_failover(own, db):
    """On a primary: is there a standby, and would the slot be on it?"""
    db.needs(17, "failover slots")
    server = own()
    where = of(server)
    with server.connect("postgres") as sql:
        expect(the_line(where, "failover"), "ok", "no standby")
        sql.execute("SELECT pg_create_physical_replication_slot('standby')")
        sql.execute("SELECT pg_create_logical_replication_slot("
                    "'lost', 'pgoutput')")
        sql.execute("SELECT pg_create_logical_replication_slot("
                    "'kept', 'pgoutput', failover => true)")
        expect(the_line(where, "failover"), "ok", "--failover")
        line = the_line(where, "failover", "--slot", "lost")
        expect(line, "warn", "lost is not kept", "FAILOVER true")
        command = line["do"].split("'")[3]
        with psycopg.connect(where, replication="database") as walsender:
            done = walsender.pgconn.exec_(command.encode())
            assert not done.error_message, done.error_message
        assert the_line(where, "failover", "--slot", "lost")["do"].startswith(
            "ALTER SYSTEM SET synchronized_standby_slots")
        expect(the_line(where, "failover", "--slot", "kept"), "warn",
               "synchronized_standby_slots")
        sql.execute("ALTER SYSTEM SET synchronized_standby_slots ="
                    " standby")
        sql.execute("SELECT pg_reload_conf()")
        until(lambda: the_line(where, "failover", "--slot", "kept")["result"]
              == "fail", 20, "the new setting")
        expect(the_line(where, "failover", "--slot", "kept"), "fail",
               "kept waits", "nobody reads standby", "Start the standby")


def test_control_characters(db):
    """What the server has is printed escaped."""
    db.sql('CREATE TABLE "a\x1b[31m\nb" (id int)')
    db.sql("CREATE PUBLICATION w FOR ALL TABLES")
    done = run("-c", db.conninfo(), "check", "w")
    assert "\\x1b[31m\\x0ab" in done.stdout
    assert "\x1b" not in done.stdout
    line = the_line(db.conninfo(), "tables", "w")
    assert "a\x1b[31m\nb" in line["text"]


@pytest.fixture
def cluster(db):
    """A primary and its standby, of the version under test."""
    version = db.one("SELECT current_setting('server_version_num')::int")
    one = Cluster(version // 10000, **QUIET)
    yield one
    one.remove()


def test_standby(cluster):
    """Decoding there needs 16, and feedback to the primary."""
    where = of(cluster.standby)
    if cluster.standby.major < 16:
        expect(the_line(where, "recovery"), "fail", "before PostgreSQL 16",
               "primary")
        return
    expect(the_line(where, "recovery"), "ok", "a standby")
    expect(the_line(where, "wal_level"), "ok", "the primary has to have it")
    expect(the_line(where, "slot", "--slot", "new"), "ok",
           "pg_log_standby_snapshot")
    assert run("-c", where, "check").returncode == 0
    cluster.standby.set("hot_standby_feedback", "off")
    until(lambda: the_line(where, "recovery")["result"] == "warn", 30,
          "the new setting")
    expect(the_line(where, "recovery"), "warn", "hot_standby_feedback = on")


def test_slot_kept_in_step(cluster, db):
    """On the primary it is as it should be; on the standby nobody can read
    it, and it holds nothing back that anybody could do something about."""
    db.needs(17, "failover slots")
    app = MovingDatabase(cluster.primary, "app")
    cluster.make_slot(app)
    here, there = (of(node, app.name)
                   for node in (cluster.primary, cluster.standby))
    cluster.primary.set("synchronized_standby_slots",
                        f"to_{cluster.standby.port}")
    until(lambda: the_line(here, "failover", "--slot", app.slot)["result"]
          == "ok", 30, "the new setting")
    expect(the_line(here, "slot", "--slot", app.slot), "ok", "with failover")
    expect(the_line(there, "slot", "--slot", app.slot), "fail",
           "in step", "Connect to the primary")
    more_wal(app.connect(), 3)
    cluster.standby.wait_caught_up(cluster.primary)
    expect(the_line(there, "other_slots"), "ok")


def test_standby_that_keeps_slots(cluster, db):
    """What it needs for that, as far as the role may see it."""
    db.needs(17, "failover slots")
    standby = cluster.standby
    with cluster.primary.connect("postgres") as sql:
        sql.execute("CREATE ROLE plain LOGIN REPLICATION")
    standby.wait_caught_up(cluster.primary)
    plain, where = of(standby, user="plain"), of(standby)
    expect(the_line(where, "failover"), "ok", "kept in step")
    expect(the_line(plain, "failover"), "warn", "may not see",
           "has a dbname")
    standby.set("hot_standby_feedback", "off")
    standby.set("primary_conninfo",
                f"host=127.0.0.1 port={cluster.primary.port} user=postgres")
    until(lambda: "dbname" in the_line(where, "failover").get("do", ""), 30,
          "the new settings")
    expect(the_line(where, "failover"), "warn",
           "hot_standby_feedback = on, a dbname in primary_conninfo")
    expect(the_line(plain, "failover"), "warn", "hot_standby_feedback = on")
    standby.set("sync_replication_slots", "off")
    until(lambda: the_line(where, "failover")["result"] == "ok", 30,
          "the new setting")


def test_tls(tls):
    """The version of TLS is told."""
    expect(the_line(tls.words("postgres", sslmode="require"), "connection"), "ok",
           "TLSv1.")
    expect(the_line(tls.words("postgres", sslmode="disable"), "connection"), "ok",
           "no TLS")


def apart(work):
    """Calls it in a thread with a network namespace of its own, where we are
    10.9.0.2 to 10.9.0.1."""
    failed = []

    def body():
        try:
            assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
            for words in ("link set lo up", "addr add 10.9.0.1/32 dev lo",
                          "addr add 10.9.0.2/32 dev lo",
                          "route replace local 10.9.0.1 dev lo src 10.9.0.2"):
                subprocess.run(["ip", *words.split()], check=True)
            work()
        except BaseException as problem:  # pylint: disable=broad-except
            failed.append(problem)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_remote():
    """What crosses a network should be encrypted."""
    def work():
        server = PgServer(hba="host all all 10.9.0.2/32 trust\n",
                          listen_addresses="*")
        try:
            where = of(server, host="10.9.0.1")
            expect(the_line(where, "connection"), "warn", "10.9.0.1",
                   "no TLS", "trusted network")
            assert run("-c", where, "check").returncode == 0
        finally:
            server.remove()
    apart(work)


def test_output_plugin_libraries(own, db):
    """A setting of minor releases since August 2026, which not every role may
    see; without it there is no line."""
    if not db.one("SELECT count(*) FROM pg_settings"
                  " WHERE name = 'output_plugin_libraries'"):
        assert lines(db.conninfo(), "output_plugin_libraries") == []
        return
    server = own(output_plugin_libraries="test_decoding")
    where = of(server)
    expect(the_line(where, "output_plugin_libraries"), "fail",
           "test_decoding", "Add pgoutput")
    with server.connect("postgres") as sql:
        with pytest.raises(psycopg.Error):
            sql.execute("SELECT pg_create_logical_replication_slot("
                        "'s', 'pgoutput')")
        sql.execute("CREATE ROLE plain LOGIN REPLICATION")
        expect(the_line(of(server, user="plain"), "output_plugin_libraries"),
               "warn", "may not see", "pg_read_all_settings")
        sql.execute("GRANT pg_read_all_settings TO plain")
        sql.execute("ALTER SYSTEM SET output_plugin_libraries ="
                    " test_decoding, pgoutput")
        sql.execute("SELECT pg_reload_conf()")
        until(lambda: the_line(of(server, user="plain"),
                               "output_plugin_libraries")["result"] == "ok",
              30, "the new setting")
        sql.execute("SELECT pg_create_logical_replication_slot("
                    "'s', 'pgoutput')")
