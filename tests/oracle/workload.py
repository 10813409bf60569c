"""Transactions: drawn from a seed, as steps that say both what to run and
which events must come of it.

A step is a list (it goes into the writer's log as JSON):

    ins   table first count k size letter how     how: values series copy
    upd   table id k size letter
    del   table id, the row it had: tx k size letter
    trunc table
    shape columns first count k
    ddl   add|drop column
    sub   kept steps                  a subtransaction
    noise count                       rows of a table that is not published

k counts the events of the transaction; rows that are rolled back have k -1.
Table t has its key as replica identity, u has FULL; only one writer changes
the columns of shape, and only one uses side, which is truncated.
"""

import string

SCHEMA = """
CREATE TABLE t (id bigint PRIMARY KEY, tx bigint, k int, v text);
CREATE TABLE u (LIKE t INCLUDING ALL);
ALTER TABLE u REPLICA IDENTITY FULL;
CREATE TABLE side (LIKE t INCLUDING ALL);
CREATE TABLE shape (id bigint PRIMARY KEY, tx bigint, k int);
CREATE TABLE noise (id bigserial PRIMARY KEY, v text);
CREATE SEQUENCE marks_n;
CREATE TABLE marks (n bigint, tx bigint PRIMARY KEY, xid bigint);
CREATE PUBLICATION pub FOR TABLE t, u, side, shape;
"""
TABLES = ("t", "u", "side", "shape")

# The last statement of a transaction: who has the lock is the next to commit,
# because it is kept until after the commit record is written. Between two such
# commit records there is other WAL, though, so most transactions do without,
# and meet others before they commit: their commit records often abut.
LOCKED = ("SELECT pg_advisory_xact_lock(1); INSERT INTO marks VALUES"
          " (nextval('marks_n'), {tx}, pg_current_xact_id()::text::bigint)")
UNLOCKED = ("INSERT INTO marks VALUES"
            " (NULL, {tx}, pg_current_xact_id()::text::bigint)")

WRITER_TXS = 10 ** 7   # transaction numbers of one writer
WRITER_IDS = 10 ** 12  # row ids of one writer
POOL = 3000            # rows that one writer remembers of each table
FLAG = "flag"          # v of the rows that end a round


def payload(row_id, tx, k, v):
    return f'{{"id":{row_id},"tx":{tx},"k":{k},"v":"{v}"}}'


def expand(tx, steps):
    """Yields (operation, table, payload) as they must be delivered."""
    for step in steps:
        yield from EXPAND[step[0]](tx, *step[1:])


def _expand_ins(tx, table, first, count, k, size, letter, _how):
    v = letter * size
    for i in range(count):
        yield "insert", table, payload(first + i, tx, k + i, v)


def _expand_upd(tx, table, row_id, k, size, letter):
    yield "update", table, payload(row_id, tx, k, letter * size)


def _expand_del(_tx, table, row_id, *old):
    if table == "u":
        tx, k, size, letter = old
        yield "delete", table, payload(row_id, tx, k, letter * size)
    else:
        yield "delete", table, f'{{"id":{row_id}}}'


def _expand_shape(tx, columns, first, count, k):
    for i in range(k, k + count):
        more = "".join(f',"{name}":{i}' for name in columns)
        yield "insert", "shape", f'{{"id":{first + i - k},"tx":{tx},"k":{i}{more}}}'


def _expand_sub(tx, kept, steps):
    return expand(tx, steps) if kept else ()


EXPAND = {
    "ins": _expand_ins,
    "upd": _expand_upd,
    "del": _expand_del,
    "trunc": lambda _tx, table: [("truncate", table, None)],
    "shape": _expand_shape,
    "ddl": lambda _tx, *_: (),
    "sub": _expand_sub,
    "noise": lambda _tx, _count: (),
}


def count(steps):
    """How many events come of the steps."""
    return sum(COUNT.get(step[0], lambda *_: 1)(*step[1:]) for step in steps)


COUNT = {
    "ins": lambda _table, _first, n, *_: n,
    "shape": lambda _columns, _first, n, _k: n,
    "ddl": lambda *_: 0,
    "noise": lambda _count: 0,
    "sub": lambda kept, steps: count(steps) if kept else 0,
}


def flag(first):
    """What ends a round: a row of every kind of filter."""
    return [["ins", "t", first, 1, 0, 1, FLAG, "values"],
            ["ins", "u", first, 1, 1, 1, FLAG, "values"]]


