"""`walstream tail`: old rows, shapes and messages in its lines."""

import base64
import json
import subprocess

import pytest

from proc import binary, environment, fails, run
from waiting import SCALE

pytest_plugins = ["subscriber"]


@pytest.fixture
def tail():
    """Starts a tail and reads its lines up to the last one wanted."""
    children = []

    def start(walstream, last, *options):
        child = subprocess.Popen(
            [binary(), "tail", walstream.address, *options],
            env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        lines = []
        for text in child.stdout:
            lines.append(json.loads(text))
            if last(lines[-1]):
                break
        return lines

    yield start
    for child in children:
        child.terminate()
        child.communicate(timeout=10 * SCALE)


def row(key):
    """Is it a row whose id is key?"""
    return lambda line: line.get("payload", {}).get("id") == key


def counted(walstream, count, *options):
    done = run("tail", walstream.address, "--count", str(count), *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def beyond(line):
    """The members that not every row has."""
    return {name: value for name, value in line.items() if name in (
        "old", "unchanged", "identity", "cascade", "restart_identity")}


def test_old_rows(db, server):
    """old, unchanged and identity, when they are set."""
    walstream = server()
    db.sql("CREATE TABLE big (id int PRIMARY KEY, v text, w text)")
    db.sql("ALTER TABLE big ALTER v SET STORAGE EXTERNAL,"
           " ALTER w SET STORAGE EXTERNAL")
    db.publish("big")
    large = "x" * 3000
    db.sql("INSERT INTO big VALUES (1, %s, %s)", (large, large))
    db.sql("UPDATE big SET w = 'w'")
    db.sql("UPDATE big SET id = 2")
    db.sql("ALTER TABLE big REPLICA IDENTITY FULL")
    db.sql("UPDATE big SET id = 3")
    db.sql("DELETE FROM big")
    for options in (), ("--table", "*"):
        lines = [line for line in counted(walstream, 5, *options)
                 if "table" in line]
        assert [(line["payload"], beyond(line)) for line in lines] == [
            ({"id": 1, "v": large, "w": large}, {}),
            ({"id": 1, "w": "w"}, {"unchanged": ["v"]}),
            ({"id": 2, "w": "w"}, {"unchanged": ["v"], "identity": "key",
                                   "old": {"id": 1}}),
            ({"id": 3, "v": large, "w": "w"}, {
                "identity": "full", "old": {"id": 2, "v": large, "w": "w"}}),
            ({"id": 3, "v": large, "w": "w"}, {"identity": "full"})]


def test_truncate(db, server):
    """cascade and restart_identity, when they are set."""
    walstream = server()
    for words in ("", "CASCADE", "RESTART IDENTITY",
                  "RESTART IDENTITY CASCADE"):
        db.sql(f"TRUNCATE t {words}")
    assert [beyond(line) for line in counted(walstream, 4)] == [
        {}, {"cascade": True}, {"restart_identity": True},
        {"cascade": True, "restart_identity": True}]


@pytest.mark.parametrize("identity, name, keys", [
    ("DEFAULT", "default", ["id"]), ("NOTHING", "nothing", []),
    ("FULL", "full", ["id", "n", "a"]),
    ("USING INDEX r_n_key", "index", ["n"])],
    ids=["default", "nothing", "full", "index"])
def test_relation(db, server, tail, identity, name, keys):
    """--relations: the shape of a table, before its first row."""
    db.sql("CREATE TABLE r (id int PRIMARY KEY, n numeric(5,2) NOT NULL"
           " UNIQUE, a varchar(7)[])")
    db.sql(f"ALTER TABLE r REPLICA IDENTITY {identity}")
    db.publish("r")
    walstream = server()
    db.sql("INSERT INTO r VALUES (1, 1, '{}'), (2, 2, '{}')")
    lines = tail(walstream, row(2), "--relations")
    assert [line["op"] for line in lines] == [
        "begin", "relation", "insert", "insert"]
    types = [("id", "integer", 23, -1), ("n", "numeric", 1700, 327686),
             ("a", "character varying[]", 1015, 11)]
    assert lines[1] == {
        "op": "relation", "oid": db.oid("r"), "schema": "public",
        "table": "r", "replica_identity": name, "columns": [
            {"name": column, "type": kind, "type_oid": oid, "typmod": typmod,
             "key": column in keys} for column, kind, oid, typmod in types]}
    assert list(lines[1]) == ["op", "oid", "schema", "table",
                              "replica_identity", "columns"]


def test_messages(db, server, tail):
    """--message, repeatable: messages whose prefix matches, their content in
    base64."""
    walstream = server("--messages")
    content = bytes(range(256))
    lsn = db.one("SELECT pg_logical_emit_message(false, 'a.x', %s::bytea)"
                 "::text", (content,))
    db.sql("SELECT pg_logical_emit_message(false, 'c', 'no')")
    db.transaction("SELECT pg_logical_emit_message(true, 'b', '')",
                   "SELECT pg_logical_emit_message(true, 'a', 'no')",
                   "INSERT INTO t VALUES (1)")
    lines = tail(walstream, row(1), "--message", "a.*", "--message=b")
    assert [line["op"] for line in lines] == [
        "message", "begin", "message", "insert"]
    assert lines[0] == {
        "op": "message", "pg_lsn": lsn, "transactional": False,
        "prefix": "a.x", "content": base64.b64encode(content).decode()}
    assert lines[2] == {
        "op": "message", "pg_lsn": lines[1]["pg_lsn"], "transactional": True,
        "prefix": "b", "content": ""}
    assert list(lines[0]) == ["op", "pg_lsn", "transactional", "prefix",
                              "content"]


def test_not_asked_for(db, server, tail):
    """Without the options there are neither."""
    walstream = server("--messages")
    db.transaction("SELECT pg_logical_emit_message(true, 'b', '')",
                   "INSERT INTO t VALUES (1)")
    for options in (), ("--table", "*"), ("--relations",), (
            "--message", "*"):
        ops = {line["op"] for line in tail(walstream, row(1), *options)}
        assert ("relation" in ops) == ("--relations" in options)
        assert ("message" in ops) == ("--message" in options)


def test_names(db, server, tail):
    """Every line is one line of JSON, whatever the names and prefixes."""
    name = 'q"uo\\te\n é'
    quoted = '"' + name.replace('"', '""') + '"'
    db.sql(f"CREATE TABLE {quoted} (id int, {quoted} int)")
    db.publish(quoted)
    walstream = server("--messages")
    db.sql("BEGIN")
    db.sql("SELECT pg_logical_emit_message(true, %s, '')", (name,))
    db.sql(f"INSERT INTO {quoted} VALUES (1)")
    db.sql("COMMIT")
    _, message, relation, line = tail(walstream, row(1), "--relations",
                                      "--message", "*")
    assert message["prefix"] == relation["table"] == line["table"] == name
    assert relation["columns"][1]["name"] == name
    assert line["payload"] == {"id": 1, name: None}


def test_pretty(db, server, subscribe):
    """--format pretty has them, too."""
    walstream = server("--messages")
    subscribe(walstream)
    db.sql("ALTER TABLE t REPLICA IDENTITY FULL")
    db.transaction("SELECT pg_logical_emit_message(true, 'pre.fix', 'x')",
                   "INSERT INTO t VALUES (1, 'old value')",
                   "UPDATE t SET v = 'new value'", "TRUNCATE t CASCADE",
                   "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")
    done = run("tail", walstream.address, "--format", "pretty", "--relations",
               "--message", "*", "--count", "5")
    assert done.returncode == 0, done.stderr
    for word in "relation", "pre.fix", "old value", "new value":
        assert word in done.stdout


def test_ack(db, server):
    """--ack acknowledges messages that come between transactions, too."""
    db.set("wal_sender_timeout", "2s")
    walstream = server("--messages")
    db.sql("SELECT pg_logical_emit_message(false, 'a', '')")
    end = db.unrelated_wal()
    with subprocess.Popen(
            [binary(), "tail", walstream.address, "--message", "*", "--ack"],
            env=environment(), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            assert json.loads(child.stdout.readline())["op"] == "message"
            db.wait_confirmed(end)
        finally:
            child.terminate()


@pytest.mark.parametrize("options", [
    ("--message",), ("--relations=1",)])
def test_asked_wrongly(options):
    """What cannot be meant is said before anything is connected."""
    fails("tail", "127.0.0.1:1", *options,
          naming=[options[0].split("=")[0]], code=2)
