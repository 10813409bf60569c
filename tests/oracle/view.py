"""The transactions as one filter sees them."""

import bisect
import fnmatch

import workload

OPERATIONS = (None, "insert", "update", "delete", "truncate")


class Filter:
    """Of a Start; without one everything passes."""

    def __init__(self, start):
        self._tables = start.get("tables") or ()
        self._operations = {OPERATIONS[n] for n in start.get("operations")
                            or ()}
        self.all = not self._tables and not self._operations
        self.key = (tuple(self._tables), tuple(sorted(self._operations)))

    def passes(self, operation, table):
        return (not self._operations or operation in self._operations) and (
            not self._tables or any(
                fnmatch.fnmatchcase("public." + table, glob)
                for glob in self._tables))


class View:
    """Those transactions of which something passes, in commit order."""

    def __init__(self, transactions, wanted):
        self.filter = wanted
        self.transactions = transactions if wanted.all else [
            one for one in transactions
            if any(wanted.passes(*pair) for pair in workload.touches(
                one.steps))]
        self.commits = [one.commit_lsn for one in self.transactions]
        self.ends = [one.end_lsn for one in self.transactions]
        self.places = None if wanted.all else {
            one.index: i for i, one in enumerate(self.transactions)}

    def place(self, transaction):
        """Where it is here; None when nothing of it passes."""
        if self.places is None:
            return transaction.index
        return self.places.get(transaction.index)

    def first_at(self, lsn):
        """The first whose commit record is at or above lsn."""
        return bisect.bisect_left(self.commits, lsn)

    def first_after(self, lsn):
        """The first that ends above lsn."""
        return bisect.bisect_right(self.ends, lsn)

    def commit_of(self, place):
        """Its C; infinite behind the last."""
        return self.commits[place] if place < len(self.commits) else \
            float("inf")

    def events(self, place):
        """Yields (pg_lsn, seq, operation, table, payload) to be sent."""
        one = self.transactions[place]
        for seq, (operation, table, payload) in enumerate(one.events(), 1):
            if self.filter.all or self.filter.passes(operation, table):
                yield (one.end_lsn if seq == one.count else one.commit_lsn,
                       seq, operation, table, payload)


class Views:
    """One for each filter that was used."""

    def __init__(self, transactions):
        self._transactions = transactions
        self._made = {}

    def of(self, start):
        wanted = Filter(start)
        if wanted.key not in self._made:
            self._made[wanted.key] = View(self._transactions, wanted)
        return self._made[wanted.key]
