"""P34 and P39, whom to trust: the server's certificate, channel binding, and our own."""

import shutil

import pytest

import certs
from agree import HOST, numbers, refused, works
from roles import PASSWORD

pytest_plugins = ["tlspg"]

VERIFY = "certificate verify failed: "
PASSPHRASE = "a 'passphrase'"


@pytest.fixture(scope="module")
def made(tls):
    """Makes certificates of a kind, once."""
    authorities, pairs = {}, {}

    def authority(kind="p256", digest="sha256"):
        name = f"{kind}-{digest}"
        if name not in authorities:
            authorities[name] = certs.Authority(tls.files, name, kind, digest)
        return authorities[name]

    def make(kind="p256", digest="sha256"):
        if (kind, digest) not in pairs:
            pairs[kind, digest] = authority(kind, digest).issue(HOST)
        return pairs[kind, digest]

    make.authority = authority
    return make


def judged(tls, chain=None, name=None, root=None, **words):
    """The certificate that is served now, in every mode: why its chain and
    its name are bad, None where they are good."""
    root = root or tls.ca.cert
    works(tls.words(sslmode="require", **words))
    for mode in ("verify-ca", "verify-full"):
        connection = tls.words(sslmode=mode, sslrootcert=root, **words)
        wrong = chain or (name if mode == "verify-full" else None)
        if wrong is None:
            works(connection)
        else:
            refused(connection, wrong)


@pytest.mark.parametrize("kind", certs.KEYS)
def test_kinds(tls, serving, made, kind):
    """Keys and signatures of every kind."""
    serving(made(kind))
    judged(tls, root=made.authority(kind).cert)


@pytest.mark.parametrize("hours, chain", [
    ((-48, -1), "certificate has expired"),
    ((24, 48), "certificate is not yet valid"),
])
def test_time(tls, serving, hours, chain):
    """Before and after its time."""
    serving(tls.ca.issue(HOST, hours=hours))
    judged(tls, VERIFY + chain)


def test_signer(tls, serving):
    """A CA of the same name, or none."""
    where = tls.files / f"same{next(numbers)}"
    where.mkdir()
    serving(certs.Authority(where, "ca").issue(HOST))
    judged(tls, VERIFY)
    serving(tls.ca.self_signed(HOST))
    judged(tls, VERIFY + "self-signed certificate")


def test_chain(tls, serving):
    """A CA between: it is sent by the server, or it is among our roots."""
    middle = certs.Authority(tls.files, f"middle{next(numbers)}",
                             issuer=tls.ca)
    leaf = middle.issue(HOST)
    serving(certs.chain(tls.files, "chain.crt", leaf, middle.cert))
    judged(tls)
    judged(tls, VERIFY + "unable to get issuer certificate", root=middle.cert)
    serving(leaf)
    judged(tls, VERIFY + "unable to get local issuer certificate")
    both = certs.chain(tls.files, "both.crt", middle.own, tls.ca.cert).cert
    tls.give()
    judged(tls, root=both)


MISMATCH = 'server certificate for "{}" does not match host name "{}"'

NAMES = [
    # common name, alternative names, host, why not
    (HOST, None, "DB.Test", None),
    (HOST, None, "other.test", MISMATCH.format(HOST, "other.test")),
    ("x", f"DNS:{HOST}", HOST, None),
    (HOST, "DNS:x", HOST, MISMATCH.format("x", HOST)),
    (HOST, "IP:192.0.2.1", HOST, None),
    ("x", "DNS:a,DNS:b", HOST,
     'server certificate for "a" (and 1 other name) does not match'),
    ("*.test", None, HOST, None),
    ("x", "DNS:*.test", HOST, None),
    ("x", "DNS:*.test", "a.db.test", MISMATCH.format("*.test", "a.db.test")),
    ("x", "DNS:*.test", "test", MISMATCH.format("*.test", "test")),
    ("x", "DNS:d*.test", HOST, MISMATCH.format("d*.test", HOST)),
    ("x", "DNS:*.*.test", "a.db.test",
     MISMATCH.format("*.*.test", "a.db.test")),
    ("x", "IP:127.0.0.1", "127.0.0.1", None),
    ("x", "IP:127.0.0.1", "127.1", None),
    ("x", "IP:192.0.2.1", "127.0.0.1",
     MISMATCH.format("192.0.2.1", "127.0.0.1")),
    ("127.0.0.1", None, "127.0.0.1", None),
    ("127.0.0.1", "DNS:x", "127.0.0.1", None),
    ("x", "DNS:*.0.0.1", "127.0.0.1", None),
    ("x", "IP:::1", "::1", None),
    ("x", "IP:::1", "0:0::0:1", None),
    ("x", "IP:::2", "::1", MISMATCH.format("::2", "::1")),
]


