"""Slots that are made, missing, lost, moved or replaced."""

import os
import re

import grpc
import pytest

from database import Database, lsn_text
from pgserver import PgServer
from proc import fails, run
from waiting import until

pytest_plugins = ["subscriber"]


def create(db, *options):
    return run("-c", db.conninfo(), "create", "--slot", db.slot, *options)


def make_slot(db):
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (db.slot,))


def drop_slot(db):
    db.sql("SELECT pg_drop_replication_slot(%s)", (db.slot,))


def move_slot(db):
    db.sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())",
           (db.slot,))


# Making slots

def test_never_create(db):
    """--create-slot never: a missing slot is named, and not made."""
    fails("-c", db.conninfo(), "start", "pub", db.slot, "-p", "0", "-t",
          "false", "--create-slot", "never",
          naming=[db.slot, "walstream create"], code=1)
    assert db.slots() == []


def test_create(db, server, subscribe):
    """walstream create makes the slot that --create-slot never wants."""
    done = create(db)
    assert done.returncode == 0 and db.slot in done.stdout
    assert lsn_text(db.confirmed()) in done.stdout
    assert db.sql("SELECT slot_type, plugin, temporary"
                  " FROM pg_replication_slots WHERE slot_name = %s",
                  (db.slot,)) == [("logical", "pgoutput", False)]
    db.fill(1, 3)
    stream = subscribe(server("--create-slot", "never"))
    stream.transactions(1)
    assert stream.ids() == [1, 2, 3]


def test_create_again(db):
    """A slot that is there is not made again, and stays as it is."""
    assert create(db).returncode == 0
    before = db.confirmed()
    db.fill(1, 3)
    fails("-c", db.conninfo(), "create", db.slot, naming=[db.slot], code=1)
    assert db.confirmed() == before


def test_create_failover(pg, db):
    """--failover needs PostgreSQL 17, and says so."""
    with pg.connect("postgres") as admin:
        version = admin.info.server_version
    if version < 170000:
        line = fails("-c", db.conninfo(), "create", db.slot, "--failover",
                     naming=["--failover", "17", str(version)], code=1)
        assert "syntax" not in line and db.slots() == []
    else:
        assert create(db, "--failover").returncode == 0
        assert db.one("SELECT failover FROM pg_replication_slots"
                      " WHERE slot_name = %s", (db.slot,))


@pytest.mark.parametrize("name", ["Upper", "x" * 64, "", "a-b"])
def test_create_bad_name(db, name):
    """A name that no slot can have is asked wrongly."""
    fails("-c", db.conninfo(), "create", "--slot", name, code=2)
    assert db.slots() == []


# Losing slots

def test_dropped(db, role, server, subscribe):
    """A slot that vanished: DATA_LOSS, also for who comes later; it is not
    made anew, and walstream stays."""
    walstream = server(connection=db.conninfo(user=role))
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    with db.locked_out(role):
        drop_slot(db)
    assert stream.ended() == grpc.StatusCode.DATA_LOSS
    assert db.slot in stream.details
    late = subscribe(walstream, wait=False)
    assert late.ended() == grpc.StatusCode.DATA_LOSS
    assert db.slots() == [] and walstream.child.poll() is None
    assert db.slot in walstream.wait_log("server.streams_ended")[0]


def test_dropped_while_idle(db, server, subscribe):
    """Also when it was dropped while nobody was attached."""
    walstream = server()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stream.close()
    walstream.wait_log("replication.stopped")
    db.wait_inactive()
    drop_slot(db)
    for _ in range(2):
        late = subscribe(walstream, wait=False)
        assert late.ended() == grpc.StatusCode.DATA_LOSS
        assert db.slot in late.details and late.messages == []
    assert db.slots() == []


def test_made_again_by_somebody(db, role, server, subscribe):
    """A slot of the same name that somebody makes anew is another one: the
    streams end, and those that come later are served from it."""
    walstream = server(connection=db.conninfo(user=role))
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    with db.locked_out(role):
        drop_slot(db)
        db.fill(4, 6)
        make_slot(db)
    assert stream.ended() == grpc.StatusCode.DATA_LOSS
    late = subscribe(walstream)
    db.fill(7, 9)
    late.transactions(1)
    assert late.ids() == [7, 8, 9]


def test_moved(db, role, server, subscribe):
    """A slot that somebody moved: DATA_LOSS, naming both positions."""
    walstream = server(connection=db.conninfo(user=role))
    stream = subscribe(walstream, consumer="a")
    db.fill(1, 3)
    stream.transactions(1)
    was = db.confirmed()
    with db.locked_out(role):
        db.fill(4, 6)
        move_slot(db)
        now = db.confirmed()
    assert stream.ended() == grpc.StatusCode.DATA_LOSS
    assert lsn_text(was) in stream.details and lsn_text(now) in stream.details
    late = subscribe(walstream, consumer="a")
    assert late.started.start_lsn == now
    db.fill(7, 9)
    late.transactions(1)
    assert late.ids() == [7, 8, 9]


