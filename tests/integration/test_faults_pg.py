"""What a real PostgreSQL does that is easily got wrong, or refuses."""

import random
import time

import pytest

from pgserver import PgServer
from proc import Server, fails
from waiting import until


# Two-phase commit

def prepare(db, name, *statements):
    with db.connect() as conn:
        conn.execute(";".join(("BEGIN", *statements,
                               f"PREPARE TRANSACTION '{db.name}_{name}'")))


def test_prepared_and_confirmed_past(db, server, client):
    """P20: what is confirmed between PREPARE and COMMIT PREPARED does not
    pass over it, not even when walstream ends between the two."""
    walstream = server()
    stream = client(walstream)
    prepare(db, "one", "INSERT INTO t VALUES (100, 'prepared')",
            "INSERT INTO t VALUES (101, 'prepared')")
    db.fill(1, 3)
    stream.expect(3)
    db.wait_confirmed(stream.ack_all())
    assert walstream.stop() == 0
    db.fill(4, 4)
    stream = client(server())
    stream.expect(1)
    db.wait_confirmed(stream.ack_all())
    db.sql(f"COMMIT PREPARED '{db.name}_one'")
    db.fill(5, 5)
    stream.expect(4)
    assert stream.ids() == [4, 100, 101, 5]
    db.wait_confirmed(stream.ack_all())


def test_prepared_in_disorder(db, stream):
    """P20: they come in the order of COMMIT PREPARED."""
    for i in range(1, 6):
        prepare(db, str(i), f"INSERT INTO t VALUES ({i}, 'x')",
                f"INSERT INTO t VALUES ({10 + i}, 'x')")
    order = [3, 1, 5, 2, 4]
    for i in order[:4]:
        db.sql(f"COMMIT PREPARED '{db.name}_{i}'")
    db.sql(f"ROLLBACK PREPARED '{db.name}_4'")
    db.fill(20, 20)
    stream.expect(9)
    assert stream.ids() == [3, 13, 1, 11, 5, 15, 2, 12, 20]


def test_two_phase_slot(db, server, client):
    """P20: a slot that somebody made with two_phase sends transactions as
    they are prepared: it is refused by name, or read as any other."""
    db.needs(15, "two_phase in protocol version 3")
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput',"
           " false, true)", (db.slot,))
    prepare(db, "one", "INSERT INTO t VALUES (1, 'x')")
    db.sql(f"COMMIT PREPARED '{db.name}_one'")
    walstream = Server(
        "-c", db.conninfo(), "start", "pub", db.slot, "-h", "127.0.0.1",
        "-p", "0", "-t", "false")
    try:
        until(lambda: walstream.logged("server.listening")
              or walstream.child.poll() is not None, 20, "a decision")
        if walstream.child.poll() is not None:
            walstream.wait()
            assert "two_phase" in walstream.text()
            return
        stream = client(walstream.wait_listening())
        until(lambda: stream.events or walstream.logged("pg.lost"), 20,
              "the row")
        assert stream.ids() == [1], walstream.text()
    finally:
        walstream.expected = (0, 1)
        walstream.finish()


# What is decoded, and is nothing

def nothing(db):
    """Everything that PostgreSQL decodes or skips and nobody is sent."""
    db.sql("CREATE SEQUENCE IF NOT EXISTS s")
    db.sql("SELECT nextval('s') FROM generate_series(1, 200)")
    db.sql("SELECT setval('s', 5)")
    db.transaction("SELECT pg_logical_emit_message(true, 'p', 'in')")
    db.sql("SELECT pg_logical_emit_message(false, 'p', 'alone')")
    db.transaction("CREATE TABLE gone (n int)", "INSERT INTO gone VALUES (1)",
                   "DROP TABLE gone")
    with db.connect() as conn:
        conn.execute("BEGIN; INSERT INTO t VALUES (-1, 'x'); ROLLBACK")
    db.sql("SELECT pg_current_xact_id()")
    return db.unrelated_wal()


@pytest.mark.parametrize("acked", [True, False],
                         ids=["P21_acked", "P21_unacked"])
def test_nothing_to_deliver(db, server, client, acked):
    """Empty transactions, messages, sequences, rollbacks: nobody is sent
    anything of them, and they hold nothing back, unless something does."""
    db.set("wal_sender_timeout", "3s")
    stream = client(server())
    db.fill(1, 1)
    stream.expect(1)
    if acked:
        db.wait_confirmed(stream.ack_all())
    end = nothing(db)
    if acked:
        db.wait_confirmed(end, 20)
    else:
        db.settle()
        assert db.confirmed() < stream.events[0].pg_lsn
    db.fill(2, 2)
    stream.expect(2)
    assert stream.ids() == [1, 2]


