"""PostgreSQL servers that follow each other, and an address that leads to
whichever is current."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import psycopg
import pytest

from database import Database, lsn_number
from pgserver import SETTINGS, PgServer, free_port, unprivileged
from proc import REPOSITORY
from waiting import until

REPLICATION = "host replication all 127.0.0.1/32 trust\n"
STANDBY = {"hot_standby_feedback": "on", "wal_receiver_status_interval": "1s",
           "wal_retrieve_retry_interval": "100ms"}


def bindir(major):
    """The programs of a version, which are fetched when they are missing."""
    place = REPOSITORY / "build/pg"
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        got = subprocess.run(
            [REPOSITORY / "tests/tools/pg-version", str(major)],
            capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.fail(f"no PostgreSQL {major}: {got.stderr}", pytrace=False)
    return got.stdout.strip()


class Node(PgServer):
    """A server of a version of its own; with `of`, which is stopped for a
    moment, its standby."""

    def __init__(self, major, of=None, **settings):
        # pylint: disable=super-init-not-called
        self.major = major
        self.bindir = bindir(major)
        self.dir = tempfile.mkdtemp(prefix="walstream-pg-")
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.port = free_port()
        self.generation = 0
        self._as = unprivileged()
        self._env = {"PATH": os.environ.get("PATH", ""), "HOME": self.dir,
                     "LC_ALL": "C", "TZ": "UTC"}
        self._child = None
        try:
            if of is None:
                self._initdb(REPLICATION, {**SETTINGS, **settings})
            else:
                self._copy(of, settings)
            self.start()
        except BaseException:
            self.remove()
            raise

    def _copy(self, of, settings):
        """As pg_basebackup does, which not every package has."""
        name = f"to_{self.port}"
        with of.connect("postgres") as admin:
            admin.execute("SELECT pg_create_physical_replication_slot(%s,"
                          " true)", (name,))
        of.stop()
        shutil.copytree(of.data, self.data)
        of.start()
        slots = os.path.join(self.data, "pg_replslot")
        shutil.rmtree(slots)
        os.mkdir(slots, 0o700)
        os.truncate(os.path.join(self.data, "postgresql.auto.conf"), 0)
        settings = {"port": self.port, "unix_socket_directories": self.dir,
                    "primary_conninfo": f"host=127.0.0.1 port={of.port}"
                    " user=postgres dbname=postgres",
                    "primary_slot_name": name, **STANDBY, **settings}
        if self.major >= 17:
            settings.setdefault("sync_replication_slots", "on")
        with open(os.path.join(self.data, "postgresql.conf"), "a",
                  encoding="utf-8") as conf:
            for key, value in settings.items():
                conf.write(f"{key} = '{value}'\n")
        with open(os.path.join(self.data, "standby.signal"), "w",
                  encoding="ascii"):
            pass
        if self._as:
            for root, _, files in os.walk(self.dir):
                for path in [root] + [os.path.join(root, f) for f in files]:
                    os.chown(path, self._as["user"], self._as["group"])

    def sql(self, query, params=None, dbname="postgres"):
        with self.connect(dbname) as conn:
            cursor = conn.execute(query, params)
            return cursor.fetchall() if cursor.description else None

    def one(self, query, params=None):
        return self.sql(query, params)[0][0]

    def set(self, name, value):
        """A setting of the server that needs no restart."""
        with self.connect("postgres") as conn:
            conn.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            conn.execute("SELECT pg_reload_conf()")

    def lsn(self):
        """The end of what is there: written, or replayed."""
        return lsn_number(self.one(
            "SELECT CASE WHEN pg_is_in_recovery()"
            " THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
            "::text"))

    def timeline(self):
        return self.one("SELECT timeline_id FROM pg_control_checkpoint()")

    def kill(self):
        """kill -9, and nothing of it is left."""
        child, self._child = self._child, None
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        until(lambda: not self._in_use(), 30, "its processes to be gone")

    def _in_use(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/cwd").startswith(self.data):
                    return True
        return False

    def promote(self):
        with self.connect("postgres") as conn:
            assert conn.execute("SELECT pg_promote(true, 60)").fetchone()[0]
            conn.execute("CHECKPOINT")

    def detach(self):
        """The standby hears no more of its primary."""
        self.set("primary_conninfo", "")
        until(lambda: self.one("SELECT count(*) FROM pg_stat_wal_receiver")
              == 0, 30, "the standby's walreceiver to end")

    def attach(self, to):
        """The standby hears of that primary, to which it may be new."""
        name = f"to_{self.port}"
        to.sql("SELECT pg_create_physical_replication_slot(%s, true)"
               " WHERE NOT EXISTS (SELECT FROM pg_replication_slots"
               " WHERE slot_name = %s)", (name, name))
        self.set("primary_conninfo", f"host=127.0.0.1 port={to.port}"
                 " user=postgres dbname=postgres")

    def wait_caught_up(self, with_):
        end = with_.lsn()
        until(lambda: self.lsn() >= end, 60, "the standby to catch up")

    def copy(self, name):
        """(is kept, confirmed_flush_lsn) of a standby's slot, or None. Who
        copies sleeps ever longer, but not through a signal."""
        self.one("SELECT pg_reload_conf()")
        rows = self.sql("SELECT synced AND NOT temporary,"
                        " coalesce(confirmed_flush_lsn, '0/0')::text"
                        " FROM pg_replication_slots"
                        " WHERE slot_name = %s", (name,))
        return (rows[0][0], lsn_number(rows[0][1])) if rows else None

    def wait_synced(self, name, lsn=0):
        def synced():
            slot = self.copy(name)
            return slot is not None and slot[0] and slot[1] >= lsn
        until(synced, 60, lambda: f"slot {name} on the standby to reach"
              f" {lsn:X}: {self.copy(name)}")


class Address:
    """A port on 127.0.0.1 that leads to one server, like an address that
    moves; to None: nobody answers."""

    def __init__(self, to=None):
        self._to = to
        self._pairs = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            to = self._to
            try:
                if to is None:
                    raise OSError("nobody")
                there = socket.create_connection(("127.0.0.1", to.port))
            except OSError:
                here.close()
                continue
            self._pairs.append((here, there))
            for a, b in ((here, there), (there, here)):
                threading.Thread(target=self._pass, args=(a, b),
                                 daemon=True).start()

    @staticmethod
    def _pass(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        for one in (a, b):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def lead(self, to):
        """From now on to that server; connections that are there are cut."""
        self._to = to
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.lead(None)


class MovingDatabase(Database):
    """A database that is on another server now and then."""

    def move(self, node):
        self.pg = node
        self._conn, self._generation = None, None

    def make_slot(self, failover=True):
        """The slot, as walstream create makes it."""
        self.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput'"
                 + (", failover => true)" if failover else ")"), (self.slot,))


class Cluster:
    """A primary, its standby, and the address that leads to one of them."""

    def __init__(self, major, standby=None, **settings):
        self.nodes = []
        self.address = Address()
        try:
            self.primary = self.add(Node(major, **settings))
            self.standby = self.add(
                Node(major, of=self.primary, **(standby or {})))
            self.address.lead(self.primary)
        except BaseException:
            self.remove()
            raise

    def add(self, node):
        self.nodes.append(node)
        return node

    def make_slot(self, db):
        """A slot of which standbys have a copy: they make one only once the
        slot is past what the standby remembers."""
        standbys = [node for node in self.nodes if node is not self.primary]
        for node in standbys:  # else who copies trips over the database
            node.wait_caught_up(self.primary)
        db.make_slot()

        def kept():
            db.sql("SELECT pg_current_xact_id()")
            db.sql("SELECT pg_log_standby_snapshot()")
            db.sql("SELECT pg_replication_slot_advance(%s,"
                   " pg_current_wal_lsn())", (db.slot,))
            slots = [node.copy(db.slot) for node in standbys]
            return all(slot is not None and slot[0] for slot in slots)
        until(kept, 60, "the standbys to make a copy of the slot")

    def lead(self, db, node):
        """The address, and the database of the tests, are that server's."""
        self.address.lead(node)
        db.move(node)

    def fail_over(self, db, how="kill"):
        """The primary goes, the standby takes its place."""
        old, new = self.primary, self.standby
        if how == "kill":
            old.kill()
        else:
            old.stop(how)
        new.promote()
        self.primary, self.standby = new, old
        self.lead(db, new)

    def remove(self):
        self.address.close()
        for node in self.nodes:
            with contextlib.suppress(AssertionError, psycopg.Error):
                node.remove()