class Draw:
    """One writer's transactions."""

    def __init__(self, rng, writer, giant=100000):
        self._rng = rng
        self._writer = writer
        self._giant = giant
        self._tx = writer * WRITER_TXS
        self._id = writer * WRITER_IDS
        self._k = 0
        self._rows = {"t": {}, "u": {}}
        self._taken = set()
        self._columns, self._column = [], 0

    def forget(self):
        """The tables are about to be emptied."""
        self._rows = {"t": {}, "u": {}}

    def next(self):
        """(number, steps, kept) of the next transaction."""
        self._tx += 1
        self._k = 0
        self._taken = set()
        self._now = list(self._columns)
        kept = self._rng.random() > 0.06
        return self._tx, self._steps(), kept

    def committed(self, tx, steps):
        for step in steps:
            if step[0] == "sub" and step[1]:
                self.committed(tx, step[2])
            elif step[0] in ("ins", "upd", "del", "ddl"):
                getattr(self, "_did_" + step[0])(tx, *step[1:])

    # What came of it

    def _did_ins(self, tx, table, first, n, k, size, letter, _how):
        rows = self._rows.get(table)
        if rows is not None and n <= 50 and len(rows) < POOL:
            for i in range(n):
                rows[first + i] = [tx, k + i, size, letter]

    def _did_upd(self, tx, table, row_id, k, size, letter):
        if row_id in self._rows[table]:
            self._rows[table][row_id] = [tx, k, size, letter]

    def _did_del(self, _tx, table, row_id, *_old):
        self._rows[table].pop(row_id, None)

    def _did_ddl(self, _tx, what, column):
        if what == "add":
            self._columns.append(column)
        else:
            self._columns.remove(column)

    # Drawing

    def _steps(self):
        rng = self._rng
        kind = rng.random()
        if kind < 0.04:
            return [self._insert(self._size())]
        if kind < 0.08:
            return self._savepoints()
        if kind < 0.14 and self._writer == 1:
            return self._shape()
        if kind < 0.14 and self._writer == 2:
            return self._side()
        steps = [self._step() for _ in range(rng.choice((1, 1, 1, 2, 3, 8)))]
        if rng.random() < 0.1:
            steps.insert(rng.randrange(len(steps) + 1),
                         ["noise", rng.randint(1, 300)])
        return steps

    def _size(self):
        """Mostly small; very large about once in a hundred."""
        exponent = self._rng.random() ** 1.8 * 3.9
        if self._rng.random() < 0.01:
            exponent = 4 + self._rng.random()
        return min(self._giant, int(10 ** exponent))

    def _rowsize(self, n):
        if n > 2000:
            return self._rng.randint(0, 20)
        if n > 50:
            return self._rng.randint(0, 200)
        return self._rng.choice((0, 3, 10, 10, 60, 300, 1500, 1500))

    def _step(self):
        what = self._rng.random()
        if what < 0.55:
            return self._insert(self._rng.choice((1, 1, 2, 5, 10, 30)))
        return self._change("upd" if what < 0.8 else "del")

    def _insert(self, n, table=None):
        rng = self._rng
        table = table or rng.choice(("t", "t", "u"))
        size = self._rowsize(n)
        if n == 1 and rng.random() < 0.02:
            size = rng.randint(10000, 150000)
        how = rng.choice(("values", "values", "series", "copy"))
        if n > 500:
            how = rng.choice(("series", "copy"))
        return ["ins", table, self._ids(n), n, self._ks(n), size,
                rng.choice(string.ascii_lowercase), how]

    def _change(self, what):
        rng = self._rng
        table = rng.choice(("t", "u"))
        rows = self._rows[table]
        row_id = rng.choice(list(rows)) if rows and len(rows) < 200 else \
            self._some(rows)
        if row_id is None or (table, row_id) in self._taken:
            return self._insert(1, table)
        self._taken.add((table, row_id))
        if what == "del":
            self._ks(1)
            return ["del", table, row_id, *rows[row_id]]
        return ["upd", table, row_id, self._ks(1), self._rowsize(1),
                rng.choice(string.ascii_lowercase)]

    def _some(self, rows):
        """One of the oldest."""
        skip = self._rng.randrange(100)
        for i, row_id in enumerate(rows):
            if i == skip:
                return row_id
        return None

    def _savepoints(self):
        rng = self._rng
        steps = []
        for _ in range(rng.choice((2, 3, 10, 70))):
            kept = rng.random() < 0.5
            n = rng.randint(1, 6)
            if kept:
                steps.append(["sub", True, [self._insert(n)]])
            else:
                at = self._k
                inner = self._insert(n)
                self._k, inner[4] = at, -1
                steps.append(["sub", False, [inner]])
        return steps + [self._insert(1)]

    def _shape(self):
        rng = self._rng
        steps = [self._shape_rows()]
        for _ in range(rng.randint(1, 2)):
            if self._now and rng.random() < 0.5:
                steps.append(["ddl", "drop", rng.choice(self._now)])
                self._now.remove(steps[-1][2])
            else:
                self._column += 1
                steps.append(["ddl", "add", f"c{self._column}"])
                self._now.append(steps[-1][2])
            steps.append(self._shape_rows())
        return steps

    def _shape_rows(self):
        n = self._rng.randint(1, 5)
        return ["shape", list(self._now), self._ids(n), n, self._ks(n)]

    def _side(self):
        steps = [self._insert(self._rng.randint(1, 20), "side")]
        self._ks(1)
        return steps + [["trunc", "side"], self._insert(2, "side")]

    def _ids(self, n):
        first = self._id + 1
        self._id += n
        return first

    def _ks(self, n):
        first = self._k
        self._k += n
        return first


def touches(steps):
    """The (operation, table) pairs that come of the steps."""
    found = set()
    for step in steps:
        if step[0] == "sub":
            found |= touches(step[2]) if step[1] else set()
        elif step[0] == "shape":
            found.add(("insert", "shape"))
        elif step[0] in OPERATIONS:
            found.add((OPERATIONS[step[0]], step[1]))
    return found


OPERATIONS = {"ins": "insert", "upd": "update", "del": "delete",
              "trunc": "truncate"}
