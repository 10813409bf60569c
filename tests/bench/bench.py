"""make bench: how fast is it? By the environment:

WORKLOADS   which, such as a,b,g; all of them
TRANSPORTS  tcp,unix: where a to f and i are run
PAIRS       how often each is run, walstream and the other in turn; 5
SCALE       of the numbers of rows, clients and seconds; 1
BENCH_JSON  a file for the figures and the single runs
BENCH_SVG   a file for a plot
"""

import os
import platform
import signal
import subprocess
import sys
import time

import place  # first: it says where the helpers are

import batch
import fanout
import idle
import latency
import live
import report
from loads import NARROW_ROWS
from proc import binary
from scene import TCP, TLS, UNIX, Scene
from throughput import compete

WORKLOADS = {
    "a": ("narrow rows, 1,000 a transaction", compete("a")),
    "b": ("narrow rows in one transaction", compete("b")),
    "c": ("updates under REPLICA IDENTITY FULL", compete("c")),
    "d": ("small transactions, pgbench's own", compete("d")),
    "e": ("2 KB of jsonb a row", compete("e")),
    "f": ("100 columns of mixed types", compete("f")),
    "g": ("fan-out", fanout.run),
    "h": ("live, and from a backlog", live.run),
    "i": ("from commit to client, 1,000 transactions/s", latency.run),
    "j": ("idle and stalled streams", idle.run),
    "k": ("the C++ client, with and without Batch", batch.run),
    "l": ("as a, over TLS", compete("l", (TLS,), NARROW_ROWS)),
}


class Bench:
    """What was asked for, and the single runs."""

    def __init__(self):
        get = os.environ.get
        self.pairs = int(get("PAIRS") or 5)
        self.scale = float(get("SCALE") or 1)
        self.workloads = self._list("WORKLOADS", WORKLOADS)
        self.transports = self._list("TRANSPORTS", (TCP, UNIX))
        self.runs = {}

    @staticmethod
    def _list(name, known):
        asked = [one for one in os.environ.get(name, "").split(",") if one]
        for one in asked:
            if one not in known:
                sys.exit(f"{name}: {one} is not one of {', '.join(known)}")
        return asked or list(known)

    def keep(self, workload, transport, runs):
        self.runs[f"{workload} {transport}"] = {
            "walstream": [one._asdict() for one in runs.ours],
            "pg_recvlogical": [one._asdict() for one in runs.theirs]}


def about(scene, bench):
    """Where and what it was."""
    version = subprocess.run(
        [binary(), "--version"], capture_output=True, text=True,
        check=True).stdout.split()[-1]
    with scene.pg.connect("postgres") as admin:
        postgres = admin.execute("SHOW server_version").fetchone()[0]
    commit = subprocess.run(
        ["git", "-C", place.REPOSITORY, "describe", "--always", "--dirty"],
        capture_output=True, text=True, check=False).stdout.strip()
    return {"walstream": version, "commit": commit, "postgres": postgres,
            "machine": platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "pairs": bench.pairs,
            "scale": bench.scale,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def main():
    # Whoever ends it early leaves no PostgreSQL behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = Bench()
    figures = []
    scene = Scene()
    try:
        what = about(scene, bench)
        print(" ".join(f"{name} {value}" for name, value in what.items()))
        for key in bench.workloads:
            title, run = WORKLOADS[key]
            print(f"\n{key}: {title}", flush=True)
            found = run(scene, bench)
            report.show(found)
            figures += found
    finally:
        scene.end()
        # As far as it came.
        if figures and os.environ.get("BENCH_JSON"):
            report.save(os.environ["BENCH_JSON"], what, figures, bench.runs)
    if os.environ.get("BENCH_SVG"):
        import plot  # needs matplotlib
        plot.save(os.environ["BENCH_SVG"], figures)


if __name__ == "__main__":
    main()
