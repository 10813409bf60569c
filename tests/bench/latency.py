"""From commit to client, when there is little to do.

One process more between the server and a client costs something whatever it
does: socat, which only copies, shows how much.
"""

import contextlib
import statistics
import subprocess
import time

from loads import pgbench
from pgserver import free_port
from report import Figure
from scene import BUILT, UNIX

RATE = 1000
SECONDS = 20
WRITERS = 4
TARGETS = {("p50", "ratio"): "<= 1.2", ("p99", "walstream"): "<= 2000"}
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


@contextlib.contextmanager
def relay(scene, db, transport):
    """Gives the way to the server through socat."""
    port = free_port()
    if transport == UNIX:
        ends = [f"UNIX-LISTEN:{scene.dir}/.s.PGSQL.{port}",
                f"UNIX-CONNECT:{scene.pg.dir}/.s.PGSQL.{scene.pg.port}"]
        host = scene.dir
    else:
        ends = [f"TCP-LISTEN:{port},bind=127.0.0.1,nodelay",
                f"TCP:127.0.0.1:{scene.pg.port},nodelay"]
        host = "127.0.0.1"
    child = subprocess.Popen(["socat", "-b", "131072", *ends],
                             stdin=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield scene.conninfo(db, transport, host=host, port=port)
    finally:
        child.kill()
        child.wait()


def bare(scene, db, count, conninfo):
    slot = new_slot(db, "bare")
    found = arrivals(scene, db, count, "pg", conninfo, slot)
    scene.drop_slot(db, slot)
    return found


def three(scene, db, count, transport):
    """Behind walstream, bare, and behind socat."""
    slot = new_slot(db, "ours")
    with scene.walstream(db, slot, transport) as server:
        ours = arrivals(scene, db, count, "grpc", server.where)
    with relay(scene, db, transport) as conninfo:
        relayed = bare(scene, db, count, conninfo)
    return ours, bare(scene, db, count, scene.conninfo(db, transport)), relayed


def run(scene, bench):
    count = max(1000, int(RATE * SECONDS * bench.scale))
    count -= count % WRITERS
    figures = []
    for transport in bench.transports:
        with scene.database("moments") as db:
            db.sql("CREATE TABLE moments (id bigserial PRIMARY KEY, v text)")
            db.publish("moments")
            runs = [three(scene, db, count, transport)
                    for _ in range(bench.pairs)]
        figures += compared(transport, runs)
    return figures


def compared(transport, runs):
    figures = []
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        ours, theirs, relayed = (
            [percentile(run[i], share) for run in runs] for i in range(3))

        def ratio(of):
            return statistics.median(a / b for a, b in zip(ours, of))

        figures += [Figure("i", transport, f"{name}, {what}", value, unit,
                           TARGETS.get((name, what), ""))
                    for what, value, unit in (
                        ("walstream", statistics.median(ours), "us"),
                        ("bare reader", statistics.median(theirs), "us"),
                        ("bare reader behind socat",
                         statistics.median(relayed), "us"),
                        ("ratio", ratio(theirs), "x"),
                        ("ratio to socat", ratio(relayed), "x"))]
    return figures
