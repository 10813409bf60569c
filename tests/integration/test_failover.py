"""A standby is promoted: clients stay, nothing confirmed comes again, nothing
unconfirmed is lost, and what cannot be kept is said."""

import contextlib
import os
import re
import threading

import grpc
import pytest

from database import lsn_number, lsn_text
from proc import Server, fails, run
from replica import Cluster, MovingDatabase, Node
from waiting import until

pytest_plugins = ["subscriber"]

NEWEST = {"major": 18}
PATIENCE = 60  # promotion, and a wait between two tries


@pytest.fixture(name="cluster")
def fixture_cluster(request):
    """Two servers; a test's parameter says of which version."""
    one = Cluster(**getattr(request, "param", NEWEST))
    yield one
    one.remove()


@pytest.fixture(name="db")
def fixture_db(cluster):
    """The database on the current primary."""
    return MovingDatabase(cluster.primary, "app")


@pytest.fixture
def start(cluster, db, server):
    """walstream at the address that moves."""
    def at_address(*options, connection=None, **more):
        return server(*options, connection=connection or conninfo(
            db, cluster.address.port), **more)
    return at_address


def conninfo(db, port, host="127.0.0.1", **more):
    words = {"host": host, "port": port, "user": "postgres",
             "dbname": db.name, **more}
    return " ".join(f"{key}={value}" for key, value in words.items())


def switch_lsn(node, timeline=2):
    """Where a server's timeline left the one before."""
    path = os.path.join(node.data, "pg_wal", f"{timeline:08X}.history")
    with open(path, encoding="ascii") as history:
        return lsn_number(history.readlines()[-1].split("\t")[1])


def numbers(first, last):
    return list(range(first, last + 1))


def healthy(walstream):
    return run("health", walstream.address).returncode == 0


def others(stream):
    """The v of every row of `other`."""
    return [re.search(r'"v":"([^"]*)"', row.json_payload).group(1)
            for row in stream.rows() if row.table == "other"]


@pytest.mark.parametrize("cluster,how", [
    ({"major": 17}, "kill"), (NEWEST, "kill"), (NEWEST, "fast")],
    indirect=["cluster"])
def test_promoted(cluster, db, start, subscribe, named, client, how):
    """Everybody stays attached, whatever kind of stream and however far, and
    gets everything once; what was acknowledged comes to nobody again."""
    cluster.make_slot(db)
    walstream = start("--shutdown-grace", "1")
    all_ = subscribe(walstream)
    streams = [all_, client(walstream), named(walstream, "n"),
               subscribe(walstream, observer=True),
               subscribe(walstream, batch=True, exact=True),
               client(walstream, held=True)]
    none = subscribe(walstream, tables=["public.nothing"])
    for i in range(1, 31, 3):
        db.fill(i, i + 2)
    for one in streams[:-1]:
        one.wait_for(30)
    acked = all_.transactions(10)[3].commit.pg_lsn
    for one in (all_, *streams[1:3], streams[4]):
        one.ack(acked)
    streams[-1].release()
    streams[-1].wait_for(12)
    streams[-1].ack(streams[-1].events[11].pg_lsn)
    db.wait_confirmed_is(acked)
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.standby.wait_synced(db.slot, acked)
    cluster.fail_over(db, how)
    db.fill(31, 33)
    late = subscribe(walstream, wait=False)
    for one in streams:
        one.expect(33, PATIENCE)
        assert one.ids() == numbers(1, 33) and one.open()
        lsns = [event.pg_lsn for event in one.events]
        assert lsns == sorted(lsns)
    late.wait_for(21)
    assert late.ids() == numbers(13, 33)
    assert late.started.timeline == 2 and late.started.start_lsn == acked
    assert len(set(all_.keys())) == 33
    assert none.open() and none.rows() == []
    assert walstream.logged("server.streams_ended") == []
    for one in (*streams[:3], streams[4], streams[5]):
        one.ack(one.events[-1].pg_lsn)
    late.ack_last()
    db.wait_confirmed(all_.transactions(11)[-1].commit.end_lsn)
    assert walstream.stop() == 0
    db.fill(34, 36)
    fresh = subscribe(start())
    fresh.transactions(1)
    assert fresh.ids() == numbers(34, 36)


