"""Commits that go on until they are stopped."""

import threading


class Load:
    """rate: transactions a second, of so many rows each."""

    def __init__(self, db, rate=20, rows=5, size=200):
        self._conn = db.connect()
        self._rate, self._rows, self._size = rate, rows, size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        at = 1_000_000
        while not self._stop.wait(1 / self._rate):
            self._conn.execute(
                "INSERT INTO t SELECT i, repeat('x', %s)"
                " FROM generate_series(%s::int, %s::int) i",
                (self._size, at, at + self._rows - 1))
            at += self._rows

    def stop(self):
        self._stop.set()
        self._thread.join(10)
        self._conn.close()