# Commits in between

def test_interleaved(db, stream):
    """P22: 50 transactions that are open together come whole, in the order
    of their commits, however their rows are mixed."""
    draw = random.Random(22)
    conns = [db.connect() for _ in range(50)]
    try:
        for conn in conns:
            conn.execute("BEGIN")
        mixed = [(i, row) for i in range(50) for row in range(4)]
        draw.shuffle(mixed)
        rows = {i: [] for i in range(50)}
        for i, row in mixed:
            conns[i].execute("INSERT INTO t VALUES (%s, 'x')",
                             (10 * i + row,))
            rows[i].append(10 * i + row)
        order = list(range(50))
        draw.shuffle(order)
        for i in order:
            conns[i].execute("COMMIT" if i % 7 else "ROLLBACK")
    finally:
        for conn in conns:
            conn.close()
    kept = [row for i in order if i % 7 for row in rows[i]]
    stream.expect(len(kept), 30)
    assert stream.ids() == kept
    in_time = db.sql("SELECT id / 10 FROM t ORDER BY"
                     " pg_xact_commit_timestamp(xmin), id")
    assert [i // 10 for i in stream.ids()] == [row[0] for row in in_time]


# Limits of the server

@pytest.fixture(scope="module")
def narrow():
    """A server with one slot and one walsender."""
    server = PgServer(max_replication_slots="1", max_wal_senders="1")
    try:
        with server.connect("postgres") as admin:
            admin.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
            admin.execute("CREATE PUBLICATION pub FOR TABLE t")
        yield server
    finally:
        server.remove()


def start_on(pg, slot, temporary="false"):
    return ["-c", f"host=127.0.0.1 port={pg.port} user=postgres"
            " dbname=postgres", "start", "pub", slot, "-h", "127.0.0.1",
            "-p", "0", "-t", temporary]


@pytest.mark.parametrize("temporary", ["false", "true"],
                         ids=["P43_permanent", "P43_temporary"])
def test_no_free_slot(narrow, temporary):
    """All slots are taken: what to raise is named."""
    with narrow.connect("postgres") as admin:
        admin.execute("SELECT pg_create_physical_replication_slot('taken')")
        try:
            fails(*start_on(narrow, "mine", temporary),
                  naming=["max_replication_slots"], code=1)
        finally:
            admin.execute("SELECT pg_drop_replication_slot('taken')")


def test_no_free_walsender(narrow):
    """P43: all walsenders are busy: that is named, waited for, and over when
    one is free."""
    first = Server(*start_on(narrow, "first"))
    try:
        first.wait_listening()
        with narrow.connect("postgres") as admin:
            until(lambda: admin.execute(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE backend_type = 'walsender'").fetchall(), 10,
                  "the first one's walsender")
        second = Server(*start_on(narrow, "first"))
        try:
            assert "max_wal_senders" in second.wait_log("pg.wait")[0]
            assert first.stop() == 0
            second.wait_listening()
        finally:
            second.finish()
    finally:
        first.finish()
        with narrow.connect("postgres") as admin:
            admin.execute("SELECT pg_drop_replication_slot(slot_name)"
                          " FROM pg_replication_slots WHERE NOT active")


def test_no_walsenders():
    """P43: with wal_level=minimal there are none, and PostgreSQL says what it
    says when all are busy."""
    pg = PgServer(wal_level="minimal", max_wal_senders="0")
    try:
        one = Server(*start_on(pg, "s"))
        try:
            assert "max_wal_senders" in one.wait_log("pg.wait")[0]
        finally:
            one.kill()
            one.finish()
    finally:
        pg.remove()


# Limits on sessions

def test_time_limits(db, server, client):
    """P45: those of sessions do not end ours, which wait by design."""
    for name in ("idle_session_timeout",
                 "idle_in_transaction_session_timeout", "statement_timeout",
                 "lock_timeout"):
        db.set(name, "400ms")
    walstream = server()
    time.sleep(1)  # nobody is attached
    stream = client(walstream)
    db.fill(1, 1)
    stream.expect(1)
    time.sleep(1)  # somebody is, and nothing happens
    db.fill(2, 2)
    stream.expect(2)
    assert not walstream.logged("pg.lost")
