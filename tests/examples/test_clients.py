"""What every client that prints has to do, whatever its language."""

import re
import signal
import time

import psycopg
import pytest

from daemon import Walstream, default_port
from database import lsn_text
from table import CLIENTS
from waiting import until

pytestmark = pytest.mark.parametrize(
    "row", CLIENTS, ids=[row.name for row in CLIENTS])

AWKWARD = [
    "CREATE TABLE \"Tïtle case\" (id bigint PRIMARY KEY, n numeric, v text,"
    " tags text[], doc jsonb)",
    r"""INSERT INTO "Tïtle case" VALUES
        (9223372036854775807, 12345678901234567890.000000001,
         E'a "quote", a \\, a\nnewline and a\ttab', '{a,"b c"}',
         '{"x": [1, null]}'),
        (-9007199254740993, 'NaN', 'żółć 漢字 😀', NULL, NULL)""",
    "INSERT INTO t VALUES (1, ''), (2, NULL)",
    "UPDATE t SET v = 'changed' WHERE id = 2",
    "UPDATE t SET id = 3 WHERE id = 2",
    "DELETE FROM t WHERE id = 1",
    "TRUNCATE t",
]

EXPECTED = [
    [r'''insert public.Tïtle case {"id":9223372036854775807,'''
     r'''"n":12345678901234567890.000000001,'''
     r'''"v":"a \"quote\", a \\, a\nnewline and a\ttab",'''
     r'''"tags":["a","b c"],"doc":{"x": [1, null]}}''',
     r'''insert public.Tïtle case {"id":-9007199254740993,"n":"NaN",'''
     r'''"v":"żółć 漢字 😀","tags":null,"doc":null}'''],
    ['insert public.t {"id":1,"v":""}', 'insert public.t {"id":2,"v":null}'],
    ['update public.t {"id":2,"v":"changed"}'],
    ['update public.t {"id":3,"v":"changed"}'],
    ['delete public.t {"id":1}'],
    ['truncate public.t'],
]


@pytest.fixture
def client(launch, walstream, row):
    """Runs the client against walstream."""
    def start(**options):
        return launch(row.name, walstream.address, **options)
    return start


def pairs(db, first, last):
    """Commits transactions first to last, each of two rows of t."""
    for i in range(first, last + 1):
        db.transaction(f"INSERT INTO t VALUES ({2 * i})",
                       f"INSERT INTO t VALUES ({2 * i + 1})")


