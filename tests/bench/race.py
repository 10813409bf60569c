"""walstream and pg_recvlogical, one after the other, with the same rows."""

import statistics
import time
import typing

from scene import TCP
from usage import Watch, ended

TIMEOUT = 900


class Run(typing.NamedTuple):
    """One run of one of them. cpu: us per row, peak: bytes, by process."""

    rows: int
    seconds: float
    cpu: dict
    peak: dict
    turn_ms: int = 0
    turn_cpu_ms: int = 0

    @property
    def rate(self):
        return self.rows / self.seconds


def per_row(rows, **watched):
    cpu = {name: one.cpu / 1000 / rows for name, one in watched.items()}
    peak = {name: one.peak for name, one in watched.items()}
    return cpu, peak


def follow(scene, db, slot, child, what):
    """Until a client has ended; its own watch and that of its walsender."""
    with Watch(child.pid, whole=True) as client:
        sender = scene.walsender(db, slot, child)
        with Watch(sender, whole=True) as walsender:
            cpu = ended(child, what, TIMEOUT)
    client.cpu = cpu
    return client, walsender


def run_walstream(scene, db, rows, transport=TCP):
    slot = scene.copy_slot(db)
    with scene.walstream(db, slot, transport) as server:
        with Watch(server.pid) as own:
            start = time.monotonic()
            child = scene.tail(server, rows, transport)
            client, walsender = follow(scene, db, slot, child, "tail")
            seconds = time.monotonic() - start
    return Run(rows, seconds, *per_row(
        rows, walstream=own, tail=client, walsender=walsender),
        server.turn_ms, server.turn_cpu_ms)


def run_pg_recvlogical(scene, db, rows, transport, end):
    slot = scene.copy_slot(db)
    start = time.monotonic()
    child = scene.pg_recvlogical(db, slot, transport, end)
    client, walsender = follow(scene, db, slot, child, "pg_recvlogical")
    seconds = time.monotonic() - start
    scene.drop_slot(db, slot)
    return Run(rows, seconds, *per_row(
        rows, pg_recvlogical=client, walsender=walsender))


class Pairs(typing.NamedTuple):
    """Runs of both, in the order they were made."""

    ours: list
    theirs: list

    def ratio(self, figure):
        """The median of the paired ratios."""
        return statistics.median(
            figure(a) / figure(b) for a, b in zip(self.ours, self.theirs))

    @staticmethod
    def median(runs, figure):
        return statistics.median(figure(run) for run in runs)


def race(scene, load, rows, transport, pairs):
    """The rows are committed once; then each run has a slot of its own that
    begins before them."""
    with scene.database("race") as db:
        load.prepare(scene, db, rows)
        db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
               (f"{db.name}_base",))
        events = load.run(scene, db, rows)
        end = db.one("SELECT pg_current_wal_insert_lsn()::text")
        # What pg_recvlogical ends at.
        db.sql("INSERT INTO t VALUES (1, 'the end')")
        db.sql("CHECKPOINT")
        runs = Pairs([], [])
        for _ in range(pairs):
            runs.ours.append(run_walstream(scene, db, events, transport))
            runs.theirs.append(
                run_pg_recvlogical(scene, db, events, transport, end))
        return runs
