"""A thread that keeps committing rows of t, one a transaction."""

import threading
import time


class Writer:
    """Rows 1, 2, 3 … until stop(), which returns the last number."""

    def __init__(self, db, pause=0.002, size=1, stop_at=None):
        self.last = 0
        self._size = size
        self._pause = pause
        self._stop_at = stop_at
        self._stop = threading.Event()
        self._conn = db.connect()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with self._conn:
            while not self._stop.is_set() and self.last != self._stop_at:
                self._conn.execute(
                    "INSERT INTO t VALUES (%s, repeat('x', %s))",
                    (self.last + 1, self._size))
                self.last += 1
                time.sleep(self._pause)

    def finish(self):
        """Waits until row stop_at is committed."""
        self._thread.join(60)
        assert self.last == self._stop_at, f"the writer is at {self.last}"
        return self.last

    def stop(self):
        self._stop.set()
        self._thread.join(30)
        return self.last