def numbers(transactions):
    """Which of those each is; checks that each is whole."""
    found = []
    for _, rows in transactions:
        ids = [int(re.search(r'{"id":(\d+)', line)[1]) for line in rows]
        assert len(ids) == 2 and ids[0] + 1 == ids[1], f"torn: {rows}"
        found.append(ids[0] // 2)
    return found


def settled(db, program):
    """Everything printed is acknowledged, everything committed is printed."""
    lsn = program.committed()
    assert lsn > 0
    db.wait_confirmed(lsn)
    return lsn


def test_prints(db, client):
    """Every kind of event, values as they are, transactions as they were."""
    one = client()
    for statement in AWKWARD:
        db.sql(statement)
    one.wait_rows(sum(map(len, EXPECTED)))
    assert [rows for _, rows in one.transactions()] == EXPECTED
    settled(db, one)


def test_acks_after_processing(db, client):
    """It is killed while it waits for its output to be taken: what it has not
    printed it has not acknowledged, and gets when it comes again."""
    count = 60
    db.sql("ALTER TABLE t ALTER v SET DEFAULT repeat('x', 5000)")
    pairs(db, 1, count)
    one = client(held=True)
    fills_pipe(one)
    steady(db.confirmed, 1)
    one.kill()
    before = one.transactions()
    assert 1 < len(before) < count / 2, one.state()
    assert db.confirmed() <= before[-1][0], \
        f"confirmed {lsn_text(db.confirmed())}, printed only" \
        f" {lsn_text(before[-1][0])}"
    after = numbers(rest(client(), count))
    assert 1 < after[0] <= len(before) + 1, \
        f"{len(before)} were printed, then it went on with {after[0]}"


def fills_pipe(program):
    """Waits until a program whose output is not read has to wait, too."""
    until(lambda: program.unread() > 30000, 30,
          lambda: "the client to fill its pipe: " + program.state())


def steady(value, span):
    """Waits until value() has been the same for so many seconds."""
    last, since = None, 0

    def quiet():
        nonlocal last, since
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= span
    until(quiet, 20, "something to come to rest")


def rest(program, last):
    """Waits for the transaction of that number; all there are, in order."""
    def come():
        done = program.transactions()
        return done and numbers(done[-1:]) == [last]
    program.wait_for(come, 30, f"transaction {last}")
    found = program.transactions()
    first = numbers(found[:1])[0]
    assert numbers(found) == list(range(first, last + 1))
    return found


def test_walstream_restarts(db, walstream, client):
    """It comes back by itself. What it had acknowledged does not."""
    one = client()
    pairs(db, 1, 3)
    rest(one, 3)
    settled(db, one)
    walstream.kill()
    pairs(db, 4, 6)
    walstream.start()
    rest(one, 6)
    settled(db, one)
    walstream.stop()
    pairs(db, 7, 9)
    walstream.start()
    rest(one, 9)
    assert len(one.transactions()) == 9
    settled(db, one)


def test_killed_under_load(db, walstream, client):
    """Nothing is lost when walstream dies at any moment; what comes again
    comes whole, and is what was not acknowledged."""
    one = client()
    for kill in range(4):
        pairs(db, 50 * kill + 1, 50 * kill + 50)
        walstream.kill()
        walstream.start()
    pairs(db, 201, 201)
    found = all_come(one, 201)
    assert sum(b - a != 1 for a, b in zip(found, found[1:])) <= 4
    settled(db, one)


def test_killed_while_busy(db, walstream, client):
    """Nor does it matter that the stream ends while it is handling much."""
    count = 1000
    db.sql("ALTER TABLE t ALTER v SET DEFAULT repeat('x', 2000)")
    pairs(db, 1, count)
    one = client(held=True)
    fills_pipe(one)
    walstream.kill()
    one.release()
    one.wait_said("UNAVAILABLE")
    walstream.start()
    found = all_come(one, count)
    assert sum(b - a != 1 for a, b in zip(found, found[1:])) <= 1
    settled(db, one)


def all_come(program, last):
    """Waits for the transaction of that number; nothing is missing before it,
    but some may come again. Returns the numbers."""
    program.wait_for(
        lambda: last in numbers(program.transactions()[-1:]), 40,
        f"transaction {last}")
    found = numbers(program.transactions())
    assert sorted(set(found)) == list(range(1, last + 1))
    assert all(b - a <= 1 for a, b in zip(found, found[1:]))
    return found


def test_waits_for_a_server(db, walstream, client):
    """It may be started first; it ends on SIGTERM while it waits."""
    walstream.stop()
    one, other = client(), client()
    one.wait_said("UNAVAILABLE")
    other.wait_said("UNAVAILABLE")
    other.send(signal.SIGTERM)
    assert other.wait(5) == 0, other.state()
    walstream.start()
    pairs(db, 1, 1)
    rest(one, 1)
    settled(db, one)


def test_name_taken(db, row, client):
    """The newer client of a name ends the older for good."""
    one = client()
    pairs(db, 1, 1)
    rest(one, 1)
    settled(db, one)
    two = client()
    assert one.wait(20) == 1, one.state()
    assert "ABORTED" in "".join(one.errors), one.state()
    assert row.consumer in "".join(one.errors), one.state()
    pairs(db, 2, 2)
    rest(two, 2)


def test_slot_lost(db, walstream, client):
    """DATA_LOSS is for a human to see."""
    one = client()
    pairs(db, 1, 1)
    rest(one, 1)
    settled(db, one)
    drop_slot(db)
    assert one.wait(20) == 1, one.state()
    assert "DATA_LOSS" in "".join(one.errors), one.state()
    walstream.now.expected = (0, 1)


def drop_slot(db):
    """Behind walstream's back."""
    def dropped():
        try:
            db.sql("SELECT pg_terminate_backend(active_pid),"
                   " pg_sleep(0.02), pg_drop_replication_slot(slot_name)"
                   " FROM pg_replication_slots WHERE slot_name = %s",
                   (db.slot,))
        except psycopg.errors.ObjectInUse:
            return False  # walstream was faster
        return True
    until(dropped, 20, "the slot to be dropped")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT],
                         ids=["TERM", "INT"])
def test_stops(db, client, sig):
    """On a signal it ends well, and what it printed is acknowledged."""
    one = client()
    pairs(db, 1, 20)
    rest(one, 20)
    one.send(sig)
    assert one.wait(5) == 0, one.state()
    settled(db, one)
    pairs(db, 21, 22)
    assert numbers(rest(client(), 22)) == [21, 22]


def test_stops_under_load(db, client):
    """Also in the middle of much: it finishes what it has in hand."""
    count = 1000
    db.sql("ALTER TABLE t ALTER v SET DEFAULT repeat('x', 2000)")
    pairs(db, 1, count)
    one = client(held=True)
    fills_pipe(one)
    one.send(signal.SIGTERM)
    one.release()
    assert one.wait(5) == 0, one.state()
    settled(db, one)
    done = numbers(one.transactions())
    assert 1 < len(done) < count
    assert numbers(rest(client(), count))[0] == done[-1] + 1


def test_large_row(db, client):
    """An event is as large as its row: here more than 4 MiB."""
    db.sql("INSERT INTO t VALUES (2, repeat('0123456789', 600000)), (3, '')")
    line = rest(client(), 1)[0][1][0]
    assert line == ('insert public.t {"id":2,"v":"' + "0123456789" * 600000
                    + '"}')


def test_default_address(db, row, walstream, launch):
    """The README's command, as it is written."""
    walstream.stop()
    with default_port() as port:
        server = Walstream(db, port)
        try:
            server.start()
            one = launch(row.name)
            pairs(db, 1, 2)
            rest(one, 2)
            settled(db, one)
            one.send(signal.SIGTERM)
            assert one.wait(5) == 0, one.state()
        finally:
            server.finish()
