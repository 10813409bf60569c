"""TLS by the static program, with nothing but the files that are named."""

import os
import pathlib
import shutil
import tempfile

import pytest

import place
from certs import KEYS
from conftest import each_arch
from proc import run
from tlsserver import TlsServer

PASSPHRASE = "a passphrase"


@pytest.fixture(scope="session")
def tls():
    # where PostgreSQL's user can read, too
    with tempfile.TemporaryDirectory(prefix="walstream-certs-") as where:
        os.chmod(where, 0o755)
        server = TlsServer(pathlib.Path(where))
        yield server
        server.remove()


@pytest.fixture
def files(root, tls):
    """Puts a file into the root directory; only its user may read it."""
    def put(name, source):
        root.put(name, pathlib.Path(source).read_text(encoding="ascii"))
        path = root.root / name
        path.chmod(0o600)
        shutil.chown(path, "nobody")

    put("ca.pem", tls.certs.root.crt)
    return put


def lists(tls, says=None, **more):
    settings = {"sslmode": "verify-full", "sslrootcert": "/ca.pem", **more}
    done = run("-c", tls.conninfo(**settings), "list")
    if says is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and says in done.stderr, done.stderr


@each_arch
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_versions(tls, files, version):
    """Both versions, with channel binding, on each architecture."""
    del files
    tls.serve(tls.good)
    lists(tls, ssl_min_protocol_version=version,
          ssl_max_protocol_version=version, channel_binding="require")


@pytest.mark.parametrize("key", KEYS)
def test_kinds_of_key(tls, files, key):
    """Certificates that servers have, and that clients have."""
    tls.serve(tls.certs.issue(f"s-{key}", "db.test", by=tls.certs.root,
                              key=key))
    mine = tls.certs.issue(f"c-{key}", by=tls.certs.root, key=key,
                           common="by_cert")
    files("crt.pem", mine.crt)
    files("key.pem", mine.key)
    lists(tls, user="by_cert", password=None, sslcert="/crt.pem",
          sslkey="/key.pem")


def test_rsa_pss(tls, files):
    ca, pss = tls.certs.issue_pss("pss", "db.test")
    files("ca.pem", ca)
    tls.serve(pss)
    lists(tls, channel_binding="require")


@pytest.mark.parametrize("host, ca, says", [
    ("other.test", "root", "does not match host name"),
    ("db.test", "other", "certificate verify failed"),
])
def test_verified(tls, files, host, ca, says):
    """Another host, and a certificate of another CA, are refused."""
    tls.serve(tls.good)
    files("ca.pem", getattr(tls.certs, ca).crt)
    lists(tls, says, host=host)


def test_encrypted_key(tls, files):
    tls.serve(tls.good)
    mine = tls.certs.issue("mine", by=tls.certs.root, common="by_cert")
    files("crt.pem", mine.crt)
    files("key.pem", tls.certs.encrypt(mine, PASSPHRASE, "encrypted.key"))
    who = {"user": "by_cert", "password": None, "sslcert": "/crt.pem",
           "sslkey": "/key.pem"}
    lists(tls, sslpassword=PASSPHRASE, **who)
    lists(tls, "could not load private key file", sslpassword="wrong", **who)


def test_system(tls, files, monkeypatch):
    """sslrootcert=system is where OpenSSL looks."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    tls.serve(tls.good)
    lists(tls, "certificate verify failed", sslrootcert="system")
    files("etc/ssl/cert.pem", tls.certs.root.crt)
    lists(tls, sslrootcert="system")


@each_arch
def test_size(root):
    """Nothing big is linked by it."""
    assert (place.built(root.arch) / "walstream").stat().st_size < 3_700_000
