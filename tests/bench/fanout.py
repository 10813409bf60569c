"""One server, many clients: what one event costs for each of them."""

import threading
import time

import metrics
from crowd import OPTIONS, Crowd
from loads import NARROW_ROWS
from report import Figure, turns
from usage import Watch, cpu_ns

COUNTS = (1, 10, 100, 1000)
EVENTS = 200_000
DELIVERIES = 4_000_000
TIMEOUT = 300


def deliver(scene, db, crowd, rows):
    """Commits the rows and has everybody take them; us of the server's CPU,
    for each event and client."""
    server = crowd.server
    wanted = rows * crowd.count
    before = metrics.scrape(server)
    began = cpu_ns(server.pid)
    writer = threading.Thread(target=NARROW_ROWS.run, args=(scene, db, rows))
    writer.start()
    deadline = time.monotonic() + TIMEOUT
    # Asked only when nothing comes: it is the server that answers.
    while crowd.take(0.05) or not done(server, before, rows, wanted):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{wanted} deliveries take too long")
    writer.join()
    return (cpu_ns(server.pid) - began) / 1000 / wanted


def done(server, before, events, sent):
    now = metrics.scrape(server)

    def since(name):
        return now[name] - before[name]

    if since("walstream_sent_events_total") < sent:
        return False
    made = sum(now["walstream_events_total"].values()) \
        - sum(before["walstream_events_total"].values())
    if made != events:
        raise RuntimeError(f"{events} events were encoded {made} times")
    return True


def run(scene, bench):
    figures = []
    for count in COUNTS:
        rows = max(100, int(bench.scale * min(EVENTS, DELIVERIES / count)))
        with scene.database("fan") as db:
            NARROW_ROWS.prepare(scene, db, rows)
            db.sql("SELECT pg_create_logical_replication_slot(%s,"
                   " 'pgoutput')", (db.slot,))
            with scene.walstream(db, db.slot, "tcp", *OPTIONS) as server:
                with Watch(server.pid) as own, Crowd(server, count) as crowd:
                    cost = deliver(scene, db, crowd, rows)
        figures += [
            Figure("g", "tcp", f"CPU per event, {count} clients", cost,
                   "us each", "<= 0.3" if count == 100 else ""),
            Figure("g", "tcp", f"peak RSS, {count} clients",
                   own.peak / 2 ** 20, "MiB"),
            *turns("g", "tcp", server, f", {count} clients")]
    return figures
