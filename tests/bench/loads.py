"""What the workloads do to a database.

tables: made and published before the slot is. before, rows: statements, which
take the number of rows; `before` runs before the slot is there.
"""

import os
import subprocess
import typing

TRANSACTION = 1000


def in_transactions(statement, size=TRANSACTION):
    """A statement that takes rows :first to :last, over and over."""
    body = statement.replace(":first", "f").replace(
        ":last", f"least(f + {size - 1}, %(rows)s)")
    return (f"DO $$ BEGIN FOR f IN 1..%(rows)s BY {size} LOOP {body};"
            " COMMIT; END LOOP; END $$")


NARROW = """INSERT INTO narrow SELECT i, i % 1000, 'customer ' || i,
    '2026-01-01'::timestamptz + i * interval '7919 us',
    round(i % 10000 / 100.0, 2), i % 2 = 0
    FROM generate_series(:first, :last) i"""

NARROW_TABLE = """CREATE TABLE narrow (id bigint PRIMARY KEY, account int,
    name text, at timestamptz, amount numeric, good bool)"""

# Each with a value that changes from row to row.
MIXED = [("int", "i + {c}"), ("bigint", "i * 1000003::bigint"),
         ("text", "'text of {c}, ' || i"), ("bool", "i % 2 = 0"),
         ("numeric(12,2)", "i % 100000 / 7.0"), ("float8", "i / 3.0"),
         ("timestamptz", "'2026-01-01'::timestamptz + i * interval '1 s'"),
         ("date", "'2026-01-01'::date + i % 365"),
         ("uuid", "md5(i::text)::uuid"), ("int[]", "ARRAY[i, {c}, NULL]")]


def mixed_table():
    columns = [f"c{c} {MIXED[c % len(MIXED)][0]}" for c in range(99)]
    return (f"CREATE TABLE mixed (id bigint PRIMARY KEY,"
            f" {', '.join(columns)})")


def mixed_rows():
    values = [MIXED[c % len(MIXED)][1].format(c=c) for c in range(99)]
    return (f"INSERT INTO mixed SELECT i, {', '.join(values)}"
            " FROM generate_series(:first, :last) i")


# About 2 KB as text.
JSONB = """INSERT INTO documents SELECT i, jsonb_build_object('id', i, 'tags',
    (SELECT jsonb_agg(jsonb_build_object('key', 'k' || j, 'value',
        md5((i * 40 + j)::text))) FROM generate_series(1, 32) j))
    FROM generate_series(:first, :last) i"""


class Load(typing.NamedTuple):
    """Of so many events; each transaction of `program` has four."""

    events: int
    tables: tuple = ()
    statement: str = ""
    before: str = ""
    size: int = TRANSACTION
    full: str = ""

    def prepare(self, scene, db, rows):
        del scene
        for sql in self.tables:
            db.sql(sql)
            db.publish(sql.split()[2])
        if self.full:
            db.sql(f"ALTER TABLE {self.full} REPLICA IDENTITY FULL")
        if self.before:
            self._run(db, self.before, rows)

    def run(self, scene, db, rows):
        """Commits them; returns how many events that makes."""
        del scene
        self._run(db, self.statement, rows)
        return rows

    def _run(self, db, statement, rows):
        size = self.size or rows
        db.sql(in_transactions(statement, size).replace(
            "%(rows)s", str(rows)))


class Pgbench(typing.NamedTuple):
    """Its own transactions, four events each."""

    events: int

    def prepare(self, scene, db, rows):
        del rows
        pgbench(scene, db, "-i", "-q", "-s", "10")
        db.publish("pgbench_accounts, pgbench_tellers, pgbench_branches,"
                   " pgbench_history")

    def run(self, scene, db, rows):
        each = max(1, rows // 8)
        pgbench(scene, db, "-n", "-M", "prepared", "-c", "2", "-t",
                str(each))
        return 8 * each


def pgbench(scene, db, *words):
    done = subprocess.run(
        [os.path.join(scene.pg.bindir, "pgbench"), "-h", scene.pg.dir, "-p",
         str(scene.pg.port), "-U", "postgres", *words, db.name],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=1200)
    if done.returncode:
        raise RuntimeError(f"pgbench {words}:\n{done.stderr}")


MILLION = 1_000_000
NARROW_ROWS = Load(MILLION, (NARROW_TABLE,), NARROW)
LOADS = {
    "a": NARROW_ROWS,
    "b": Load(MILLION, (NARROW_TABLE,), NARROW, size=0),
    "c": Load(MILLION // 2, (NARROW_TABLE,),
              "UPDATE narrow SET account = account + 1"
              " WHERE id BETWEEN :first AND :last", before=NARROW,
              full="narrow"),
    "d": Pgbench(4 * MILLION // 10),
    "e": Load(MILLION // 10,
              ("CREATE TABLE documents (id bigint PRIMARY KEY, v jsonb)",),
              JSONB, size=100),
    "f": Load(MILLION // 20, (mixed_table(),), mixed_rows(), size=100),
}
