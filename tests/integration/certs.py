"""Certificate authorities and what they sign, made by the openssl command."""

import datetime
import os
import pathlib
import subprocess
import typing

KEYS = {
    "p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["ED25519"],
    "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa-pss": ["RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
}

CONFIG = """\
[req]
distinguished_name = none
[none]
[ca]
default_ca = here
[here]
database = {dir}/index
new_certs_dir = {dir}
rand_serial = yes
unique_subject = no
default_md = {digest}
default_days = 2
default_crl_days = 2
policy = policy
copy_extensions = copy
[policy]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
[authority]
basicConstraints = critical, CA:TRUE
"""

HOUR = datetime.timedelta(hours=1)


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    assert done.returncode == 0, f"openssl {args}:\n{done.stderr}"
    return done.stdout


def instant(hours):
    """So many hours from now, as `openssl ca` wants it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + hours * HOUR).strftime("%Y%m%d%H%M%SZ")


class Pair(typing.NamedTuple):
    """The files of a certificate (and its chain) and of its key."""

    cert: pathlib.Path
    key: pathlib.Path


class Authority:
    """One in a directory of its own. All keys are of one kind."""

    def __init__(self, where, name, key="p256", digest="sha256", issuer=None):
        self.dir = pathlib.Path(where) / name
        self.dir.mkdir()
        self.kind, self.name = key, name
        # Ed25519 brings its own.
        self.digest = "default" if key == "ed25519" else digest
        self._count = 0
        self._config = self.dir / "config"
        self._config.write_text(
            CONFIG.format(dir=self.dir, digest=self.digest))
        (self.dir / "index").touch()
        (self.dir / "index.attr").touch()
        if issuer is None:
            self.own = self.self_signed(name, "authority")
        else:
            self.own = issuer.issue(name, extensions="authority", kind=key)
        self.cert = self.own.cert

    def _file(self, suffix):
        return self.dir / f"{self._count}.{suffix}"

    def make_key(self, kind=None):
        self._count += 1
        path = self._file("key")
        openssl("genpkey", "-algorithm", *KEYS[kind or self.kind], "-out",
                path)
        path.chmod(0o600)
        return path

    def self_signed(self, name, extensions="leaf"):
        key = self.make_key()
        md = [] if self.digest == "default" else [f"-{self.digest}"]
        openssl("req", "-x509", "-new", "-config", self._config, "-key", key,
                "-subj", f"/CN={name}", "-days", "2", *md, "-extensions",
                extensions, "-out", self._file("crt"))
        return Pair(self._file("crt"), key)

    def issue(self, name, alternatives=None, hours=(-1, 48),
              extensions="leaf", kind=None):
        """A certificate for the common name and the alternative names."""
        key = self.make_key(kind)
        more = [] if alternatives is None else [
            "-addext", f"subjectAltName={alternatives}"]
        request, cert = self._file("csr"), self._file("crt")
        openssl("req", "-new", "-config", self._config, "-key", key, "-subj",
                f"/CN={name}", *more, "-out", request)
        openssl("ca", "-batch", "-notext", "-config", self._config, "-cert",
                self.own.cert, "-keyfile", self.own.key, "-in", request,
                "-out", cert, "-startdate", instant(hours[0]), "-enddate",
                instant(hours[1]), "-extensions", extensions)
        return Pair(cert, key)

    def _ca(self, *args):
        openssl("ca", "-config", self._config, "-cert", self.own.cert,
                "-keyfile", self.own.key, *args)

    def revoke(self, pair):
        self._ca("-revoke", pair.cert)

    def crl(self):
        """The file of what is revoked now."""
        self._count += 1
        self._ca("-gencrl", "-out", self._file("crl"))
        return self._file("crl")


def chain(where, name, pair, *more):
    """The certificate and others behind it in one file."""
    path = pathlib.Path(where) / name
    path.write_text("".join(cert.read_text()
                            for cert in (pair.cert, *more)))
    return Pair(path, pair.key)


def hashed(where, name, crl):
    """A directory in which OpenSSL finds a revocation list."""
    directory = pathlib.Path(where) / name
    directory.mkdir()
    number = openssl("crl", "-in", crl, "-noout", "-hash").strip()
    (directory / f"{number}.r0").write_bytes(crl.read_bytes())
    return directory


def give_to(where, uid, gid):
    """Everything in there is theirs."""
    for directory, _, names in os.walk(where):
        os.chown(directory, uid, gid)
        for name in names:
            os.chown(os.path.join(directory, name), uid, gid)
