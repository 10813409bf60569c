"""`walstream tail` with what only Subscribe can do."""

import json
import signal
import subprocess

import pytest

from database import lsn_number, lsn_text
from proc import binary, environment, fails, run
from waiting import SCALE, until

pytest_plugins = ["subscriber"]


@pytest.fixture
def filled(db, server):
    """A server with three transactions, of several tables, waiting."""
    db.sql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v text)")
    db.publish("s.t")
    walstream = server()
    db.fill(1, 3)
    db.transaction("INSERT INTO t VALUES (4, 'four')",
                   "INSERT INTO s.t VALUES (1, 'one')",
                   "UPDATE t SET v = 'y' WHERE id = 1")
    db.transaction("DELETE FROM t WHERE id = 2", "TRUNCATE s.t")
    return walstream


def tail(walstream, *options):
    done = run("tail", walstream.address, *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ops(lines):
    return [(line["op"], f"{line['schema']}.{line['table']}")
            if "table" in line else line["op"] for line in lines]


def rows(lines):
    return [line for line in lines if "table" in line]


class Tail:
    """A tail that stays; its lines as they come."""

    def __init__(self, walstream, *options):
        self.child = subprocess.Popen(
            [binary(), "tail", walstream.address, *options],
            env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self):
        return json.loads(self.child.stdout.readline())

    def end(self):
        """Interrupts it, if it still runs; what it said and its status."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        try:
            _, said = self.child.communicate(timeout=10 * SCALE)
        finally:
            self.child.kill()
        return said, self.child.returncode


def test_tables(filled, subscribe):
    """--table, repeatable: begin and commit are lines, too."""
    subscribe(filled)  # or what is not wanted would be confirmed
    assert ops(tail(filled, "--table", "s.*", "--count", "2")) == [
        "begin", ("insert", "s.t"), "commit", "begin", ("truncate", "s.t")]
    assert ops(rows(tail(filled, "--table=nothing", "--table", "public.?",
                         "--count", "6"))) == [
        ("insert", "public.t")] * 4 + [
        ("update", "public.t"), ("delete", "public.t")]


def test_operations(filled):
    """--operation, repeatable."""
    assert ops(rows(tail(filled, "--operation", "delete", "--operation",
                         "update", "--count", "2"))) == [
        ("update", "public.t"), ("delete", "public.t")]


def test_members(db, filled):
    """Lines say which transaction and which event of it they are."""
    lines = tail(filled, "--table", "*", "--count", "7")
    assert list(lines[0]) == [
        "op", "pg_lsn", "commit_lsn", "xid", "commit_time_us"]
    assert list(lines[1]) == [
        "op", "pg_lsn", "commit_lsn", "xid", "commit_time_us", "seq",
        "schema", "table", "payload"]
    assert lines[4]["op"] == "commit" and lines[4]["event_count"] == 3
    assert [line["seq"] for line in rows(lines)] == [1, 2, 3, 1, 2, 3, 1]
    assert lines[4]["pg_lsn"] == lines[3]["pg_lsn"]
    assert db.confirmed() < lsn_number(lines[0]["pg_lsn"])


def test_pretty(filled):
    """--format pretty has them all, too."""
    done = run("tail", filled.address, "--operation", "insert", "--count",
               "5", "--format", "pretty")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("public.t") == 4 and "s.t" in done.stdout
    assert "begin" in done.stdout and "commit" in done.stdout


def test_consumer(db, filled, subscribe):
    """--consumer goes on where that name left off."""
    holder = subscribe(filled)
    holder.transactions(3)
    assert len(rows(tail(filled, "--consumer", "a", "--ack", "--count",
                         "3"))) == 3
    assert ops(rows(tail(filled, "--consumer", "a", "--count", "2"))) == [
        ("insert", "public.t"), ("insert", "s.t")]
    again = rows(tail(filled, "--consumer", "a", "--ack", "--count", "5"))
    assert ops(again)[0] == ("insert", "public.t") and again[0]["seq"] == 1
    db.fill(9, 9)
    assert rows(tail(filled, "--consumer=a", "--count=1"))[0][
        "payload"]["id"] == 9


def test_consumer_replaced(filled):
    """The older of two tails of one name ends, saying why."""
    one = Tail(filled, "--consumer", "a")
    assert one.line()["op"] == "begin"
    tail(filled, "--consumer", "a", "--count", "1")
    one.child.wait(10 * SCALE)
    said, status = one.end()
    assert status == 1 and "ABORTED" in said and '"a"' in said


def test_after_lsn(filled, subscribe):
    """--after-lsn with a commit's pg_lsn skips up to it, in PostgreSQL's
    notation."""
    subscribe(filled)  # holds confirmed where it is
    lines = tail(filled, "--table", "*", "--count", "4")
    commit = lines[4]
    assert commit["op"] == "commit"
    after = tail(filled, "--after-lsn", commit["pg_lsn"], "--count", "1")
    assert after == lines[5:7]
    again = tail(filled, "--after-lsn", commit["commit_lsn"], "--count", "4")
    assert again == lines


def test_observer(db, filled, subscribe):
    """--observer gets everything, and holds nothing up."""
    one = Tail(filled, "--observer")
    try:
        assert one.line()["op"] == "begin"
        stream = subscribe(filled)
        stream.transactions(3)
        db.wait_confirmed(stream.ack_last())
        assert one.child.poll() is None
    finally:
        said, status = one.end()
    assert status == 0, said


def test_exact(db, filled, subscribe):
    """--exact refuses a start behind which something was confirmed."""
    stream = subscribe(filled)
    first, _, last = stream.transactions(3)
    db.wait_confirmed(stream.ack_last())
    fails("tail", filled.address, "--exact", "--after-lsn",
          lsn_text(first.commit.end_lsn), naming=["OUT_OF_RANGE"], code=1)
    db.fill(9, 9)
    lines = tail(filled, "--exact", "--after-lsn",
                 lsn_text(last.commit.end_lsn), "--count", "1", "--ack")
    assert [op for op in ops(lines) if op != "progress"] == [
        "begin", ("insert", "public.t")]


def test_batch(filled):
    """--batch prints the same lines."""
    assert tail(filled, "--batch", "--count", "8") \
        == tail(filled, "--table", "*", "--count", "8")
    assert len(rows(tail(filled, "--batch", "--count", "2"))) == 2


def test_batch_ack(db, filled):
    """--ack acknowledges what was printed, not what came with it."""
    lines = tail(filled, "--batch", "--ack", "--count", "3")
    end = lsn_number(lines[-1]["pg_lsn"])
    until(lambda: db.confirmed() == end, 10,
          lambda: f"{lsn_text(db.confirmed())} to be {lsn_text(end)}")
    assert rows(tail(filled, "--count", "1", "--batch"))[0][
        "payload"]["id"] == 4


def test_batch_quiet(db, server):
    """--batch --quiet --ack takes 50,000 rows and confirms them."""
    walstream = server()
    db.fill(1, 50000)
    done = run("tail", walstream.address, "--batch", "--quiet", "--ack",
               "--count", "50000", timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("50000 events")
    db.fill(50001, 50001)
    assert rows(tail(walstream, "--batch", "--count", "1"))[0][
        "payload"]["id"] == 50001


@pytest.mark.parametrize("options", [
    ("--operation", "upsert"), ("--operation", "INSERT"),
    ("--after-lsn", "12"), ("--after-lsn", "x/1"), ("--after-lsn", "0/"),
    ("--consumer", "x" * 256), ("--table",)])
def test_asked_wrongly(options):
    """What cannot be meant is said before anything is connected."""
    fails("tail", "127.0.0.1:1", *options, naming=[options[0]], code=2)