def test_under_load(cluster, db, start, subscribe):
    """The primary is killed while it writes: what it committed and the standby
    has comes once, and what came is what the standby has."""
    cluster.make_slot(db)
    cluster.primary.set("synchronized_standby_slots",
                        f"to_{cluster.standby.port}")
    walstream = start()
    acking = subscribe(walstream, ack_commits=True)
    keeping = subscribe(walstream)
    conn = db.connect()
    for i in numbers(1, 300):
        conn.execute("INSERT INTO t VALUES (%s, 'x')", (i,))
        if i == 100:
            cluster.standby.wait_synced(db.slot)
    acking.wait_for(150)
    cluster.fail_over(db)
    db.fill(1001, 1001)
    there = [row[0] for row in db.sql("SELECT id FROM t ORDER BY id")]
    for one in (acking, keeping):
        one.expect(len(there), PATIENCE)
        assert one.ids() == there and one.open()
    assert len(set(keeping.keys())) == len(there)


def test_who_could_not_be_told(cluster, db, start, subscribe, raw):
    """A client that took nothing any more is told of the DATA_LOSS when it
    comes again."""
    cluster.make_slot(db)
    walstream = start()
    stuck = raw(walstream, window=4000)
    stream = stuck.request({"walstream-consumer": "a"})
    stuck.until(lambda: stream in stuck.headers)
    other = subscribe(walstream)
    db.fill(1, 1)
    other.transactions(1)
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.standby.wait_synced(db.slot)
    cluster.standby.detach()
    db.fill(101, 200)
    other.transactions(2)
    cluster.fail_over(db)
    assert other.ended(PATIENCE) == grpc.StatusCode.DATA_LOSS
    assert not any("was set back" in line for line in walstream.lines)
    stuck.close()
    for code in (grpc.StatusCode.DATA_LOSS, None):
        again = subscribe(walstream, wait=False, consumer="a")
        until(lambda: again.code or again.of("started"), PATIENCE, again.state)
        assert again.code == code, again.state()


def test_standby_was_behind(cluster, db, start, subscribe):
    """What the promoted standby never had, and was sent, is a DATA_LOSS for
    who was sent it, and for nobody else."""
    cluster.make_slot(db)
    db.publish("other")
    walstream = start()
    full = subscribe(walstream, consumer="full")
    away = subscribe(walstream, consumer="away")
    batch = subscribe(walstream, batch=True)
    part = subscribe(walstream, tables=["public.other"], consumer="part")
    idle = subscribe(walstream, tables=["public.other"], observer=True)
    db.fill(1, 3)
    db.sql("INSERT INTO other VALUES (1, 'one')")
    for one in (full, away, batch):
        one.transactions(2)
        one.ack_last()
    part.transactions(1)
    db.wait_confirmed(part.ack_last())
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.standby.wait_synced(db.slot)
    cluster.standby.detach()
    db.fill(101, 103)
    for one in (full, away, batch):
        one.transactions(3)
    lost = full.ack_last()
    away.ack_last()
    away.close()
    batch.ack_last()
    db.wait_confirmed(lost)
    cluster.fail_over(db)
    cut = switch_lsn(cluster.primary)
    assert cut < lost
    for one in (full, batch):
        assert one.ended(PATIENCE) == grpc.StatusCode.DATA_LOSS
        assert lsn_text(lost) in one.details and lsn_text(cut) in one.details
    # what is unacknowledged keeps what follows unconfirmed
    db.sql("INSERT INTO other VALUES (2, 'two')")
    db.fill(4, 6)
    for one in (part, idle):
        one.transactions(2, PATIENCE)
        assert others(one) == ["one", "two"] and one.open()
    # A name is told once, and goes on.
    again = subscribe(walstream, wait=False, consumer="away")
    assert again.ended() == grpc.StatusCode.DATA_LOSS
    assert lsn_text(lost) in again.details and again.messages == []
    for name in ("away", "full"):
        again = subscribe(walstream, consumer=name)
        again.transactions(2)
        assert again.ids() == [2, 4, 5, 6]
        again.ack_last()
    db.wait_confirmed(part.ack_last())
    assert len(walstream.logged("server.streams_ended")) == 1