def test_names(tls, serving):
    """Which host a certificate is for. hostaddr plays no part in it."""
    served = None
    for common, alternatives, host, wrong in NAMES:
        if served != (common, alternatives):
            served = common, alternatives
            serving(tls.ca.issue(*served))
        connection = tls.words(sslmode="verify-full", host=host,
                               sslrootcert=tls.ca.cert)
        if wrong is None:
            works(connection)
        else:
            refused(connection, wrong)


def test_no_name(tls):
    """hostaddr alone says where, not who."""
    connection = tls.words(sslmode="verify-full", host=None,
                           sslrootcert=tls.ca.cert)
    refused(connection, "host name must be specified")
    works(tls.words(sslmode="verify-ca", host=None, sslrootcert=tls.ca.cert))


def test_revoked(tls, serving):
    """sslcrl and sslcrldir; a list that is not there revokes nothing."""
    pair = tls.ca.issue(HOST)
    before = tls.ca.crl()
    tls.ca.revoke(pair)
    after = tls.ca.crl()
    good = certs.hashed(tls.files, "before", before)
    bad = certs.hashed(tls.files, "after", after)
    serving(pair)
    for mode in ("require", "verify-ca", "verify-full"):
        root = {"sslmode": mode, "sslrootcert": tls.ca.cert}
        works(tls.words(sslcrl=before, **root))
        works(tls.words(sslcrldir=good, **root))
        works(tls.words(sslcrl=tls.files / "none", **root))
        refused(tls.words(sslcrl=after, **root),
                VERIFY + "certificate revoked")
        refused(tls.words(sslcrldir=bad, **root),
                VERIFY + "certificate revoked")
    # Lists, but none of this CA.
    refused(tls.words(sslcrldir=tls.home, **root),
            VERIFY + "unable to get certificate CRL")
    serving()
    works(tls.words(sslcrl=after, **root))


# Channel binding

@pytest.mark.parametrize("kind, digest", [
    ("p256", "sha256"), ("p384", "sha384"), ("rsa", "sha256"),
    ("rsa", "sha512"), ("rsa-pss", "sha256"), ("rsa-pss", "sha384"),
    ("ed25519", None)])
def test_channel_binding(tls, serving, made, kind, digest):
    """P39: bound to every certificate that has a hash. Where it has none it is
    refused, unless channel binding is disabled."""
    serving(made(kind, digest or "sha256"))
    for binding in ("disable", "prefer", "require"):
        connection = tls.words("scram", sslmode="require", password=PASSWORD,
                               channel_binding=binding)
        if digest is None and binding != "disable":
            refused(connection, "channel binding is not possible: the"
                    " signature algorithm ED25519")
        else:
            works(connection)


def test_no_channel(tls):
    """Nothing to be bound to: no TLS, no SCRAM, no authentication."""
    refused(tls.words("postgres", sslmode="disable",
                      channel_binding="require"), "channel binding")
    refused(tls.words("tls_only", sslmode="require",
                      channel_binding="require"), "channel binding")
    refused(tls.words("scram", sslmode="require", password="wrong",
                      channel_binding="require"), "28P01")


# Our own certificate

@pytest.fixture(scope="module")
def mine(tls):
    pair = tls.ca.issue("cert")
    tls.give()
    return pair


def ours(pair, **more):
    return {"sslmode": "require", "sslcert": pair.cert, "sslkey": pair.key,
            **more}


def test_client_certificate(tls, mine):
    """pg_hba.conf says cert: it is the user's, of the right CA, in time."""
    works(tls.words("cert", **ours(mine)))
    works(tls.words("with_cert", **ours(mine)))
    refused(tls.words("cert", sslmode="require"), "28000")
    wrong = {
        "28000": tls.ca.issue("somebody"),
        "certificate expired": tls.ca.issue("cert", hours=(-48, -1)),
        "unknown ca": tls.stranger.issue("cert"),
    }
    tls.give()
    for word, pair in wrong.items():
        line = refused(tls.words("cert", **ours(pair)), word)
        if word != "28000":
            assert "the server refused our certificate: " in line


