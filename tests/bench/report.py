"""What was measured: as a table, and as JSON."""

import json
import operator
import typing

HOLDS = {"<=": operator.le, ">=": operator.ge}


class Figure(typing.NamedTuple):
    """target: "<= 0.5", ">= 1.0", or "" when there is none."""

    workload: str
    transport: str
    name: str
    value: float
    unit: str
    target: str = ""

    @property
    def met(self):
        """None where there is no target."""
        if not self.target:
            return None
        how, _, bound = self.target.partition(" ")
        return HOLDS[how](self.value, float(bound))


def turns(workload, transport, server, of):
    """How long a walstream that has ended kept everybody waiting."""
    return [Figure(workload, transport, "longest turn" + of, server.turn_ms,
                   "ms", "<= 50"),
            Figure(workload, transport, "longest turn, of the CPU" + of,
                   server.turn_cpu_ms, "ms")]


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def show(figures):
    width = max(len(one.name) for one in figures)
    for one in figures:
        verdict = {None: "", True: "ok", False: "MISSED"}[one.met]
        print(f"{one.workload} {one.transport:4} {one.name:{width}}"
              f" {number(one.value):>12} {one.unit:8} {one.target:8}"
              f" {verdict}".rstrip(), flush=True)


def save(path, about, figures, runs):
    """runs: {workload and transport: the single runs}."""
    with open(path, "w", encoding="utf-8") as out:
        json.dump({**about,
                   "figures": [{**one._asdict(), "met": one.met}
                               for one in figures],
                   "runs": runs}, out, indent=1)
        out.write("\n")
