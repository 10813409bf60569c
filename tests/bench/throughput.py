"""Rows a second and CPU a row, beside pg_recvlogical."""

from loads import LOADS
from race import Pairs, race
from report import Figure

# Of walstream's own CPU, by pg_recvlogical's.
CPU_TARGET = {"a": 0.5, "b": 0.5, "c": 0.5, "d": 1.0, "e": 0.5}
MIB = 2 ** 20


def figures(key, transport, runs, aimed):
    """aimed: the targets hold for this one."""
    def figure(name, value, unit, target=""):
        return Figure(key, transport, name, value, unit,
                      target if aimed else "")

    def both(get):
        return (Pairs.median(runs.ours, get("walstream")),
                Pairs.median(runs.theirs, get("pg_recvlogical")))

    cpu = both(lambda name: lambda run: run.cpu[name])
    peak = both(lambda name: lambda run: run.peak[name])
    ratio = Pairs.median(
        zip(runs.ours, runs.theirs),
        lambda pair: pair[0].cpu["walstream"]
        / pair[1].cpu["pg_recvlogical"])
    most = CPU_TARGET.get(key)
    return [
        figure("rows/s, walstream",
               Pairs.median(runs.ours, lambda run: run.rate), "rows/s"),
        figure("rows/s, pg_recvlogical",
               Pairs.median(runs.theirs, lambda run: run.rate), "rows/s"),
        figure("rows/s, ratio", runs.ratio(lambda run: run.rate), "x",
               ">= 1.0"),
        figure("CPU, walstream", cpu[0], "us/row"),
        figure("CPU, pg_recvlogical", cpu[1], "us/row"),
        figure("CPU, ratio", ratio, "x", f"<= {most}" if most else ""),
        figure("CPU, tail",
               Pairs.median(runs.ours, lambda run: run.cpu["tail"]),
               "us/row"),
        figure("CPU, walsender of walstream",
               Pairs.median(runs.ours, lambda run: run.cpu["walsender"]),
               "us/row"),
        figure("CPU, walsender of pg_recvlogical",
               Pairs.median(runs.theirs, lambda run: run.cpu["walsender"]),
               "us/row"),
        figure("peak RSS, walstream", peak[0] / MIB, "MiB", "<= 32"),
        figure("peak RSS, pg_recvlogical", peak[1] / MIB, "MiB"),
        figure("longest turn", max(run.turn_ms for run in runs.ours), "ms",
               "<= 50"),
        figure("longest turn, of the CPU",
               max(run.turn_cpu_ms for run in runs.ours), "ms")]


def compete(key, transports=None, load=None):
    """The workload of that key, as a function of scene and bench."""
    def run(scene, bench):
        found = []
        of = load or LOADS[key]
        rows = max(1000, int(of.events * bench.scale))
        for transport in transports or bench.transports:
            if transport == "tls":
                scene.serve_tls()
            runs = race(scene, of, rows, transport, bench.pairs)
            bench.keep(key, transport, runs)
            found += figures(key, transport, runs, transports is None)
        return found
    return run
