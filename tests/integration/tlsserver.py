"""A PostgreSQL with TLS, whose certificate can be changed as it runs."""

import os
import socket
import ssl
import struct

from certs import Certificates
from pgserver import PgServer, unprivileged
from waiting import until

PASSWORD = "pencil"

HBA = """\
hostssl   all tls_only   127.0.0.1/32 scram-sha-256
hostnossl all tls_only   127.0.0.1/32 reject
hostssl   all clear_only 127.0.0.1/32 reject
hostnossl all clear_only 127.0.0.1/32 scram-sha-256
hostssl   all by_cert    127.0.0.1/32 cert
host      all either     127.0.0.1/32 scram-sha-256
"""

ROLES = ("tls_only", "clear_only", "by_cert", "either")


class TlsServer(PgServer):
    def __init__(self, where, **settings):
        who = unprivileged()
        owner = (who["user"], who["group"]) if who else None
        self.certs = Certificates(where, owner)
        self.good = self.certs.issue("good", "db.test", by=self.certs.root)
        self.serves = self.good
        super().__init__(
            hba=HBA, ssl="on", ssl_cert_file=self.good.crt,
            ssl_key_file=self.good.key, ssl_ca_file=self.certs.root.crt,
            **settings)
        with self.connect("postgres") as admin:
            for role in ROLES:
                admin.execute(f"CREATE ROLE {role} LOGIN REPLICATION"
                              f" PASSWORD '{PASSWORD}'")

    def presents(self):
        """The certificate that whoever connects now is shown."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port), 10) as raw:
            raw.sendall(struct.pack("!ii", 8, 80877103))
            assert raw.recv(1) == b"S"
            with context.wrap_socket(raw) as tls:
                return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))

    def serve(self, issued):
        """From now on with this certificate."""
        if issued is self.serves:
            return
        with self.connect("postgres") as admin:
            admin.execute(f"ALTER SYSTEM SET ssl_cert_file = '{issued.crt}'")
            admin.execute(f"ALTER SYSTEM SET ssl_key_file = '{issued.key}'")
            admin.execute("SELECT pg_reload_conf()")
        with open(issued.crt, encoding="ascii") as crt:
            text = crt.read()
        until(lambda: self.presents().split() == text.split(), 30,
              f"the certificate {issued.name}")
        self.serves = issued

    def conninfo(self, host="db.test", user="either", **more):
        """host is a name that need not resolve."""
        words = {"host": host, "hostaddr": "127.0.0.1", "port": self.port,
                 "user": user, "password": PASSWORD, "dbname": "postgres",
                 **more}
        return " ".join(f"{key}='{value}'" for key, value in words.items()
                        if value is not None)

    def psql(self):
        return os.path.join(self.bindir, "psql")
