"""A PostgreSQL that speaks TLS, and fixtures for it.

A module that uses them has pytest_plugins = ["tlspg"].
"""

import os
import pathlib
import subprocess

import pytest

import certs
from agree import HOST, words
from pgserver import PgServer
from proc import REPOSITORY
from roles import PASSWORD
from waiting import until

HBA = """\
hostssl   all tls_only   127.0.0.1/32 trust
host      all tls_only   127.0.0.1/32 reject
hostnossl all clear_only 127.0.0.1/32 trust
host      all clear_only 127.0.0.1/32 reject
host      all nobody     127.0.0.1/32 reject
hostnossl all scram      127.0.0.1/32 reject
host      all scram      127.0.0.1/32 scram-sha-256
hostssl   all cert       127.0.0.1/32 cert
hostssl   all with_cert  127.0.0.1/32 trust clientcert=verify-ca
"""
ROLES = ("tls_only", "clear_only", "nobody", "scram", "cert", "with_cert")

class TlsServer(PgServer):
    """Its files, and those of clients, are in `files`, and all its own."""

    def __init__(self):
        super().__init__(hba=HBA, log_connections="on")
        self.files = pathlib.Path(self.dir) / "files"
        self.files.mkdir()
        self.home = self.files / "home"
        self.home.mkdir()
        self.ca = certs.Authority(self.files, "ca")
        self.good = self.ca.issue(HOST)
        self.stranger = certs.Authority(self.files, "stranger")
        with self.connect("postgres") as admin:
            for role in ROLES:
                admin.execute(f"CREATE ROLE {role} LOGIN REPLICATION")
            quoted = PASSWORD.replace("'", "''")
            admin.execute(f"ALTER ROLE scram PASSWORD '{quoted}'")
        self.usual = {"ssl": "on", "ssl_ca_file": self.ca.cert,
                      "ssl_min_protocol_version": "TLSv1.2",
                      "ssl_max_protocol_version": ""}
        self.serve(self.good, **self.usual)

    def give(self):
        """Lets the server, and walstream wherever it runs, read them."""
        if self._as:
            certs.give_to(self.files, self._as["user"], self._as["group"])

    def serve(self, pair, **settings):
        """From now on it has this certificate."""
        self.give()
        self.configure(ssl_cert_file=pair.cert, ssl_key_file=pair.key,
                       **settings)

    def configure(self, **settings):
        mark = os.path.getsize(self.log)
        with self.connect("postgres") as admin:
            for name, value in settings.items():
                admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            loaded = admin.execute("SELECT pg_conf_load_time()").fetchone()
            admin.execute("SELECT pg_reload_conf()")
        until(lambda: self._load_time() > loaded, 30, "the new settings")
        said = self.logged_since(mark)
        assert "SSL configuration was not reloaded" not in said, said

    def _load_time(self):
        """When the postmaster, of which a new session is a copy, did."""
        with self.connect("postgres") as admin:
            return admin.execute("SELECT pg_conf_load_time()").fetchone()

    def logged_since(self, mark):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(mark)
            return log.read()

    def words(self, user="tls_only", **more):
        """A connection string; what is None is left out."""
        return words(**{"host": HOST, "hostaddr": "127.0.0.1",
                        "port": self.port, "user": user,
                        "dbname": "postgres", **more})


@pytest.fixture(scope="session")
def tls():
    server = TlsServer()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def serving(tls):
    """Gives the server another certificate, or settings, for a test."""
    def serve(pair=tls.good, **settings):
        changed.update(settings)
        tls.serve(pair, **settings)

    changed = {}
    yield serve
    tls.serve(tls.good, **{name: tls.usual[name] for name in changed})


@pytest.fixture
def newer(tls):
    """A server that takes TLS without SSLRequest: since PostgreSQL 17."""
    with tls.connect("postgres") as admin:
        if admin.info.server_version >= 170000:
            yield tls
            return
    found = subprocess.run([REPOSITORY / "tests/tools/pg-version", "17"],
                           capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"no PostgreSQL 17: {found.stderr.strip()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WALSTREAM_PG_BINDIR", found.stdout.strip())
        server = TlsServer()
    try:
        yield server
    finally:
        server.remove()
