"""Following a database that is being written to, and catching up with it."""

import signal
import statistics
import time

from database import lsn_number
from loads import NARROW_ROWS
from race import TIMEOUT, run_walstream
from report import Figure
from usage import ended
from waiting import until


def sent(db, slot):
    """How far its walsender has sent, and so has a reader that takes all."""
    rows = db.sql("SELECT sent_lsn::text FROM pg_stat_replication r JOIN"
                  " pg_replication_slots s ON r.pid = s.active_pid"
                  " WHERE slot_name = %s AND sent_lsn IS NOT NULL", (slot,))
    return lsn_number(rows[0][0]) if rows else 0


def load(scene, db, rows):
    db.sql("TRUNCATE narrow")
    started = time.monotonic()
    NARROW_ROWS.run(scene, db, rows)
    return started


def walstream(scene, db, rows):
    slot = scene.copy_slot(db)
    with scene.walstream(db, slot) as server:
        child = scene.tail(server, rows + 1)  # and the TRUNCATE
        scene.walsender(db, slot, child)
        started = load(scene, db, rows)
        ended(child, "tail", TIMEOUT)
        return rows / (time.monotonic() - started)


def pg_recvlogical(scene, db, rows):
    slot = scene.copy_slot(db)
    child = scene.pg_recvlogical(db, slot, "tcp")
    scene.walsender(db, slot, child)
    started = load(scene, db, rows)
    end = lsn_number(db.one("SELECT pg_current_wal_insert_lsn()::text"))
    until(lambda: sent(db, slot) >= end, TIMEOUT, "pg_recvlogical")
    rate = rows / (time.monotonic() - started)
    child.send_signal(signal.SIGINT)
    ended(child, "pg_recvlogical", 20)
    scene.drop_slot(db, slot)
    return rate


def run(scene, bench):
    rows = max(1000, int(NARROW_ROWS.events * bench.scale))
    ours, theirs, behind = [], [], []
    for _ in range(bench.pairs):
        for race, rates in ((walstream, ours), (pg_recvlogical, theirs)):
            with scene.database("live") as db:
                NARROW_ROWS.prepare(scene, db, rows)
                db.sql("SELECT pg_create_logical_replication_slot(%s,"
                       " 'pgoutput')", (f"{db.name}_base",))
                rates.append(race(scene, db, rows))
                if race is walstream:
                    behind.append(run_walstream(scene, db, rows).rate)

    def figure(name, values, unit="rows/s", target=""):
        return Figure("h", "tcp", name, statistics.median(values), unit,
                      target)

    return [figure("rows/s live, walstream", ours),
            figure("rows/s live, pg_recvlogical", theirs),
            figure("rows/s live, ratio",
                   [a / b for a, b in zip(ours, theirs)], "x"),
            figure("rows/s from a backlog, walstream", behind)]