def test_lagging_clients(cluster, db, start, subscribe, client):
    """What is still in memory of the timeline that was left is not sent any
    more, but for the rest of a batch that was begun: that one ends."""
    cluster.make_slot(db)
    walstream = start()
    lagging = subscribe(walstream, held=True)
    session = client(walstream, held=True)
    for i in numbers(1, 8):
        db.fill(i, i, 1000000)
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.standby.detach()
    db.fill(101, 101)
    db.fill(102, 102)
    quick = subscribe(walstream, observer=True)
    quick.transactions(10)
    batch = subscribe(walstream, held=True, batch=True,
                      max_batch_bytes=16 << 20)
    cluster.fail_over(db)
    db.fill(9, 9)
    until(lambda: walstream.logged("server.streams_ended"), PATIENCE,
          "the cut")
    for one in (lagging, session, batch):
        one.release()
    for one in (lagging, session):
        one.expect(9, PATIENCE)
        assert one.ids() == numbers(1, 9) and one.open()
    for one in (quick, batch):
        assert one.ended() == grpc.StatusCode.DATA_LOSS
        assert one.ids() == [*numbers(1, 8), 101, 102]


def test_idle_standby_was_behind(cluster, db, start, subscribe):
    """The same WAL positions are used again: who was only ever ahead because
    nothing was for it misses nothing of what takes their place."""
    cluster.make_slot(db)
    db.set("wal_sender_timeout", "2s")
    walstream = start()
    stream, session = subscribe(walstream), subscribe(walstream, observer=True)
    db.fill(1, 3)
    stream.transactions(1)
    db.wait_confirmed(stream.ack_last())
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.standby.wait_synced(db.slot)
    cluster.standby.detach()
    end = db.settle()
    db.wait_confirmed(end)
    late = subscribe(walstream, begin=False, method=
                     "/plugin.PluginService/Session")
    cluster.fail_over(db)
    assert switch_lsn(cluster.primary) < end
    for i in range(4, 34):
        db.fill(i, i)
    for one in (stream, session):
        one.expect(33, PATIENCE)
        assert one.ids() == numbers(1, 33) and one.open()
    late.expect(30)
    assert late.ids() == numbers(4, 33)
    late.ack_all()
    db.wait_confirmed(stream.ack_last())


def test_nobody_is_ahead(cluster, db, start, subscribe):
    """With synchronized_standby_slots nothing is sent that the standby does
    not have, so nothing is lost."""
    cluster.make_slot(db)
    cluster.primary.set("synchronized_standby_slots",
                        f"to_{cluster.standby.port}")
    walstream = start()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stream.ack_last()
    cluster.standby.wait_synced(db.slot)
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.standby.detach()
    db.fill(101, 103)
    cluster.fail_over(db)
    db.fill(4, 6)
    stream.expect(6, PATIENCE)
    assert stream.ids() == numbers(1, 6) and stream.open()


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "at once"])
def test_twice(cluster, db, start, subscribe, seen):
    """Two promotions, walstream there or not in between."""
    last = cluster.add(Node(18, of=cluster.primary))
    db.move(cluster.primary)
    cluster.make_slot(db)
    walstream = start()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    db.wait_confirmed(stream.ack_last())
    for one in (cluster.standby, last):
        one.wait_caught_up(cluster.primary)
    cluster.fail_over(db)
    if not seen:
        cluster.address.lead(None)
    db.fill(4, 6)
    if seen:
        stream.transactions(2, PATIENCE)
        db.wait_confirmed(stream.ack_last())
    last.attach(cluster.primary)
    db.fill(7, 9)
    last.wait_caught_up(cluster.primary)
    cluster.standby = last
    cluster.fail_over(db)
    db.fill(10, 12)
    stream.transactions(4, PATIENCE)
    assert stream.ids() == numbers(1, 12) and stream.open()
    late = subscribe(walstream)
    late.transactions(2 if seen else 3)
    assert late.ids() == numbers(7 if seen else 4, 12)
    assert late.started.timeline == 3


