"""Streams that do nothing, and clients that take nothing."""

import time

import metrics
from crowd import OPTIONS, Crowd
from loads import NARROW_ROWS
from report import Figure, turns
from usage import Watch, cpu_ns, memory
from waiting import until

STREAMS = 10_000
STALLED = 1000
QUIET = 5  # s
ROWS = 400_000  # more than the buffer has room for


def idle(scene, db, bench):
    count = max(10, int(STREAMS * bench.scale))
    with scene.walstream(db, db.slot, "tcp", *OPTIONS) as server:
        alone = memory(server.pid, "VmRSS")
        with Crowd(server, count):
            with_all = memory(server.pid, "VmRSS")
            began = cpu_ns(server.pid)
            time.sleep(QUIET)
            used = (cpu_ns(server.pid) - began) / 1e9 / QUIET
    return [
        Figure("j", "tcp", "RSS, no client", alone / 2 ** 20, "MiB",
               "<= 8"),
        Figure("j", "tcp", f"RSS of each of {count} streams",
               (with_all - alone) / 1024 / count, "KiB", "<= 24"),
        Figure("j", "tcp", f"CPU, {count} idle streams", used * 100, "%"),
        *turns("j", "tcp", server, f", {count} idle streams")]


def stalled(scene, db, bench):
    """They take nothing of what is committed."""
    count = max(10, int(STALLED * bench.scale))
    rows = max(1000, int(ROWS * bench.scale))
    with scene.walstream(db, db.slot, "tcp", *OPTIONS) as server:
        with Watch(server.pid) as own, Crowd(server, count):
            NARROW_ROWS.run(scene, db, rows)
            until(lambda: stands_still(server), 120, "it to stand still")
    return [Figure("j", "tcp", f"peak RSS, {count} stalled clients",
                   own.peak / 2 ** 20, "MiB", "<= 32"),
            *turns("j", "tcp", server, f", {count} stalled clients")]


def stands_still(server):
    before = metrics.scrape(server)
    time.sleep(0.5)
    now = metrics.scrape(server)
    return all(before[name] == now[name] for name in
               ("walstream_sent_bytes_total", "walstream_event_bytes_total"))


def run(scene, bench):
    figures = []
    for part in (idle, stalled):
        with scene.database("idle") as db:
            NARROW_ROWS.prepare(scene, db, 0)
            db.sql("SELECT pg_create_logical_replication_slot(%s,"
                   " 'pgoutput')", (db.slot,))
            figures += part(scene, db, bench)
    return figures
