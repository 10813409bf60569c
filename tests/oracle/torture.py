#!/usr/bin/python3
"""Faults against walstream under load, judged by the rules O1 to O10.

    torture.py --faults N --seed S [--pg BINDIR] [--walstream PATH]

Ends with one line of figures, and exits 1 when a rule was broken. KEEP=1
leaves the logs of the run.
"""

import argparse
import collections
import os
import random
import signal
import sys
import time

import place
import stubs


def options(argv):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--pg", help="PostgreSQL's bin directory")
    parser.add_argument("--walstream",
                        default=os.environ.get("WALSTREAM")
                        or place.REPOSITORY / "build/walstream")
    parser.add_argument("--rate", type=float, default=1500,
                        help="rows a second")
    parser.add_argument("--pace", type=float, default=0.9,
                        help="mean seconds between faults")
    parser.add_argument("--round", type=int, default=25,
                        help="faults until everything is checked")
    parser.add_argument("--giant", type=int, default=100000,
                        help="rows of the largest transaction")
    parser.add_argument("--only", help="faults by name, with commas")
    parser.add_argument("--stop-first", action="store_true",
                        help="end with the first round that breaks a rule")
    parser.add_argument("--verbose", action="store_true")
    config = parser.parse_args(argv)
    if config.seed is None:
        config.seed = random.SystemRandom().randrange(1 << 32)
    config.keep = bool(os.environ.get("KEEP"))
    config.subscriptions = stubs.has_subscribe()
    return config


class Totals:
    def __init__(self):
        self.faults = collections.Counter()
        self.events = self.transactions = self.rows = self.streams = 0
        self.violations = self.abutting = self.memory = 0
        self._began = time.monotonic()

    def add(self, result):
        self.faults.update(result.faults)
        self.events += result.events
        self.transactions += result.transactions
        self.rows += result.rows
        self.streams += result.streams
        self.memory = max(self.memory, result.memory)
        self.violations += len(result.violations)

    def __str__(self):
        by_kind = ", ".join(f"{name} {n}" for name, n
                            in self.faults.most_common())
        return (f"{sum(self.faults.values())} faults ({by_kind});"
                f" {self.events} events delivered on {self.streams} streams,"
                f" {self.rows} rows in {self.transactions} transactions"
                f" ({self.abutting} abut); at most {self.memory >> 20} MiB;"
                f" {self.violations} violations;"
                f" {time.monotonic() - self._began:.0f} s")


def report(violations):
    for one in violations:
        print(f"{one.rule.upper()} violated: {one.text}")
        for line in one.evidence:
            print(f"    {line}")
    sys.stdout.flush()


def again(config):
    words = [sys.executable, os.path.relpath(__file__), "--faults",
             str(config.faults), "--seed", str(config.seed),
             "--walstream", str(config.walstream)]
    for name in ("pg", "only", "rate", "pace", "round", "giant"):
        value = getattr(config, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    return " ".join(words)


def rounds(config, totals):
    # Only now is it known which PostgreSQL to use.
    import faults
    from daemon import Stuck
    from round import Round, failed
    from scene import Scene
    from validators import LEFT_OUT
    if LEFT_OUT:
        print(LEFT_OUT, flush=True)
    only = config.only and config.only.split(",")
    scene, left = Scene(config), config.faults
    before = [[], []]  # transactions of the last rounds
    try:
        while left > 0:
            one = Round(scene, min(left, config.round), faults.table(only),
                        sum(before, []))
            result = one.run()
            left -= config.round
            before = [before[1], one.transactions]
            totals.add(result)
            totals.abutting = scene.referee.abutting
            report(result.violations)
            print(f"  {totals}", flush=True)
            if result.violations and config.stop_first:
                break
    except Stuck as stuck:
        result = failed(stuck)
        totals.add(result)
        report(result.violations)
    finally:
        scene.close()


def main(argv):
    config = options(argv)
    if config.pg:
        os.environ["WALSTREAM_PG_BINDIR"] = config.pg
    print(f"seed {config.seed}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    totals = Totals()
    try:
        rounds(config, totals)
        stopped = None
    except Exception as error:  # pylint: disable=broad-except
        import traceback
        traceback.print_exc()
        stopped = error
    if totals.violations or stopped:
        print(f"to repeat it: {again(config)}")
    print(totals)
    return 1 if totals.violations or stopped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
