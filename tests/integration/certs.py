"""Certificates of every kind, made for the tests of TLS."""

import datetime
import ipaddress
import os
import subprocess
import types

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)

KEYS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def general_name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Issued:
    """A certificate and its key, in files."""

    def __init__(self, place, name, cert, key):
        self.cert, self.private, self.name = cert, key, name
        self.crt = place.write(f"{name}.crt", cert.public_bytes(
            serialization.Encoding.PEM))
        self.key = place.write(f"{name}.key", key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()), 0o600)


class Certificates:
    """A directory of them; root and other are two CAs."""

    def __init__(self, where, owner=None):
        self.where = where
        self.owner = owner
        self.root = self.issue("root", ca=True)
        self.other = self.issue("other", ca=True)

    def write(self, name, data, mode=0o644):
        path = self.where / name
        path.write_bytes(data)
        path.chmod(mode)
        if self.owner is not None:
            os.chown(path, *self.owner)
        return str(path)

    def issue(self, name, *names, by=None, key="ec", common=None, ca=False,
              days=(-1, 2), sha1=False):
        """Signed by itself without `by`; names are what it is for."""
        private = KEYS[key]()
        now = datetime.datetime.utcnow()
        subject = x509.Name([x509.NameAttribute(
            NameOID.COMMON_NAME, common or name)])
        signer = by.private if by else private
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.cert.subject if by else subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * DAY)
            .not_valid_after(now + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca, None), True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(
                [general_name(one) for one in names]), False)
        cert = builder.sign(signer, self._digest(signer, sha1))
        return Issued(self, name, cert, private)

    @staticmethod
    def _digest(signer, sha1):
        if isinstance(signer, ed25519.Ed25519PrivateKey):
            return None
        return hashes.SHA1() if sha1 else hashes.SHA256()

    def revoke(self, name, *revoked, by):
        """A revocation list, for sslcrl."""
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(by.cert.subject)
            .last_update(now - DAY).next_update(now + DAY))
        for one in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(one.cert.serial_number)
                .revocation_date(now - DAY).build())
        crl = builder.sign(by.private, self._digest(by.private, False))
        return self.write(f"{name}.crl", crl.public_bytes(
            serialization.Encoding.PEM))

    def issue_pss(self, name, host):
        """Signed with RSA-PSS by a CA of its own, which this library cannot
        do; the file of the CA, and the certificate."""
        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=self.where, check=True,
                           capture_output=True)

        pss = ["-sigopt", "rsa_padding_mode:pss"]
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha384",
                "-keyout", f"{name}-ca.key", "-out", f"{name}-ca.crt",
                "-subj", f"/CN={name} CA", "-days", "2", *pss)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout",
                f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={host}",
                "-addext", f"subjectAltName=DNS:{host}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA",
                f"{name}-ca.crt", "-CAkey", f"{name}-ca.key", "-sha384",
                "-days", "2", "-copy_extensions", "copy", "-out",
                f"{name}.crt", *pss)
        for part, mode in (("crt", 0o644), ("key", 0o600)):
            path = self.where / f"{name}.{part}"
            self.write(path.name, path.read_bytes(), mode)
        return (str(self.where / f"{name}-ca.crt"),
                types.SimpleNamespace(crt=str(self.where / f"{name}.crt"),
                                      key=str(self.where / f"{name}.key"),
                                      name=name))

    def encrypt(self, issued, password, name):
        return self.write(name, issued.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode())), 0o600)