def test_client_chain(tls):
    """A CA between: we send it."""
    middle = certs.Authority(tls.files, f"middle{next(numbers)}",
                             issuer=tls.ca)
    leaf = middle.issue("cert")
    whole = certs.chain(tls.files, "client_chain.crt", leaf, middle.cert)
    tls.give()
    works(tls.words("cert", **ours(whole)))
    refused(tls.words("cert", **ours(leaf)), "unknown ca")


@pytest.mark.parametrize("kind", ["p256", "rsa", "rsa-pss", "ed25519"])
def test_client_kinds(tls, kind):
    """Keys of every kind, with both versions of TLS."""
    pair = tls.ca.issue("cert", kind=kind)
    tls.give()
    for version in ("TLSv1.2", "TLSv1.3"):
        works(tls.words("cert", ssl_max_protocol_version=version,
                        **ours(pair)))


@pytest.mark.parametrize("form", [
    ["pkcs8", "-topk8", "-v2", "aes-256-cbc"],
    ["pkcs8", "-topk8", "-scrypt"],
    ["pkey", "-traditional", "-aes128"]], ids=["pbkdf2", "scrypt", "old"])
def test_encrypted_key(tls, mine, form):
    """sslpassword opens it; nobody is asked for it."""
    key = tls.files / f"encrypted{next(numbers)}.key"
    certs.openssl(*form, "-in", mine.key, "-out", key, "-passout",
                  f"pass:{PASSPHRASE}")
    key.chmod(0o600)
    tls.give()
    pair = certs.Pair(mine.cert, key)
    works(tls.words("cert", **ours(pair, sslpassword=PASSPHRASE)))
    line = refused(tls.words("cert", **ours(pair, sslpassword="not this")),
                   "could not load private key file", str(key))
    assert "not this" not in line
    refused(tls.words("cert", **ours(pair)),
            f'private key file "{key}" is encrypted, and no sslpassword was')


def test_der_key(tls, mine):
    """The key may be DER."""
    key = tls.files / "client.der"
    certs.openssl("pkey", "-in", mine.key, "-outform", "DER", "-out", key)
    key.chmod(0o600)
    tls.give()
    works(tls.words("cert", **ours(certs.Pair(mine.cert, key))))


def test_key_file(tls, mine):
    """Who may read it, and whether it is there and belongs to it."""
    other = tls.ca.issue("cert")
    copy = tls.files / f"copy{next(numbers)}.key"
    shutil.copy(mine.key, copy)
    tls.give()
    connection = tls.words("cert", **ours(certs.Pair(mine.cert, copy)))
    for mode, good in ((0o400, True), (0o600, True), (0o640, False),
                       (0o604, False), (0o666, False)):
        copy.chmod(mode)
        if good:
            works(connection)
        else:
            refused(connection, f'private key file "{copy}" has group or'
                    " world access")
    copy.unlink()
    refused(connection, "certificate present, but not private key file"
            f' "{copy}"')
    refused(tls.words("cert", **ours(certs.Pair(other.cert, mine.key))),
            "certificate does not match private key file")
    refused(tls.words("cert", **ours(certs.Pair(mine.key, mine.key))),
            "could not read certificate file")
    # One that is not there is not sent, and that is for the server to judge.
    gone = certs.Pair(tls.files / "gone.crt", mine.key)
    refused(tls.words("cert", **ours(gone)), "28000")
    works(tls.words("tls_only", **ours(gone)))


def test_certmode(tls, serving, mine):
    """sslcertmode, which libpq has since 16."""
    cert, other = tls.words("cert", **ours(mine)), tls.words(**ours(mine))
    without = tls.words(sslmode="require", sslcertmode="require")
    works(f"{cert} sslcertmode=allow", libpq=None)
    works(f"{cert} sslcertmode=require", libpq=None)
    works(f"{other} sslcertmode=require", libpq=None)
    refused(f"{cert} sslcertmode=disable", "28000", libpq=None)
    refused(without, "server accepted connection without a valid SSL"
            " certificate", libpq=None)
    serving(ssl_ca_file="")  # it asks for none
    works(f"{other} sslcertmode=allow", libpq=None)
    for mode in ("disable", "allow", "prefer", "require"):
        connection = tls.words("postgres", **{**ours(mine), "sslmode": mode})
        refused(f"{connection} sslcertmode=require",
                "server did not request an SSL certificate", libpq=None)
