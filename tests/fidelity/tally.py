"""Payloads held against row_to_json, column by column, and counted."""

import collections
import re

CUT = re.compile(r'[{,]"~(\d+)":')
NEAR = 40  # characters shown to each side of a difference
SHOWN = 40  # types shown in a report


def columns(text):
    """The texts of the columns of a row, by number."""
    pieces = CUT.split(text)
    return dict(zip(map(int, pieces[1::2]), pieces[2::2]))


def nearby(got, want):
    """Both texts near the place where they begin to differ."""
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
              min(len(got), len(want)))
    near = slice(max(0, at - NEAR), at + NEAR)
    return f"at {at}: sent {got[near]!r}, row_to_json {want[near]!r}"


class Tally:
    """types: their names; rows, values: how many there were.

    differences: how many a type had; examples: the first of each.
    only_null: the types there was no value of.
    """

    def __init__(self):
        self.types = set()
        self.rows = self.values = 0
        self.differences = collections.Counter()
        self.examples = {}
        self.only_null = []

    def add(self, other):
        self.types |= other.types
        self.rows += other.rows
        self.values += other.values
        self.differences += other.differences
        self.examples.update(other.examples)
        self.only_null += other.only_null

    def compare(self, names, what, got, want):
        """One row; names: of the types of its columns."""
        self.values += len(names)
        if got == want:
            return
        sent, due = columns(got), columns(want)
        found = False
        for n, name in enumerate(names, 1):
            if sent.get(n) != due.get(n):
                found = True
                self.differ(name, what, sent.get(n, "nothing"), due[n])
        if not found:
            self.differ("(outside the columns)", what, got, want)

    def differ(self, name, what, got, want):
        """Counts a difference and keeps the type's first."""
        self.differences[name] += 1
        if name not in self.examples:
            self.examples[name] = f"{what} {nearby(got, want)}"

    def check(self):
        """Fails with a report when there was a difference."""
        lines = [f"{name}: {self.differences[name]} differences; first: {text}"
                 for name, text in self.examples.items()]
        if len(lines) > SHOWN:
            lines[SHOWN:] = [f"... and {len(lines) - SHOWN} types more"]
        assert not lines, "\n".join(
            [f"{len(self.examples)} types differ"] + lines)


total = Tally()  # of the whole run
