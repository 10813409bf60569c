"""A throwaway PostgreSQL in a temporary directory of its own."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import psycopg

from waiting import until

SIGNALS = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": "40",
    "max_replication_slots": "40",
    "max_connections": "120",
    "max_prepared_transactions": "10",
    "track_commit_timestamp": "on",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "8GB",
    "listen_addresses": "127.0.0.1",
    "log_replication_commands": "on",
    "log_line_prefix": "%m [%p] ",
}

TRUST = "local all all trust\nhost all all 127.0.0.1/32 trust\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find_bindir():
    """WALSTREAM_PG_BINDIR, what pg_config says, or the newest Debian one."""
    places = [os.environ.get("WALSTREAM_PG_BINDIR", "")]
    if shutil.which("pg_config"):
        out = subprocess.run(["pg_config", "--bindir"], capture_output=True,
                             text=True, check=False)
        places.append(out.stdout.strip())
    places += sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True,
                     key=lambda p: int("0" + "".join(filter(str.isdigit, p))))
    for place in places:
        if place and os.access(os.path.join(place, "initdb"), os.X_OK):
            return place
    raise RuntimeError("no initdb found; set WALSTREAM_PG_BINDIR")


def unprivileged():
    """Who runs PostgreSQL: Popen arguments; root may not."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            who = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    raise RuntimeError("no unprivileged user to run PostgreSQL as")


class PgServer:
    """Superuser postgres, trusted, over TCP on 127.0.0.1 and a Unix socket."""

    def __init__(self, hba="", port=None, **settings):
        self.bindir = find_bindir()
        self.dir = tempfile.mkdtemp(prefix="walstream-pg-")
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.port = port or free_port()
        self.generation = 0
        self._as = unprivileged()
        self._env = {"PATH": os.environ.get("PATH", ""), "HOME": self.dir,
                     "LC_ALL": "C", "TZ": "UTC"}
        self._child = None
        try:
            self._initdb(hba, {**SETTINGS, **settings})
            self.start()
        except BaseException:
            self.remove()
            raise

    def _initdb(self, hba, settings):
        if self._as:
            os.chown(self.dir, self._as["user"], self._as["group"])
        subprocess.run(
            [os.path.join(self.bindir, "initdb"), "-D", self.data, "-N", "-U",
             "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
            cwd=self.dir, env=self._env, check=True, capture_output=True,
            **self._as)
        settings = {"port": self.port, "unix_socket_directories": self.dir,
                    **settings}
        with open(os.path.join(self.data, "postgresql.conf"), "a",
                  encoding="utf-8") as conf:
            for name, value in settings.items():
                conf.write(f"{name} = '{value}'\n")
        with open(os.path.join(self.data, "pg_hba.conf"), "w",
                  encoding="utf-8") as conf:
            conf.write(hba + TRUST)

    def start(self):
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                [os.path.join(self.bindir, "postgres"), "-D", self.data],
                cwd=self.dir, env=self._env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, **self._as)
        until(self._answers, 60, "PostgreSQL to answer")
        self.generation += 1

    def _answers(self):
        if self._child.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                tail = "".join(log.readlines()[-20:])
            raise RuntimeError(f"PostgreSQL did not start:\n{tail}")
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, mode="fast", timeout=30):
        """Ends the server; fails if that takes longer than timeout."""
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(SIGNALS[mode])
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGQUIT)
            child.wait(30)
            raise AssertionError(
                f"{mode} shutdown took more than {timeout} s") from None

    def restart(self, mode="fast", timeout=30):
        try:
            self.stop(mode, timeout)
        finally:
            self.start()

    def remove(self):
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def connect(self, dbname, **options):
        """An autocommit connection of the superuser, in UTC."""
        return psycopg.connect(
            host=self.dir, port=self.port, user="postgres", dbname=dbname,
            autocommit=True, connect_timeout=10,
            options="-c TimeZone=UTC -c client_encoding=UTF8", **options)
