"""TLS in an empty root directory: nothing but the files that are named."""

import os
import shutil

import pytest

import certs
import place
from agree import HOST
from conftest import each_arch
from emptyroot import NOBODY
from proc import Server, fails, run
from roles import PASSWORD

pytest_plugins = ["tlspg"]

PASSPHRASE = "a passphrase"


@pytest.fixture(scope="session")
def made(tls):
    """A CA, a certificate of the server and one of ours, of each kind."""
    sets = {}

    def make(kind):
        if kind not in sets:
            ca = certs.Authority(tls.files, kind, kind)
            sets[kind] = ca, ca.issue(HOST), ca.issue("cert")
        return sets[kind]

    return make


@pytest.fixture(params=certs.KEYS)
def kind(request, tls, made, serving):
    """The server's certificate is of this kind."""
    ca, pair, _ = made(request.param)
    serving(pair, ssl_ca_file=ca.cert)
    del tls
    return request.param


def put(root, source, path, mode=0o644):
    """Copies a file into there, where it is nobody's."""
    target = root.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    target.chmod(mode)
    os.chown(target, NOBODY, NOBODY)
    return f"/{path}"


@pytest.fixture
def words(tls, root, made, kind):
    """A connection string; the CA's certificate is in there."""
    put(root, made(kind)[0].cert, "ca.pem")

    def text(user="tls_only", **more):
        return tls.words(user, **{"sslmode": "verify-full",
                                  "sslrootcert": "/ca.pem", **more})

    return text


def lists(connection):
    done = run("-c", connection, "list")
    assert done.returncode == 0, done.stderr


@each_arch
def test_kinds(root, words, kind):
    """Every kind of key that servers have, with both versions of TLS; the
    password is bound to it, and is not sent where it cannot be."""
    emulators = 0 if root.arch == place.NATIVE else 1
    assert len(root.files()) == 2 + emulators
    for version in ("TLSv1.2", "TLSv1.3"):
        lists(words(ssl_min_protocol_version=version,
                    ssl_max_protocol_version=version))
    if kind == "ed25519":  # its signature has no digest to bind to
        fails("-c", words("scram", password=PASSWORD), "list", code=1,
              naming=["channel binding is not possible"])
        lists(words("scram", password=PASSWORD, channel_binding="disable"))
    else:
        lists(words("scram", password=PASSWORD))


@pytest.mark.parametrize("kind", ["rsa"], indirect=True)
def test_verified(tls, root, words):
    """Another host, and a certificate of another CA, are refused."""
    fails("-c", words(host="other.test"), "list", code=1,
          naming=["does not match host name"])
    put(root, tls.stranger.cert, "ca.pem")
    fails("-c", words(), "list", naming=["certificate verify failed"], code=1)
    fails("-c", words(sslrootcert="/none.pem"), "list",
          naming=['"/none.pem" does not exist'], code=1)


@pytest.mark.parametrize("kind", ["p256"], indirect=True)
def test_revoked(root, words, made, kind):
    """A revocation list, and a directory of them."""
    ca, pair, _ = made(kind)
    before = ca.crl()
    assert run("-c", words(sslcrl=put(root, before, "a.crl")), "list"
               ).returncode == 0
    ca.revoke(pair)
    after = certs.hashed(root.dir, "after", ca.crl())
    (listed,) = after.iterdir()
    put(root, listed, f"crl/{listed.name}")
    fails("-c", words(sslcrldir="/crl"), "list",
          naming=["certificate revoked"], code=1)


@pytest.mark.parametrize("kind", ["p384"], indirect=True)
def test_system(root, words, made, kind, monkeypatch):
    """sslrootcert=system is /etc/ssl/cert.pem, or none."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    connection = words(sslrootcert="system")
    fails("-c", connection, "list", naming=["certificate verify failed"],
          code=1)
    put(root, made(kind)[0].cert, "etc/ssl/cert.pem")
    lists(connection)


def ours(root, pair, key, **more):
    """Our certificate and its key, as words."""
    return {"sslcert": put(root, pair.cert, "client.pem"),
            "sslkey": put(root, key, "client.key", 0o600), **more}


def test_client_certificate(root, words, made, kind):
    """Every kind of key that we may have."""
    pair = made(kind)[2]
    lists(words("cert", **ours(root, pair, pair.key)))
    fails("-c", words("cert"), "list", naming=["28000"], code=1)


def encrypted(root, words, pair, *form):
    """Our key, under the passphrase, in the form of a tool."""
    key = root.dir / "encrypted"
    certs.openssl(*form, "-in", pair.key, "-out", key, "-passout",
                  f"pass:{PASSPHRASE}")
    lists(words("cert", **ours(root, pair, key, sslpassword=PASSPHRASE)))
    fails("-c", words("cert", **ours(root, pair, key, sslpassword="wrong")),
          "list", naming=["could not load private key file"], code=1)
    fails("-c", words("cert", **ours(root, pair, key)), "list",
          naming=["is encrypted"], code=1)


@pytest.mark.parametrize("form", [
    ["-v2", "aes-256-cbc"], ["-v2", "des3"], ["-scrypt"]], ids=" ".join)
def test_encrypted_key(root, words, made, kind, form):
    """PKCS#8, under a key from PBKDF2 or scrypt."""
    encrypted(root, words, made(kind)[2], "pkcs8", "-topk8", *form)


@pytest.mark.parametrize("kind", ["rsa", "p256"], indirect=True)
@pytest.mark.parametrize("cipher", ["-aes128", "-des3"])
def test_traditional_key(root, words, made, kind, cipher):
    """The older form, which other kinds of key do not have."""
    encrypted(root, words, made(kind)[2], "pkey", "-traditional", cipher)


def test_serves_tls(root, db, tmp_path):
    """TLS for clients: files, ALPN and a client's certificate, in there."""
    ca = certs.Authority(tmp_path, "ca")
    for name, pair in (("server", ca.issue("x", "IP:127.0.0.1")),
                       ("client", ca.issue("consumer-1"))):
        put(root, pair.cert, f"{name}.pem")
        put(root, pair.key, f"{name}.key", 0o600)
    put(root, ca.cert, "ca.pem")
    one = Server("-c", db.conninfo(user="auth_scram", password=PASSWORD),
                 "start", "pub", f"{db.slot}_tls", "--host", "127.0.0.1",
                 "--port", "0", "--drain", "0", "--tls-cert", "/server.pem",
                 "--tls-key", "/server.key", "--tls-client-ca", "/ca.pem")
    try:
        one.wait_listening()
        ours = ["--tls-cert", "/client.pem", "--tls-key", "/client.key"]
        done = run("health", one.address, "--tls-ca", "/ca.pem", *ours)
        assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr
        fails("health", one.address, "--tls-ca", "/ca.pem", code=1,
              naming=["certificate required"])
        fails("health", one.address, "--tls", *ours, code=1,
              naming=["certificate verify failed"])
    finally:
        one.finish()
