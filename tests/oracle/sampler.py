"""What the slot and /proc say, often, while a round runs.

The log has a line for each sample: `slot TIME CONNECTION CONFIRMED PID` (a new
connection to PostgreSQL may mean another run of it) and `rss TIME PID BYTES`.
"""

import threading
import time

import psycopg

from daemon import SLOT

SLOT_INTERVAL = 0.05
QUERY = ("SELECT (confirmed_flush_lsn - '0/0')::bigint, active_pid"
         " FROM pg_replication_slots WHERE slot_name = %s")


class Sampler:
    def __init__(self, cluster, daemon):
        self._cluster = cluster
        self._daemon = daemon
        self._file = None
        self._lock = threading.Lock()
        self._conn = None
        self._connections = 0
        self._end = threading.Event()
        self.walsender = None  # PID
        self.confirmed = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def log(self, path):
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = open(path, "a", encoding="utf-8")

    def flush(self):
        with self._lock:
            self._file.flush()

    def stop(self):
        self._end.set()
        self._thread.join(10)

    def _put(self, *words):
        with self._lock:
            if self._file is not None:
                print(*words, file=self._file)

    def _run(self):
        while not self._end.wait(SLOT_INTERVAL):
            self._memory()
            try:
                self._slot()
            except (psycopg.Error, OSError):
                self._conn = self.walsender = None
        if self._conn is not None:
            self._conn.close()

    def _slot(self):
        if self._conn is None:
            self._conn = self._cluster.admin()
            self._connections += 1
        row = self._conn.execute(QUERY, (SLOT,)).fetchone()
        if row is None:
            self._put("gone", f"{time.monotonic():.6f}")
            return
        self.confirmed, self.walsender = int(row[0]), row[1]
        self._put("slot", f"{time.monotonic():.6f}", self._connections,
                  f"{self.confirmed:X}", self.walsender or 0)

    def _memory(self):
        life = self._daemon.lives[-1] if self._daemon.lives else None
        if life is None or life.until is not None:
            return
        try:
            with open(f"/proc/{life.pid}/statm", encoding="ascii") as statm:
                pages = int(statm.read().split()[1])
        except (OSError, IndexError):
            return
        self._put("rss", f"{time.monotonic():.6f}", life.pid, pages * 4096)
