"""One PostgreSQL for the whole bench, and what runs against it."""

import contextlib
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

from psycopg import conninfo

import certs
from database import Database
from pgserver import PgServer
from place import REPOSITORY
from proc import TURN, Server, binary
from waiting import until

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "32GB",
            "wal_sender_timeout": "0"}
BUILT = REPOSITORY / "build/bench"
TLS, UNIX, TCP = "tls", "unix", "tcp"


class Scene:
    """Everything is in a directory of its own, and goes with it."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="walstream-bench-"))
        self.ca = certs.Authority(self.dir, "ca")
        self.pair = self.ca.issue("localhost", "DNS:localhost")
        self.pg = PgServer(**SETTINGS)
        self._numbers = itertools.count(1)

    def serve_tls(self):
        """From now on PostgreSQL takes TLS, too."""
        files = pathlib.Path(self.pg.dir) / "tls"
        if files.exists():
            return
        files.mkdir()
        for name in ("cert", "key"):
            (files / name).write_bytes(
                getattr(self.pair, name).read_bytes())
            (files / name).chmod(0o600)
        owner = os.stat(self.pg.data)
        certs.give_to(files, owner.st_uid, owner.st_gid)
        with self.pg.connect("postgres") as admin:
            for name, value in (("ssl_cert_file", files / "cert"),
                                ("ssl_key_file", files / "key"),
                                ("ssl", "on")):
                admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            admin.execute("SELECT pg_reload_conf()")
            until(lambda: admin.execute("SHOW ssl").fetchone()[0] == "on", 20,
                  "PostgreSQL to have TLS")

    @contextlib.contextmanager
    def database(self, name):
        db = Database(self.pg, f"bench_{name}_{next(self._numbers)}")
        try:
            yield db
        finally:
            db.drop()

    def conninfo(self, db, transport, **other):
        words = {"host": "127.0.0.1", "port": self.pg.port,
                 "user": "postgres", "dbname": db.name, "sslmode": "disable"}
        if transport == UNIX:
            words["host"] = self.pg.dir
        elif transport == TLS:
            words["sslmode"] = "require"
        return conninfo.make_conninfo(**words | other)

    def copy_slot(self, db):
        """A slot of its own for a run, from where `base` was made."""
        slot = f"{db.name}_{next(self._numbers)}"
        db.sql("SELECT pg_copy_logical_replication_slot(%s, %s)",
               (f"{db.name}_base", slot))
        return slot

    @contextlib.contextmanager
    def walstream(self, db, slot, transport=TCP, *options):
        """One that listens there; gives it its address, and at its end its
        longest turn, ms, and the most of the CPU that one took."""
        where = ["--host", "127.0.0.1", "--port", "0"]
        if transport == UNIX:
            path = self.dir / f"{slot}.sock"
            where = ["--listen", f"unix:{path}"]
        elif transport == TLS:
            where += ["--tls-cert", str(self.pair.cert), "--tls-key",
                      str(self.pair.key)]
        server = Server(
            "-c", self.conninfo(db, transport), "start", "--publication",
            "pub", "--slot", slot, "--temporary", "false", "--create-slot",
            "never", "--drain", "0", "--slow-client-timeout", "0", *where,
            *options)
        try:
            if transport == UNIX:
                server.wait_log("server.listening")
                server.where = f"unix:{path}"
            else:
                server.where = server.wait_listening().address
            yield server
            server.stop(timeout=30)
            server.turn_ms, server.turn_cpu_ms = [
                (int(found[1]), int(found[2])) for line in server.lines
                if (found := TURN.search(line))][-1]
        finally:
            if server.child.poll() is None:
                server.child.kill()
                server.child.wait()
            self.drop_slot(db, slot)

    def drop_slot(self, db, slot):
        until(lambda: db.sql("SELECT 1 FROM pg_replication_slots"
                             " WHERE slot_name = %s AND NOT active", (slot,)),
              20, f"{slot} to be free")
        db.sql("SELECT pg_drop_replication_slot(%s)", (slot,))

    def tail(self, server, rows, transport=TCP):
        words = [binary(), "tail", server.where, "--quiet", "--count",
                 str(rows)]
        if transport == TLS:
            words += ["--tls-ca", str(self.ca.cert), "--tls-name",
                      "localhost"]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL)

    def pg_recvlogical(self, db, slot, transport, until_lsn=None):
        """Without until_lsn it has to be interrupted, and complains."""
        words = [os.path.join(self.pg.bindir, "pg_recvlogical"), "-d",
                 self.conninfo(db, transport), "-S", slot, "--start", "-f",
                 "/dev/null", "-n", "-o", "proto_version=1", "-o",
                 "publication_names=pub"]
        if until_lsn is not None:
            words += ["--endpos", until_lsn]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                stderr=None if until_lsn
                                else subprocess.DEVNULL)

    def walsender(self, db, slot, child):
        """The process that serves the slot; None when child was faster."""
        found = []

        def there():
            found[:] = db.sql(
                "SELECT active_pid FROM pg_replication_slots WHERE"
                " slot_name = %s AND active_pid IS NOT NULL", (slot,))
            return found or child.poll() is not None

        until(there, 20, "a walsender")
        return found[0][0] if found else None

    def end(self):
        self.pg.remove()
        shutil.rmtree(self.dir)