def test_moved_while_idle(db, server, subscribe):
    """Moved while nobody was attached: the next stream is told where it
    really starts, and an exact one that asks for less is refused."""
    walstream = server()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    start = stream.started.start_lsn
    stream.close()
    wait_ready(db, walstream)
    move_slot(db)
    now = db.confirmed()
    db.fill(4, 6)
    refused = subscribe(walstream, wait=False, exact=True, after_lsn=start)
    assert refused.ended() in (grpc.StatusCode.OUT_OF_RANGE,
                               grpc.StatusCode.DATA_LOSS)
    late = subscribe(walstream)
    late.transactions(1)
    assert late.ids() == [4, 5, 6]
    assert lsn_text(late.started.start_lsn) == lsn_text(now)


def wait_ready(db, walstream):
    """Waits until walstream is connected again, with nobody attached."""
    walstream.wait_log("replication.stopped")
    db.wait_inactive()
    until(lambda: db.one(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state ="
        " 'idle' AND backend_type = 'walsender' AND query LIKE"
        " '%%pg_replication_slots%%'", (db.name,)), 10, "a connection")


def test_invalidated(server, subscribe):
    """WAL the slot needs is removed: DATA_LOSS, saying what to do."""
    pg = PgServer(max_slot_wal_keep_size="1MB", wal_keep_size="0",
                  max_wal_size="32MB", min_wal_size="32MB")
    try:
        db = Database(pg, "invalidated")
        walstream = server(connection=db.conninfo(), slot=db.slot)
        stream = subscribe(walstream)
        db.fill(1, 3)
        stream.transactions(1)
        for _ in range(4):
            db.sql("SELECT pg_switch_wal()")
            db.sql("INSERT INTO other (v) SELECT repeat('x', 1000)"
                   " FROM generate_series(1, 100)")
        db.sql("CHECKPOINT")
        assert stream.ended() == grpc.StatusCode.DATA_LOSS
        late = subscribe(walstream, wait=False)
        assert late.ended() == grpc.StatusCode.DATA_LOSS
        assert db.slot in late.details and "walstream delete" in late.details
        assert db.slots() == [db.slot] and walstream.child.poll() is None
        again = fails("-c", db.conninfo(), "start", "pub", db.slot, "-p", "0",
                      "-t", "false", naming=[db.slot], code=1)
        assert "walstream delete" in again
        walstream.stop()
    finally:
        pg.remove()


def test_other_cluster(server, subscribe):
    """Another cluster behind the same address: DATA_LOSS, and no slot is
    made there."""
    one, two = PgServer(), PgServer()
    try:
        db, other = Database(one, "d"), Database(two, "d")
        two.stop()
        walstream = server(connection=db.conninfo(), slot=db.slot)
        stream = subscribe(walstream)
        system = stream.started.system_identifier
        db.fill(1, 3)
        stream.transactions(1)
        one.stop("immediate")
        with open(os.path.join(two.data, "postgresql.conf"), "a",
                  encoding="utf-8") as conf:
            conf.write(f"port = {one.port}\n")
        two.port = one.port
        two.start()
        assert stream.ended() == grpc.StatusCode.DATA_LOSS
        assert system in stream.details
        late = subscribe(walstream, wait=False)
        assert late.ended() == grpc.StatusCode.DATA_LOSS
        assert other.slots() == [] and walstream.child.poll() is None
        walstream.stop()
    finally:
        one.remove()
        two.remove()


def test_publication_dropped(db, server, subscribe):
    """A publication that vanished: FAILED_PRECONDITION naming it, nothing is
    confirmed meanwhile, and walstream stays."""
    walstream = server()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    lsn = stream.ack_last()
    db.wait_confirmed(lsn)
    db.sql("DROP PUBLICATION pub")
    db.fill(4, 6)
    end = db.unrelated_wal()
    assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
    assert '"pub"' in stream.details
    late = subscribe(walstream, wait=False)
    assert late.ended() == grpc.StatusCode.FAILED_PRECONDITION
    assert db.confirmed() < end and walstream.child.poll() is None


# Temporary slots

def test_temporary_replaced(db, server, subscribe):
    """When the last client leaves, a fresh slot takes the place of the old:
    what commits then is for nobody, and holds no WAL."""
    walstream = server(temporary=True)
    first, second = subscribe(walstream), subscribe(walstream)
    db.fill(1, 3)
    first.transactions(1)
    first.close()
    db.fill(4, 6)
    second.transactions(2)
    assert len(walstream.logged("slot.created")) == 1
    second.close()
    made = walstream.wait_log("slot.created", 2)[1]
    assert re.search(r"at ([0-9A-F]+/[0-9A-F]+)", made)
    assert db.slots() == [db.slot]
    assert db.confirmed() >= second.of("commit")[1].end_lsn
    db.fill(7, 9)
    late = subscribe(walstream)
    db.fill(10, 12)
    late.transactions(1)
    assert late.ids() == [10, 11, 12]


def test_temporary_lost(db, server, subscribe):
    """With its connection the slot is gone: DATA_LOSS; a new one is made."""
    walstream = server(temporary=True)
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    db.terminate_walsender()
    assert stream.ended() == grpc.StatusCode.DATA_LOSS
    assert db.slot in stream.details
    late = subscribe(walstream)
    db.fill(4, 6)
    late.transactions(1)
    assert late.ids() == [4, 5, 6]
