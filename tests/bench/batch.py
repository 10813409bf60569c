"""The official C++ client, an event a message or many."""

import statistics
import subprocess
import time

from loads import NARROW_ROWS
from race import TIMEOUT
from report import Figure
from scene import BUILT
from usage import Watch, ended

ROWS = 500_000


def once(scene, db, rows, *more):
    """Rows a second, us of its CPU and of walstream's for each."""
    with scene.walstream(db, scene.copy_slot(db)) as server:
        with Watch(server.pid) as own:
            start = time.monotonic()
            child = subprocess.Popen(
                [BUILT / "client", server.where, str(rows), *more],
                stdin=subprocess.DEVNULL)
            cpu = ended(child, "the C++ client", TIMEOUT)
            rate = rows / (time.monotonic() - start)
    return rate, cpu / 1000 / rows, own.cpu / 1000 / rows


def run(scene, bench):
    rows = max(1000, int(ROWS * bench.scale))
    plain, batched = [], []
    with scene.database("batch") as db:
        NARROW_ROWS.prepare(scene, db, rows)
        db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
               (f"{db.name}_base",))
        NARROW_ROWS.run(scene, db, rows)
        for _ in range(bench.pairs):
            plain.append(once(scene, db, rows))
            batched.append(once(scene, db, rows, "batch"))
    figures = []
    for name, runs in (("unbatched", plain), ("Batch", batched)):
        for i, (what, unit) in enumerate((
                ("rows/s", "rows/s"), ("CPU of the client", "us/row"),
                ("CPU of walstream", "us/row"))):
            figures.append(Figure("k", "tcp", f"{what}, {name}",
                                  statistics.median(r[i] for r in runs),
                                  unit))
    ratio = statistics.median(b[0] / a[0] for a, b in zip(plain, batched))
    saved = statistics.median(a[1] / b[1] for a, b in zip(plain, batched))
    return figures + [
        Figure("k", "tcp", "rows/s, ratio", ratio, "x", ">= 5"),
        Figure("k", "tcp", "CPU of the client, ratio", saved, "x")]
