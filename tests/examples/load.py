"""Transactions of every kind on the tables of schema.sql, until stopped."""

import random
import threading

import psycopg

from waiting import until

INSERTS = [
    """INSERT INTO account (name, amount, doc, big, "a%b ""c")
       SELECT 'żółć ' || {n}, {n} / 7.0, '{{"n":   {n}}}',
       (SELECT string_agg(md5({n}::text || i), '')
        FROM generate_series(1, 200) i), {n}""",
    "INSERT INTO log SELECT {n} % 5, NULL FROM generate_series(1, 2)",
    "INSERT INTO log VALUES ({n} % 5, 'x')",
    "INSERT INTO pair VALUES ({n}, 'k''{n}', ARRAY[{n}, NULL])",
    "INSERT INTO scratch VALUES ({n}); INSERT INTO scratch_of VALUES ({n})",
]

CHANGES = [
    """UPDATE account SET amount = amount + 1, "a%b ""c" = {n}
       WHERE id = (SELECT min(id) FROM account)""",
    "UPDATE account SET big = big || 'x' WHERE id % 50 = {n} % 50",
    "DELETE FROM account WHERE id = (SELECT min(id) FROM account)",
    "UPDATE log SET v = coalesce(v, '') || 'y' WHERE ctid ="
    " (SELECT max(ctid) FROM log)",
    "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log)",
    "UPDATE pair SET a = -a WHERE a = (SELECT max(a) FROM pair)",
    "UPDATE pair SET v = v || {n} WHERE a % 10 = {n} % 10",
    "DELETE FROM pair WHERE a = (SELECT min(a) FROM pair)",
]

RARE = "TRUNCATE scratch, scratch_of"


class Load:
    """Begins at once. count: how many transactions it knows to be committed.
    It goes on when PostgreSQL comes back."""

    def __init__(self, db, seed):
        self.count = 0
        self._statement = 0
        self.failure = None
        self._db = db
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _statements(self):
        """Those of one transaction."""
        if self._random.random() < 0.02:
            yield RARE
        for _ in range(self._random.randint(1, 4)):
            self._statement += 1
            kinds = self._random.choice([INSERTS, CHANGES])
            yield self._random.choice(kinds).format(n=self._statement)

    def _run(self):
        while not self._stopping.is_set():
            try:
                with self._db.connect() as connection:
                    while not self._stopping.wait(0.003):
                        with connection.transaction():
                            for statement in self._statements():
                                connection.execute(statement)
                        self.count += 1
            except psycopg.OperationalError:
                self._stopping.wait(0.05)  # it was killed: again
            except BaseException as failure:
                self.failure = failure
                raise

    def reach(self, count, timeout=60):
        """Waits for so many transactions."""
        until(lambda: self.count >= count or self.failure, timeout,
              lambda: f"{count} transactions; there are {self.count}")
        self.check()

    def check(self):
        assert self.failure is None, repr(self.failure)

    def stop(self):
        self._stopping.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the load does not stop"
        self.check()
