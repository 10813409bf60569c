"""One test's database, its publication `pub`, its slots and what they say."""

import contextlib
import struct

import psycopg
import pytest
from psycopg import sql

from waiting import until


def lsn_text(lsn):
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


class Database:
    """Has a table t (id int primary key, v text) in the publication pub.

    Slots whose name begins with the database's name go with it.
    """

    def __init__(self, pg, name, options=""):
        self.pg = pg
        self.name = name
        self.slot = name
        self._conn = None
        self._generation = 0
        with pg.connect("postgres") as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} " + options).format(
                sql.Identifier(name)))
        self.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
        self.sql("CREATE TABLE other (id serial PRIMARY KEY, v text)")
        self.sql("CREATE PUBLICATION pub FOR TABLE t")

    def conninfo(self, user="postgres", **more):
        words = {"host": "127.0.0.1", "port": self.pg.port, "user": user,
                 "dbname": self.name, **more}
        return psycopg.conninfo.make_conninfo(**words)

    def connect(self):
        return self.pg.connect(self.name)

    def sql(self, query, params=None):
        """Runs one statement in its own transaction; returns its rows."""
        if self._generation != self.pg.generation:
            self._conn = self.connect()
            self._generation = self.pg.generation
        cursor = self._conn.execute(query, params)
        return cursor.fetchall() if cursor.description else None

    def one(self, query, params=None):
        return self.sql(query, params)[0][0]

    def transaction(self, *statements):
        """Runs the statements in one transaction."""
        self.sql(";".join(("BEGIN",) + statements + ("COMMIT",)))

    def fill(self, first, last, size=1):
        """Commits rows first..last of t, v being size characters long."""
        self.sql("INSERT INTO t SELECT i, repeat('x', %s)"
                 " FROM generate_series(%s::int, %s::int) i",
                 (size, first, last))

    def publish(self, *tables):
        for table in tables:
            self.sql(f"ALTER PUBLICATION pub ADD TABLE {table}")

    def needs(self, major, what):
        """Skips the test on a PostgreSQL that does not have it yet."""
        have = self.one("SELECT current_setting('server_version_num')::int")
        if have // 10000 < major:
            pytest.skip(f"{what}: since PostgreSQL {major}")

    def printed(self, table, key=1):
        """The row whose id is key, as row_to_json prints it now."""
        return self.one(f"SELECT row_to_json(x)::text FROM {table} x"
                        f" WHERE id = '{key}'")

    def oid(self, name):
        """pg_class.oid."""
        return self.one("SELECT %s::regclass::oid::bigint", (name,))

    def set(self, name, value):
        """A setting of every later session, walsenders too."""
        self.sql(f"ALTER DATABASE {self.name} SET {name} = '{value}'")

    # Slots

    def slots(self):
        return [row[0] for row in self.sql(
            "SELECT slot_name FROM pg_replication_slots"
            " WHERE starts_with(slot_name, %s)", (self.name,))]

    def confirmed(self, slot=None):
        """confirmed_flush_lsn as a number."""
        rows = self.sql("SELECT confirmed_flush_lsn - '0/0'"
                        " FROM pg_replication_slots WHERE slot_name = %s",
                        (slot or self.slot,))
        return int(rows[0][0]) if rows and rows[0][0] is not None else None

    def wait_confirmed(self, lsn, timeout=15):
        until(lambda: self.confirmed() >= lsn, timeout,
              lambda: f"confirmed_flush_lsn {lsn_text(self.confirmed())}"
                      f" to reach {lsn_text(lsn)}")

    def wait_confirmed_is(self, lsn, timeout=15):
        until(lambda: self.confirmed() == lsn, timeout,
              lambda: f"confirmed_flush_lsn {lsn_text(self.confirmed())}"
                      f" to be {lsn_text(lsn)}")

    def walsender(self):
        """The process that serves the slot, or None."""
        rows = self.sql("SELECT active_pid FROM pg_replication_slots"
                        " WHERE slot_name = %s", (self.slot,))
        return rows[0][0] if rows else None

    def wait_walsender(self, other_than=None, timeout=20):
        return until(lambda: self.walsender() not in (None, other_than)
                     and self.walsender(), timeout, "a walsender on the slot")

    def wait_inactive(self, timeout=10):
        until(lambda: self.walsender() is None, timeout,
              "the slot to be released")

    def terminate_walsender(self):
        pid = self.wait_walsender()
        self.sql("SELECT pg_terminate_backend(%s)", (pid,))
        return pid

    @contextlib.contextmanager
    def locked_out(self, role):
        """Cuts walstream, connected as role, off; lets it in again at the
        end."""
        self.sql(f"ALTER ROLE {role} NOLOGIN")
        try:
            self.terminate_walsender()
            self.wait_inactive()
            yield
        finally:
            self.sql(f"ALTER ROLE {role} LOGIN")

    def wait_stalled(self):
        """Waits until the walsender has more to send than is taken."""
        until(lambda: self.one(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
            " AND wait_event = 'WalSenderWriteData'", (self.walsender(),)),
              20, "the walsender to stall")

    def unrelated_wal(self):
        """Commits rows of a table no publication has; returns the WAL end."""
        self.sql("INSERT INTO other (v)"
                 " SELECT repeat('x', 100) FROM generate_series(1, 100)")
        return int(self.one(
            "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"))

    def settle(self):
        """Waits until walstream has reported, having seen all WAL of now.

        Unless wal_sender_timeout is short this takes many seconds.
        """
        end = self.unrelated_wal()
        pid = self.wait_walsender()
        until(lambda: self.one(
            "SELECT coalesce(sent_lsn - '0/0', 0)::bigint"
            " FROM pg_stat_replication"
            " WHERE pid = %s", (pid,)) >= end, 15, "the walsender to send all")
        now = self.one("SELECT clock_timestamp()")
        until(lambda: self.one(
            "SELECT reply_time > %s::timestamptz + interval '10 ms'"
            " FROM pg_stat_replication WHERE pid = %s", (now, pid)), 15,
              "a status update")
        return end

    # What PostgreSQL itself decodes

    def watch(self):
        """Makes a slot of our own, for transactions()."""
        self.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
                 (self.name + "_watch",))

    def changes(self):
        """(kind, LSN) of every message pub gave rise to since watch()."""
        return [(data[:1].decode(), lsn_number(lsn))
                for lsn, data in self._peek()]

    def _peek(self):
        return self.sql(
            "SELECT lsn::text, data FROM pg_logical_slot_peek_binary_changes("
            "%s, NULL, NULL, 'proto_version', '1', 'publication_names',"
            " 'pub')", (self.name + "_watch",))

    def transactions(self):
        """(commit LSN, end LSN, rows) of what pub published since watch()."""
        found, rows = [], 0
        for _, data in self._peek():
            kind = data[:1]
            if kind == b"B":
                rows = 0
            elif kind in b"IUD":
                rows += 1
            elif kind == b"T":
                rows += struct.unpack_from(">I", data, 1)[0]
            elif kind == b"C":
                commit, end = struct.unpack_from(">QQ", data, 2)
                if rows:
                    found.append((commit, end, rows))
        return found

    # The end

    def drop(self):
        if self._conn is not None:
            self._conn.close()
        with self.pg.connect("postgres") as admin:
            until(lambda: self._drop_slots(admin), 15, "slots to be dropped")
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(
                sql.Identifier(self.name)))

    def _drop_slots(self, admin):
        left = admin.execute(
            "SELECT slot_name, active_pid FROM pg_replication_slots"
            " WHERE starts_with(slot_name, %s)", (self.name,)).fetchall()
        for slot, pid in left:
            try:
                if pid is not None:
                    admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
                else:
                    admin.execute("SELECT pg_drop_replication_slot(%s)",
                                  (slot,))
            except psycopg.Error:
                pass  # it changed hands between the two queries
        return not left
