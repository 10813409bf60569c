"""`walstream tail`: a client in the same binary."""

import json
import re
import signal
import subprocess

import pytest

from database import lsn_number
from pgserver import free_port
from proc import Process, binary, environment, fails, run
from waiting import until


@pytest.fixture
def filled(db, server):
    """A server with six changes of two transactions waiting."""
    walstream = server()
    db.fill(1, 3)
    db.transaction("UPDATE t SET v = 'two \"2\"' WHERE id = 2",
                   "DELETE FROM t WHERE id = 3", "TRUNCATE t")
    return walstream


def tail(walstream, *options):
    return run("tail", walstream.address, *options)


def parsed(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_lines(db, filled):
    """One JSON object a line, with these members; --count ends it with 0."""
    events = parsed(tail(filled, "--count", "6"))
    assert [(e["op"], e["schema"], e["table"], e.get("payload"))
            for e in events] == [
        ("insert", "public", "t", {"id": 1, "v": "x"}),
        ("insert", "public", "t", {"id": 2, "v": "x"}),
        ("insert", "public", "t", {"id": 3, "v": "x"}),
        ("update", "public", "t", {"id": 2, "v": 'two "2"'}),
        ("delete", "public", "t", {"id": 3}),
        ("truncate", "public", "t", None)]
    assert list(events[0]) == ["op", "pg_lsn", "schema", "table", "payload"]
    assert "payload" not in events[5]
    lsns = [lsn_number(e["pg_lsn"]) for e in events]
    assert lsns == sorted(lsns) and len(set(lsns)) == 4
    assert events == parsed(tail(filled, "--count=6", "--format", "json"))
    assert db.confirmed() < lsns[0]


def test_count(filled):
    """--count N prints N, though more is there."""
    assert len(parsed(tail(filled, "--count", "2"))) == 2


def test_ack(db, filled):
    """--ack acknowledges what was printed, and nothing more."""
    first = parsed(tail(filled, "--count", "3", "--ack"))
    db.wait_confirmed(lsn_number(first[2]["pg_lsn"]))
    rest = parsed(tail(filled, "--count", "3"))
    assert [e["op"] for e in rest] == ["update", "delete", "truncate"]


def test_quiet(db, filled):
    """--quiet prints one line: the count and a rate."""
    done = tail(filled, "--quiet", "--count", "6")
    assert done.returncode == 0, done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1
    line = done.stdout or done.stderr
    assert re.search(r"\b6\b", line)
    assert "/s" in line or "per second" in line
    assert db.confirmed() is not None


def test_quiet_rate(db, server):
    """--quiet --ack takes 50,000 rows and confirms them."""
    walstream = server()
    db.fill(1, 50000)
    done = run("tail", walstream.address, "--quiet", "--ack", "--count",
               "50000", timeout=60)
    assert done.returncode == 0, done.stderr
    db.fill(50001, 50001)
    assert parsed(tail(walstream, "--count", "1"))[0]["payload"]["id"] == 50001


def test_pretty(filled):
    """--format pretty is for people: operation, table and row."""
    done = tail(filled, "--format", "pretty", "--count", "6")
    assert done.returncode == 0, done.stderr
    for word in ("insert", "update", "delete", "truncate"):
        assert word in done.stdout.lower()
    assert "public.t" in done.stdout
    assert not done.stdout.startswith("{")


def test_lines_come_at_once(db, server):
    """What arrives is printed at once, into a pipe too."""
    walstream = server()
    child = subprocess.Popen(
        [binary(), "tail", walstream.address], env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for i in range(3):
            db.fill(i, i)
            assert json.loads(child.stdout.readline())["payload"]["id"] == i
        child.send_signal(signal.SIGINT)
        assert child.wait(5) in (0, 130)
    finally:
        child.kill()
        child.wait()


def test_row_is_as_sent(db, server):
    """The payload is embedded as it was sent; a line stays a line."""
    walstream = server()
    db.sql("ALTER TABLE t ADD j json, ADD n numeric")
    db.sql("INSERT INTO t VALUES (1, %s, '{\"a\" :\n [1.0]}', 1.1000)",
           ("".join(map(chr, range(1, 32))) + "é\u2028\U0001F600",))
    line = tail(walstream, "--count", "1").stdout
    assert line.count("\n") == 1 and line.endswith("\n")
    assert json.loads(line)["payload"] == json.loads(
        db.one("SELECT row_to_json(t)::text FROM t"))
    assert "1.1000" in line


def test_large_rows(db, server):
    """Rows of 5 MB pass."""
    walstream = server()
    db.fill(1, 2, 5000000)
    events = parsed(tail(walstream, "--count", "2"))
    assert [len(e["payload"]["v"]) for e in events] == [5000000] * 2


def test_refused_connection():
    """Nobody listens: exit 1 and one line with the address."""
    port = str(free_port())
    fails("tail", "127.0.0.1:" + port, naming=[port], code=1)


def test_not_grpc(pg):
    """A peer that is not walstream: exit 1 and one line."""
    fails("tail", f"127.0.0.1:{pg.port}", code=1)


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:x", ":"])
def test_bad_address(address):
    """What is no address is asked wrongly."""
    fails("tail", address, code=2)


def test_server_ends(filled):
    """When the server ends, tail says so and exits 1."""
    one = Process("tail", filled.address)
    one.expected = (1,)
    try:
        until(lambda: filled.logged("replication.started"), 10,
              "the client to be attached")
        assert filled.stop() == 0
        assert one.wait() == 1
        assert one.text()
    finally:
        one.finish()


def test_count_of_nothing_wrong(server):
    """--count 0 and negative counts are asked wrongly."""
    walstream = server()
    for count in ("0", "-1", "1x", ""):
        done = tail(walstream, "--count", count)
        assert done.returncode == 2
        assert done.stdout == ""
