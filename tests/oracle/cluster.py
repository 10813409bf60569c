"""The PostgreSQL under test: pgserver's, which can also be killed."""

import os
import pathlib
import signal
import time

import psycopg

import place  # noqa: F401  (finds pgserver)
from pgserver import PgServer
from waiting import until

import workload

SENDER_TIMEOUT = 3  # s
SETTINGS = {
    "wal_sender_timeout": f"{SENDER_TIMEOUT}s",
    "max_wal_size": "4GB",
    "restart_after_crash": "on",
    "deadlock_timeout": "200ms",
}
DATABASE = "oracle"
REFEREE = "referee"  # a slot of our own: which transactions there were


def children(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [int(word) for word in path.read_text().split()]
    except OSError:
        return []


class Cluster(PgServer):
    """ends: (time, how) of every end of a run, clean or crash, the time being
    that of the blow."""

    def __init__(self):
        self.ends = []
        super().__init__(**SETTINGS)
        with self.connect("postgres") as conn:
            conn.execute(f"CREATE DATABASE {DATABASE}")
        with self.admin() as conn:
            self.version = conn.info.server_version
            conn.execute(workload.SCHEMA)
            conn.execute("SELECT pg_create_logical_replication_slot(%s,"
                         " 'pgoutput')", (REFEREE,))

    def admin(self):
        return self.connect(DATABASE)

    def conninfo(self, **more):
        words = {"host": "127.0.0.1", "port": self.port, "user": "postgres",
                 "dbname": DATABASE, **more}
        return psycopg.conninfo.make_conninfo(**words)

    def postmaster(self):
        """Its PID, or None while there is none."""
        return self._child.pid if self._child is not None else None

    def crashed(self):
        """A backend was killed: the postmaster starts all over by itself."""
        self.ends.append((time.monotonic(), "crash"))

    def kill(self):
        """kill -9 of the postmaster; what it leaves behind ends by itself,
        and is helped when it does not."""
        self.crashed()
        child, self._child = self._child, None
        orphans = children(child.pid)
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        deadline = time.monotonic() + 3
        while any(os.path.exists(f"/proc/{pid}") for pid in orphans):
            if time.monotonic() > deadline:
                for pid in orphans:
                    self._end(pid)
            time.sleep(0.01)
        self.start()

    @staticmethod
    def _end(pid):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                if comm.read().strip() == "postgres":
                    os.kill(pid, signal.SIGKILL)
        except OSError:
            pass  # it is over

    def again(self, mode, timeout):
        """pg_ctl restart -m mode. Returns whether it ended in time."""
        in_time, at = True, time.monotonic()
        try:
            self.stop(mode, timeout)
        except AssertionError:
            in_time = False  # then it was stopped at once
        # Until 16 a shutdown does not write a slot to disk of which only
        # confirmed_flush_lsn has moved: that is lost as in a crash.
        clean = mode == "fast" and in_time and self.version >= 170000
        self.ends.append((at, "clean" if clean else "crash"))
        self.start()
        return in_time

    def wait_up(self):
        until(self._up, 60, "PostgreSQL to answer")

    def _up(self):
        try:
            with self.admin() as conn:
                return bool(conn.execute("SELECT 1").fetchone())
        except psycopg.Error:
            return False
