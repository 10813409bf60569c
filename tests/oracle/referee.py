"""Which transactions committed, in which order and where: from PostgreSQL.

The table marks says which did, and the order of those that took the lock (see
workload.LOCKED). A slot of our own says where each has its commit record (C)
and its end (E). Both must agree, and agree with what the writers were told.
"""

import json

import workload
from cluster import REFEREE

# What the slot has, a row for each transaction: xid, C and E as 32 hexadecimal
# digits out of its Commit message, and the number of changes.
POSITIONS = f"""
COPY (SELECT xid::text::bigint,
    max(encode(substring(data FROM 3 FOR 16), 'hex'))
        FILTER (WHERE get_byte(data, 0) = 67),
    count(*) FILTER (WHERE get_byte(data, 0) IN (73, 85, 68, 84))
FROM pg_logical_slot_get_binary_changes('{REFEREE}', NULL, NULL,
    'proto_version', '1', 'publication_names', 'pub')
GROUP BY 1) TO STDOUT
"""


class Transaction:
    """commit_lsn and end_lsn are C and E; index is its place in the order."""

    def __init__(self, number, xid, steps):
        self.index = 0
        self.number = number
        self.xid = xid
        self.steps = steps
        self.count = workload.count(steps)
        self.commit_lsn = self.end_lsn = None

    def events(self):
        """Yields (operation, table, payload)."""
        return workload.expand(self.number, self.steps)

    def __str__(self):
        return (f"transaction {self.number} (the {self.index + 1}th, xid"
                f" {self.xid}, {self.count} events, C {self.commit_lsn:X},"
                f" E {self.end_lsn:X})")


class Disagreement(Exception):
    """The record itself is wrong: not walstream's fault."""


def read_log(path):
    """number -> (steps, outcome) of what the writers did."""
    steps, done = {}, {}
    with open(path, encoding="utf-8") as log:
        for line in log:
            record = json.loads(line)
            if "steps" in record:
                steps[record["tx"]] = record["steps"]
            elif "done" in record:
                done[record["tx"]] = record["done"]
    return {tx: (steps[tx], done.get(tx)) for tx in steps}


class Referee:
    """abutting: how often a commit record began where the last one ended."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._last_commit = 0
        self.abutting = 0

    def judge(self, log):
        """The transactions since the last call, in commit order."""
        written = read_log(log)
        with self._cluster.admin() as conn:
            conn.execute("SET statement_timeout = '120s'")
            marks = {tx: (n, xid) for n, tx, xid in conn.execute(
                "SELECT n, tx, xid FROM marks").fetchall()}
            positions = self._positions(conn)
            conn.execute("TRUNCATE marks")
        self._check(written, marks)
        found = [self._place(tx, xid, written[tx][0], positions)
                 for tx, (_, xid) in marks.items()]
        found.sort(key=lambda one: one.commit_lsn)
        self._check_order(found, marks)
        return found

    def _check_order(self, found, marks):
        numbers = [marks[one.number][0] for one in found
                   if marks[one.number][0] is not None]
        if numbers != sorted(numbers) or (
                found and found[0].commit_lsn <= self._last_commit):
            raise Disagreement("commit records are not in commit order")
        for index, one in enumerate(found):
            one.index = index
            self.abutting += index > 0 and \
                found[index - 1].end_lsn == one.commit_lsn
        if found:
            self._last_commit = found[-1].commit_lsn

    def _positions(self, conn):
        """xid -> (C, E, changes)."""
        found = {}
        with conn.cursor().copy(POSITIONS) as copy:
            for row in copy.rows():
                xid, place, changes = row
                found[int(xid)] = (int(place[:16], 16), int(place[16:], 16),
                                   int(changes))
        return found

    @staticmethod
    def _check(written, committed):
        for tx, (_, done) in written.items():
            if (done == "committed") != (tx in committed):
                raise Disagreement(f"transaction {tx} is {done} for its writer"
                                   f", marks say {tx in committed}")

    @staticmethod
    def _place(tx, xid, steps, positions):
        one = Transaction(tx, xid, steps)
        if xid not in positions:
            raise Disagreement(f"transaction {tx} was not decoded")
        one.commit_lsn, one.end_lsn, changes = positions[xid]
        if changes != one.count:
            raise Disagreement(f"{one}: {changes} changes were decoded")
        return one