def test_no_failover_slot(cluster, db, start, subscribe):
    """A slot made without --failover is not on the standby: walstream says
    so, makes no other, and stays for who mends it."""
    db.make_slot(failover=False)
    walstream = start()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    db.wait_confirmed(confirmed := stream.ack_last())
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.fail_over(db)
    assert stream.ended(PATIENCE) == grpc.StatusCode.DATA_LOSS
    for part in (db.slot, "promoted", "--failover", lsn_text(confirmed)):
        assert part in stream.details
    assert not healthy(walstream)
    late = subscribe(walstream, wait=False)
    assert late.ended(PATIENCE) == grpc.StatusCode.DATA_LOSS
    assert "--failover" in late.details
    assert "--failover" in walstream.logged("server.streams_ended")[0]
    assert db.slots() == [] and walstream.child.poll() is None
    # A slot that somebody makes is another one, and is used.
    db.make_slot()
    late = subscribe(walstream, wait=False).attached(PATIENCE)
    db.fill(4, 6)
    late.transactions(1)
    assert late.ids() == [4, 5, 6]


def test_copy_is_waited_for(cluster, db, start, server, subscribe):
    """A standby's copy of a slot cannot be read: walstream waits until the
    standby is promoted, also at its start."""
    del start
    cluster.make_slot(db)
    walstream = server(connection=conninfo(db, cluster.address.port))
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stream.ack(stream.events[1].pg_lsn)
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.address.lead(cluster.standby)
    lost = until(lambda: [line for line in walstream.logged("pg.lost")
                          if "promoted" in line], 30, "the standby refused")
    assert db.slot in lost[0] and stream.open() and not healthy(walstream)
    second = Server(
        "-c", conninfo(db, cluster.standby.port), "start", "pub", db.slot,
        "-h", "127.0.0.1", "-p", "0", "-t", "false")
    try:
        assert db.slot in second.wait_log("pg.wait", 2)[0]
        cluster.fail_over(db, "fast")
        second.wait_listening()
        assert second.stop() == 0
    finally:
        second.finish()
    db.fill(4, 6)
    stream.transactions(2, PATIENCE)
    assert stream.ids() == numbers(1, 6) and stream.open()
    assert walstream.logged("server.streams_ended") == []


def test_old_primary(cluster, db, start, server, subscribe):
    """An old primary that is back as if nothing had happened is not streamed
    from, by its address or as the first of several hosts."""
    del start
    cluster.make_slot(db)
    old, new = cluster.primary, cluster.standby
    walstream = server(connection=conninfo(db, cluster.address.port))
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stream.ack_last()
    new.wait_caught_up(old)
    new.wait_synced(db.slot)
    cluster.fail_over(db, "fast")
    db.fill(4, 6)
    stream.transactions(2, PATIENCE)
    old.start()
    old.sql("INSERT INTO t VALUES (100, 'split')", dbname=db.name)
    cluster.address.lead(old)
    said = until(lambda: [line for line in walstream.logged("pg.lost")
                          if "old primary" in line], 30, "a refusal")
    assert "timeline 1" in said[0] and "timeline 2" in said[0]
    assert stream.open() and not healthy(walstream)
    cluster.lead(db, new)
    db.fill(7, 9)
    stream.transactions(3, PATIENCE)
    assert stream.ids() == numbers(1, 9) and stream.open()


def test_hosts(cluster, db, server, subscribe):
    """Several hosts in the connection string: the new primary is found, and
    an old one that comes back is passed over."""
    cluster.make_slot(db)
    old, new = cluster.primary, cluster.standby
    walstream = server(connection=conninfo(
        db, f"{old.port},{new.port}", "127.0.0.1,127.0.0.1",
        target_session_attrs="read-write"))
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stream.ack_last()
    new.wait_caught_up(old)
    new.wait_synced(db.slot)
    cluster.fail_over(db)
    db.fill(4, 6)
    stream.transactions(2, PATIENCE)
    old.start()
    old.sql("INSERT INTO t VALUES (100, 'split')", dbname=db.name)
    pid = db.terminate_walsender()
    db.wait_walsender(other_than=pid, timeout=PATIENCE)
    assert "old primary" in walstream.wait_log("pg.next_host")[0]
    db.fill(7, 9)
    stream.transactions(3)
    assert stream.ids() == numbers(1, 9) and stream.open()


