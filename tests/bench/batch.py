"""The official C++ client, an event a message or many.

From PostgreSQL, and from walstream's memory, which shows what the client can
do: there another one, which acknowledges nothing, has had the events before.
"""

import contextlib
import statistics
import subprocess

import metrics
from loads import NARROW_ROWS
from race import TIMEOUT
from report import Figure
from scene import BUILT, TCP
from usage import Watch, ended
from waiting import until

ROWS = 500_000
OPTIONS = ("--buffer-size", "1GiB", "--metrics-listen", "127.0.0.1:0")
FIGURES = (("rows/s", "rows/s"), ("CPU of the client", "us/row"),
           ("CPU of walstream", "us/row"))


@contextlib.contextmanager
def filled(scene, server, rows):
    """All is in its memory, and somebody is attached."""
    child = scene.tail(server, rows + 1)
    try:
        until(lambda: metrics.scrape(server)["walstream_sent_events_total"]
              >= rows, TIMEOUT, "walstream to have all rows")
        yield
    finally:
        child.kill()
        child.wait()


def once(scene, db, rows, memory, *more):
    """Rows a second, us of its CPU and of walstream's for each."""
    with scene.walstream(db, scene.copy_slot(db), TCP, *OPTIONS) as server:
        with filled(scene, server, rows) if memory \
                else contextlib.nullcontext(), Watch(server.pid) as own:
            child = subprocess.Popen(
                [BUILT / "client", server.where, str(rows), *more],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            cpu = ended(child, "the C++ client", TIMEOUT)
            rate = rows / float(child.stdout.read())
    return rate, cpu / 1000 / rows, own.cpu / 1000 / rows


def compared(source, pairs, target):
    figures = []
    for i, (what, unit) in enumerate(FIGURES):
        for name, side in (("unbatched", 0), ("Batch", 1)):
            figures.append(Figure(
                "k", TCP, f"{what}, {name}, {source}",
                statistics.median(pair[side][i] for pair in pairs), unit))
    ratio = statistics.median(b[0] / a[0] for a, b in pairs)
    return figures + [
        Figure("k", TCP, f"rows/s, ratio, {source}", ratio, "x", target)]


def run(scene, bench):
    rows = max(1000, int(ROWS * bench.scale))
    figures = []
    with scene.database("batch") as db:
        NARROW_ROWS.prepare(scene, db, rows)
        db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
               (f"{db.name}_base",))
        NARROW_ROWS.run(scene, db, rows)
        for source, memory, target in (("from PostgreSQL", False, ""),
                                       ("from memory", True, ">= 5")):
            figures += compared(source, [
                (once(scene, db, rows, memory),
                 once(scene, db, rows, memory, "batch"))
                for _ in range(bench.pairs)], target)
    return figures
