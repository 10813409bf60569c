"""The world the README talks of: a host named db with PostgreSQL on its usual
port, and 50051 free.

So that this needs nothing of the machine and changes nothing, the tests run
in namespaces of their own for the network and for mounts; only what has to
reach a package registry is run outside (`outside`).
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
INSIDE = "WALSTREAM_README_HOST_NET"
sys.path.insert(1, str(HERE.parent / "integration"))

import pytest  # noqa: E402

from pgserver import PgServer, unprivileged  # noqa: E402
from story import Story  # noqa: E402


def enter():
    """Starts this pytest again, inside; returns there only."""
    if INSIDE in os.environ:
        return
    if os.geteuid() != 0:
        pytest.exit("the README's tests need root, for namespaces", 1)
    net = os.open("/proc/self/ns/net", os.O_RDONLY)
    os.set_inheritable(net, True)
    os.environ[INSIDE] = str(net)
    os.execvp("unshare", ["unshare", "--net", "--mount", "--",
                          sys.executable, "-m", "pytest", *sys.argv[1:]])


def pytest_configure(config):
    del config
    enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("127.0.0.1 localhost db\n")
        hosts.flush()
        os.chmod(hosts.name, 0o644)
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"],
                       check=True)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The server's, which vouches for itself: key and certificate."""
    where = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key", "-out",
         "crt", "-subj", "/CN=db", "-addext", "subjectAltName=DNS:db",
         "-days", "2"], cwd=where, check=True, capture_output=True)
    who = unprivileged()
    if who:
        os.chown(where / "key", who["user"], who["group"])
        for part in (where, *where.parents[:2]):
            part.chmod(0o755)
    return where


@pytest.fixture(scope="session")
def pg(certificate):
    server = PgServer(port=5432, ssl="on", ssl_key_file=certificate / "key",
                      ssl_cert_file=certificate / "crt",
                      hba="host app me 127.0.0.1/32 scram-sha-256\n")
    with server.connect("postgres") as admin:
        admin.execute("CREATE DATABASE app")
    with server.connect("app") as admin:
        admin.execute("CREATE TABLE orders (id int PRIMARY KEY, item text)")
    yield server
    server.remove()


@pytest.fixture(scope="session")
def story(pg, certificate, tmp_path_factory):
    one = Story(pg, tmp_path_factory.mktemp("reader"))
    # what sslrootcert=system trusts
    one.env["SSL_CERT_FILE"] = str(certificate / "crt")
    yield one
    one.end()