@pytest.mark.parametrize("number", [2, 3])
def test_another_branch(cluster, db, start, subscribe, number):
    """Two standbys are promoted: who has streamed from one has lost what is on
    the other, whose timeline may even have the same number."""
    other = cluster.add(Node(18, of=cluster.primary,
                             recovery_target_timeline="current"))
    db.move(cluster.primary)
    cluster.make_slot(db)
    walstream = start()
    stream = subscribe(walstream)
    other.wait_caught_up(cluster.primary)
    other.detach()
    db.fill(1, 3)
    stream.transactions(1)
    db.wait_confirmed(stream.ack_last())
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.fail_over(db)
    db.fill(4, 6)
    stream.transactions(2, PATIENCE)
    if number == 3:  # it takes one above those that it knows of
        with open(os.path.join(other.data, "pg_wal", "00000002.history"), "w",
                  encoding="ascii") as history:
            history.write("1\t0/1\tnone\n")
    other.promote()
    assert other.timeline() == number
    end = db.pg.lsn()
    while other.lsn() <= end + 1000:
        other.sql("INSERT INTO t SELECT i, 'x' FROM generate_series(101, 999)"
                  " i ON CONFLICT (id) DO UPDATE SET v = 'y'", dbname=db.name)
    cluster.address.lead(other)
    assert stream.ended(PATIENCE) == grpc.StatusCode.DATA_LOSS
    assert f"timeline {number}" in stream.details
    assert "branch" in stream.details and stream.ids() == numbers(1, 6)
    late = subscribe(walstream, wait=False)
    assert late.ended(PATIENCE) == grpc.StatusCode.DATA_LOSS
    assert not healthy(walstream)


def test_history_is_missing(cluster, db, start, subscribe):
    """A history that nobody needs may be missing."""
    cluster.make_slot(db)
    cluster.fail_over(db, "fast")
    os.unlink(os.path.join(cluster.primary.data, "pg_wal",
                           "00000002.history"))
    walstream = start()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    pid = db.terminate_walsender()
    db.wait_walsender(other_than=pid)
    db.fill(4, 6)
    stream.transactions(2)
    assert stream.started.timeline == 2
    assert len(walstream.logged("pg.lost")) == 1


# Decoding from a standby

@contextlib.contextmanager
def running(primary):
    """The primary says again and again which transactions run: to make a slot
    a standby waits for that."""
    done = threading.Event()

    def say():
        while not done.wait(0.2):
            primary.one("SELECT pg_log_standby_snapshot()::text")
    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)


def on_standby(cluster):
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.address.lead(cluster.standby)


def confirmed_on(node, slot):
    return lsn_number(node.one("SELECT confirmed_flush_lsn::text"
                               " FROM pg_replication_slots"
                               " WHERE slot_name = %s", (slot,)))


BOTH = pytest.mark.parametrize("cluster", [{"major": 16}, NEWEST],
                               indirect=True)


@BOTH
def test_decoding_standby(cluster, db, start, subscribe):
    """A standby is streamed from, and promoted under it: nothing is cut, and
    nothing that came before is doubted when walstream connects again."""
    on_standby(cluster)
    with running(cluster.primary):
        walstream = start("--shutdown-grace", "1")
    stream, slow = subscribe(walstream), subscribe(walstream, observer=True)
    db.fill(1, 3)
    for one in (stream, slow):
        one.transactions(1)
    acked = stream.ack_last()
    until(lambda: confirmed_on(cluster.standby, db.slot) >= acked, 30,
          "the standby's slot to be moved")
    cluster.primary.stop()
    new = cluster.standby
    new.promote()
    db.move(new)
    assert walstream.logged("pg.lost") == []
    db.fill(4, 6)
    stream.transactions(2)
    db.wait_confirmed(stream.ack_last())
    assert stream.started.timeline == 1
    pid = db.terminate_walsender()
    db.wait_walsender(other_than=pid)
    assert "timeline 2" in walstream.wait_log("pg.timeline")[0]
    db.fill(7, 9)
    stream.transactions(3)
    late = subscribe(walstream)
    assert late.started.timeline == 2
    late.transactions(1)
    assert late.ids() == [7, 8, 9]
    assert stream.ids() == numbers(1, 9) == slow.ids()
    assert stream.open() and slow.open()


