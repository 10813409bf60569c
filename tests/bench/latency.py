"""From commit to client, when there is little to do."""

import statistics
import subprocess

from loads import pgbench
from report import Figure
from scene import BUILT

RATE = 1000
SECONDS = 20
WRITERS = 4
SCRIPT = "INSERT INTO moments (v) VALUES ('something that happened');"


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def arrivals(scene, db, count, *words):
    """The latencies that a reader has seen, us, while pgbench commits."""
    script = scene.dir / "moments.sql"
    script.write_text(SCRIPT, encoding="ascii")
    child = subprocess.Popen(
        [BUILT / "reader", *words, str(count)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True)
    try:
        if child.stdout.readline() != "ready\n":
            raise RuntimeError("the reader is not ready")
        pgbench(scene, db, "-n", "-M", "prepared", "-f", str(script), "-c",
                str(WRITERS), "-R", str(RATE), "-t", str(count // WRITERS))
        said = child.communicate(timeout=60)[0]
    finally:
        child.kill()
        child.wait()
    found = [int(line) for line in said.split()]
    if len(found) != count:
        raise RuntimeError(f"{len(found)} of {count} rows came")
    return found


def new_slot(db, name):
    slot = f"{db.name}_{name}"
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (slot,))
    return slot


def pair(scene, db, count, transport):
    slot = new_slot(db, "ours")
    with scene.walstream(db, slot, transport) as server:
        ours = arrivals(scene, db, count, "grpc", server.where)
    slot = new_slot(db, "bare")
    theirs = arrivals(scene, db, count, "pg",
                      scene.conninfo(db, transport), slot)
    scene.drop_slot(db, slot)
    return ours, theirs


def run(scene, bench):
    count = max(1000, int(RATE * SECONDS * bench.scale))
    count -= count % WRITERS
    figures = []
    for transport in bench.transports:
        with scene.database("moments") as db:
            db.sql("CREATE TABLE moments (id bigserial PRIMARY KEY, v text)")
            db.publish("moments")
            pairs = [pair(scene, db, count, transport)
                     for _ in range(bench.pairs)]
        figures += compared(transport, pairs)
    return figures


def compared(transport, pairs):
    figures = []
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        ours = [percentile(a, share) for a, _ in pairs]
        theirs = [percentile(b, share) for _, b in pairs]
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        figures += [
            Figure("i", transport, f"{name}, walstream",
                   statistics.median(ours), "us",
                   "<= 2000" if name == "p99" else ""),
            Figure("i", transport, f"{name}, bare reader",
                   statistics.median(theirs), "us"),
            Figure("i", transport, f"{name}, ratio", ratio, "x",
                   "<= 1.2" if name == "p50" else "")]
    return figures
