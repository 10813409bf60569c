"""The OpenSSL of the static build: TLS with nothing but a CA file.

walstream does not speak TLS yet; tls.c does, with the libraries it will use.
"""

import subprocess

import pytest

from compiler import compiled
from conftest import each_arch
from proc import run

KEYS = {
    "rsa": ["rsa", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa-pss": ["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
    "p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["ed25519"],
}
HOST = "db.test"
PASSPHRASE = "a passphrase"


def openssl(where, *args):
    subprocess.run(["openssl", *args], cwd=where, check=True,
                   capture_output=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="session", params=KEYS)
def pki(request, tmp_path_factory):
    """A CA and the certificate of HOST, with keys of one kind."""
    where = tmp_path_factory.mktemp(request.param)
    for name in ("ca", "key", "stranger"):
        openssl(where, "genpkey", "-algorithm", *KEYS[request.param],
                "-out", f"{name}.key")
        openssl(where, "req", "-x509", "-new", "-key", f"{name}.key",
                "-subj", f"/CN={name}", "-out", f"{name}.pem", "-days", "2")
    openssl(where, "req", "-new", "-key", "key.key", "-subj", f"/CN={HOST}",
            "-addext", f"subjectAltName=DNS:{HOST}", "-out", "cert.csr")
    openssl(where, "x509", "-req", "-in", "cert.csr", "-CA", "ca.pem",
            "-CAkey", "ca.key", "-copy_extensions", "copy", "-days", "2",
            "-out", "cert.pem")
    return where


@pytest.fixture
def tls(root, pki, tmp_path):
    """Both ends of a connection, in a root directory of their own."""
    root.install(compiled(root.arch, "tls.c", tmp_path / "tls",
                          "-lssl", "-lcrypto"))
    for name in ("ca.pem", "cert.pem"):
        root.put(name, (pki / name).read_text(encoding="ascii"))
    root.put("key.pem", (pki / "key.key").read_text(encoding="ascii"))
    return root


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_agreed(tls, version):
    """Every kind of key that servers have, with both versions."""
    del tls
    done = run(version, HOST, "")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(f"TLSv{version} ")


@each_arch
def test_arches(tls):
    """On each architecture; nothing big is linked by it."""
    done = run("1.3", HOST, "")
    assert done.returncode == 0, done.stdout
    assert (tls.root / "tls").stat().st_size < 3_600_000


@pytest.mark.parametrize("host, ca, word", [
    ("other.test", "ca", "certificate verify failed"),
    (HOST, "stranger", "certificate verify failed"),
])
def test_verified(tls, pki, host, ca, word):
    """Another host, and a certificate of another CA, are refused."""
    tls.put("ca.pem", (pki / f"{ca}.pem").read_text(encoding="ascii"))
    done = run("1.3", host, "")
    assert done.returncode == 1 and word in done.stdout, done


def encrypted(tls, pki, *form):
    """The server's key, under the passphrase, in the form of a tool."""
    openssl(pki, *form, "-in", "key.key", "-out", "key.enc",
            "-passout", f"pass:{PASSPHRASE}")
    tls.put("key.pem", (pki / "key.enc").read_text(encoding="ascii"))
    done = run("1.3", HOST, PASSPHRASE)
    assert done.returncode == 0, done.stdout
    assert run("1.3", HOST, "wrong").returncode == 1


@pytest.mark.parametrize("form", [
    ["-v2", "aes-256-cbc"], ["-v2", "des3"], ["-scrypt"]], ids=" ".join)
def test_encrypted_key(tls, pki, form):
    """PKCS#8, under a key from PBKDF2 or scrypt."""
    encrypted(tls, pki, "pkcs8", "-topk8", *form)


@pytest.mark.parametrize("pki", ["rsa", "p256"], indirect=True)
@pytest.mark.parametrize("cipher", ["-aes128", "-des3"])
def test_traditional_key(tls, pki, cipher):
    """The older form, which other kinds of key do not have."""
    encrypted(tls, pki, "pkey", "-traditional", cipher)