@BOTH
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_promoted_and_restarted(cluster, db, start, subscribe, how):
    """Also when the promoted standby is restarted before walstream has heard
    of its promotion."""
    on_standby(cluster)
    with running(cluster.primary):
        walstream = start("--shutdown-grace", "1")
    stream = subscribe(walstream, ack_commits=True)
    db.fill(1, 3)
    stream.transactions(1)
    cluster.primary.stop()
    new = cluster.standby
    new.promote()
    db.move(new)
    for i in range(4, 13, 3):
        db.fill(i, i + 2)
        db.sql("SELECT pg_log_standby_snapshot()")
    db.wait_confirmed(stream.transactions(4)[-1].commit.pg_lsn)
    db.sql("CHECKPOINT")
    new.restart(how)
    db.fill(13, 15)
    stream.transactions(5, PATIENCE)
    assert stream.ids() == numbers(1, 15) and stream.open()


@BOTH
def test_temporary_on_standby(cluster, db, start, subscribe):
    """A temporary slot on a standby; making it takes as long as the primary
    says nothing, and the log says why."""
    on_standby(cluster)
    with running(cluster.primary):
        walstream = start(temporary=True)
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    assert stream.ids() == [1, 2, 3]
    stream.close()
    said = walstream.wait_log("slot.slow", timeout=30)[0]
    assert "pg_log_standby_snapshot()" in said and db.slot in said
    assert not healthy(walstream)
    late = subscribe(walstream, wait=False)
    with running(cluster.primary):
        late.attached(30)
    db.fill(4, 6)
    late.transactions(1)
    assert late.ids() == [4, 5, 6]
    assert healthy(walstream)


def test_commands_on_standby(cluster, db):
    """create, list and delete, of slots of a standby's own and of copies."""
    cluster.make_slot(db)
    on_standby(cluster)
    where = ("-c", conninfo(db, cluster.address.port))
    with running(cluster.primary):
        done = run(*where, "create", "own", timeout=60)
    assert done.returncode == 0, done.stderr
    assert "pg_log_standby_snapshot()" in done.stderr
    listed = run(*where, "list").stdout
    assert re.search(r"^own .*pgoutput", listed, re.M)
    assert re.search(rf"^{db.slot} .*pgoutput", listed, re.M)
    done = run(*where, "delete", "own")
    assert done.returncode == 0, done.stderr
    fails(*where, "delete", db.slot, naming=[db.slot, "synchronized"], code=1)
    fails(*where, "create", "own", "--failover", naming=["standby"], code=1)
    assert not re.search("^own ", run(*where, "list").stdout, re.M)


def test_standby_lags(cluster, db, start, subscribe):
    """A standby that does not have yet what was delivered is waited for."""
    db.make_slot(failover=False)
    cluster.standby.wait_caught_up(cluster.primary)
    with running(cluster.primary):
        cluster.standby.sql("SELECT pg_create_logical_replication_slot(%s,"
                            " 'pgoutput')", (db.slot,), dbname=db.name)
    walstream = start()
    stream = subscribe(walstream)
    db.fill(1, 3)
    stream.transactions(1)
    stream.ack_last()
    cluster.standby.wait_caught_up(cluster.primary)
    cluster.standby.detach()
    db.fill(4, 6)
    stream.transactions(2)
    cluster.address.lead(cluster.standby)
    until(lambda: [line for line in walstream.logged("pg.lost")
                   if "it lags" in line], 30, "the standby refused")
    assert stream.open() and not healthy(walstream)
    cluster.standby.attach(cluster.primary)
    db.fill(7, 9)
    stream.transactions(3, PATIENCE)
    assert stream.ids() == numbers(1, 9) and stream.open()


@pytest.mark.parametrize("cluster", [{"major": 15}], indirect=True)
def test_old_standby(cluster, db, subscribe, start):
    """Before 16 a standby cannot be streamed from: at the start that is said,
    later its promotion is waited for."""
    db.make_slot(failover=False)
    walstream = start()
    stream = subscribe(walstream)
    on_standby(cluster)
    fails("-c", conninfo(db, cluster.standby.port), "start", "pub", db.slot,
          "-p", "0", "-t", "false", naming=["standby", "16", "primary"],
          code=1)
    until(lambda: [line for line in walstream.logged("pg.lost")
                   if "PostgreSQL 16" in line], 30, "the standby refused")
    assert stream.open()
    cluster.address.lead(cluster.primary)
    db.fill(1, 3)
    stream.transactions(1, PATIENCE)
    assert stream.open()
