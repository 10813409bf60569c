"""TLS to PostgreSQL: sslmode and its kin mean what they mean to libpq.

What libpq at hand knows is asked of psql as well, and has to end alike.
"""

import os
import shutil
import subprocess

import pytest

from pgserver import find_bindir
from proc import environment, run
from tlsserver import PASSWORD


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home directory without ~/.postgresql."""
    return str(tmp_path_factory.mktemp("home"))


def psql(connection, home):
    program = shutil.which("psql") or f"{find_bindir()}/psql"
    return subprocess.run(
        [program, "-X", "-At", "-c", "SELECT 1", connection],
        env=environment({"HOME": home}), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=30, check=False)


def ends(connection, home, says=None, libpq=True):
    """Connects, or fails with these words; and so does psql."""
    done = run("-c", connection, "list", env={"HOME": home})
    if says is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and says in done.stderr, done.stderr
    assert PASSWORD not in done.stderr
    if libpq:
        other = psql(connection, home)
        assert (other.returncode == 0) == (says is None), other.stderr
    return done.stderr


pytestmark = pytest.mark.files


MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
CLEAR, TLS = "pg_hba.conf rejects connection", None

SSLMODES = {
    # what pg_hba.conf lets in: over TLS only, in the clear only, either
    "tls_only": (CLEAR, None, None, None, None, None),
    "clear_only": (None, None, None, CLEAR, CLEAR, CLEAR),
    "either": (None, None, None, None, None, None),
}


@pytest.mark.parametrize("user", SSLMODES)
@pytest.mark.parametrize("mode", MODES)
def test_sslmode(tls, home, user, mode):
    """P34: each mode against what the server lets in."""
    tls.serve(tls.good)
    connection = tls.conninfo(user=user, sslmode=mode,
                              sslrootcert=tls.certs.root.crt)
    ends(connection, home, SSLMODES[user][MODES.index(mode)])


@pytest.mark.parametrize("mode", MODES)
def test_server_without_tls(pg, home, mode):
    """P33: it answers N."""
    connection = (f"host=127.0.0.1 port={pg.port} user=postgres"
                  f" dbname=postgres sslmode={mode} sslrootcert=/dev/null")
    wanted = mode in ("disable", "allow", "prefer")
    ends(connection, home, None if wanted else "does not support TLS")


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_unix_socket(tls, home, mode):
    """A Unix socket is never encrypted, whatever sslmode says."""
    ends(f"host={tls.dir} port={tls.port} user=postgres dbname=postgres"
         f" sslmode={mode}", home)


CA_FAILS = "certificate verify failed"
NAME_FAILS = "does not match host name"

# name: how it is made, host to connect to, what verify-ca and verify-full say
KINDS = {
    "good": (dict(), "db.test", None, None),
    "wrong-host": (dict(), "other.test", None, NAME_FAILS),
    "expired": (dict(days=(-9, -1)), "db.test", CA_FAILS, CA_FAILS),
    "not-yet": (dict(days=(1, 9)), "db.test", CA_FAILS, CA_FAILS),
    "wrong-ca": (dict(by="other"), "db.test", CA_FAILS, CA_FAILS),
    "self-signed": (dict(by=None), "db.test", CA_FAILS, CA_FAILS),
    "rsa": (dict(key="rsa"), "db.test", None, None),
    "ed25519": (dict(key="ed25519"), "db.test", None, None),
    "wildcard": (dict(names=["*.test"]), "db.test", None, None),
    "wildcard-too-deep": (dict(names=["*.test"]), "a.db.test", None,
                          NAME_FAILS),
    "wildcard-in-label": (dict(names=["d*.test"]), "db.test", None,
                          NAME_FAILS),
    "upper-case": (dict(names=["DB.TEST"]), "db.Test", None, None),
    "second-name": (dict(names=["x.test", "db.test"]), "db.test", None,
                    None),
    "common-name": (dict(names=[], common="db.test"), "db.test", None, None),
    "common-name-and-another": (dict(names=["x.test"], common="db.test"),
                                "db.test", None, NAME_FAILS),
    "ip": (dict(names=["127.0.0.1"]), "127.0.0.1", None, None),
    "ip-v6": (dict(names=["::1"]), "::1", None, None),
    "other-ip": (dict(names=["127.0.0.2"]), "127.0.0.1", None, NAME_FAILS),
    "ip-as-name": (dict(names=["127.0.0.2"]), "db.test", None, NAME_FAILS),
    "wildcard-is-no-ip": (dict(names=["*.0.0.1"]), "127.0.0.1", None, None),
}


@pytest.fixture(scope="session")
def issued(tls):
    made = {}

    def one(name):
        how = dict(KINDS[name][0])
        names = how.pop("names", ["db.test"])
        by = how.pop("by", "root")
        if name not in made:
            made[name] = tls.certs.issue(
                f"k-{name}", *names, **how,
                by=None if by is None else getattr(tls.certs, by))
        return made[name]

    return one


@pytest.mark.parametrize("name", KINDS)
def test_certificate(tls, issued, home, name):
    """P34: whom each mode trusts; require does not ask."""
    _, host, by_ca, by_name = KINDS[name]
    tls.serve(issued(name))
    root = tls.certs.root.crt
    ends(tls.conninfo(host=host, sslmode="require"), home)
    ends(tls.conninfo(host=host, sslmode="verify-ca", sslrootcert=root),
         home, by_ca)
    ends(tls.conninfo(host=host, sslmode="verify-full", sslrootcert=root),
         home, by_name)


def test_rsa_pss(tls, home):
    """P39: RSA-PSS has a digest for channel binding, too."""
    root, pss = tls.certs.issue_pss("pss", "db.test")
    tls.serve(pss)
    ends(tls.conninfo(sslmode="verify-full", sslrootcert=root,
                      channel_binding="require"), home)


def test_root_makes_require_strict(tls, issued, home):
    """As documented: with a root file, require checks the CA."""
    tls.serve(issued("wrong-ca"))
    ends(tls.conninfo(sslmode="require", sslrootcert=tls.certs.root.crt),
         home, CA_FAILS)
    tls.serve(tls.good)
    ends(tls.conninfo(sslmode="require", sslrootcert=tls.certs.root.crt),
         home)


def test_no_root_file(tls, home):
    tls.serve(tls.good)
    for mode in ("verify-ca", "verify-full"):
        ends(tls.conninfo(sslmode=mode), home,
             "root.crt\" does not exist; either provide the file")
    ends(tls.conninfo(sslmode="verify-full"), "/nonexistent",
         "does not exist")


def test_system_roots(tls, home):
    """sslrootcert=system: what OpenSSL trusts, and verify-full."""
    tls.serve(tls.good)
    env = {"HOME": home, "SSL_CERT_FILE": tls.certs.root.crt}
    right = tls.conninfo(sslrootcert="system")
    done = run("-c", right, "list", env=env)
    assert done.returncode == 0, done.stderr
    wrong = tls.conninfo(host="other.test", sslrootcert="system")
    done = run("-c", wrong, "list", env=env)
    assert done.returncode == 1 and NAME_FAILS in done.stderr
    done = run("-c", tls.conninfo(sslrootcert="system", sslmode="require"),
               "list", env=env)
    assert done.returncode == 2 and "verify-full" in done.stderr


def test_home_files(tls, tmp_path):
    """~/.postgresql/root.crt, root.crl, postgresql.crt and .key."""
    tls.serve(tls.good)
    place = tmp_path / ".postgresql"
    place.mkdir()
    shutil.copy(tls.certs.root.crt, place / "root.crt")
    ends(tls.conninfo(sslmode="verify-full"), str(tmp_path))
    mine = tls.certs.issue("by_cert", by=tls.certs.root, common="by_cert")
    shutil.copy(mine.crt, place / "postgresql.crt")
    shutil.copy(mine.key, place / "postgresql.key")
    (place / "postgresql.key").chmod(0o600)
    ends(tls.conninfo(user="by_cert", sslmode="verify-full"), str(tmp_path))
    shutil.copy(tls.certs.revoke("home", tls.good, by=tls.certs.root),
                place / "root.crl")
    ends(tls.conninfo(sslmode="verify-full"), str(tmp_path),
         "certificate revoked")


def test_revoked(tls, issued, home, tmp_path):
    """P34: by a file, by a directory; and a list without it."""
    root = tls.certs.root.crt
    bad = issued("good")
    tls.serve(bad)
    revoked = tls.certs.revoke("bad", bad, by=tls.certs.root)
    fine = tls.certs.revoke("fine", tls.good, by=tls.certs.root)
    for mode in ("verify-ca", "verify-full"):
        ends(tls.conninfo(sslmode=mode, sslrootcert=root, sslcrl=revoked),
             home, "certificate revoked")
        ends(tls.conninfo(sslmode=mode, sslrootcert=root, sslcrl=fine), home)
    for name, says in ((revoked, "certificate revoked"), (fine, None)):
        place = tmp_path / name.rsplit("/", 1)[1]
        place.mkdir()
        shutil.copy(name, place / "a.pem")
        subprocess.run(["openssl", "rehash", str(place)], check=True,
                       capture_output=True)
        ends(tls.conninfo(sslmode="verify-ca", sslrootcert=root,
                          sslcrldir=place), home, says)


@pytest.mark.parametrize("low, high, says", [
    ("TLSv1.3", "", None), ("TLSv1.2", "TLSv1.2", None),
    ("", "TLSv1.3", None), ("TLSv1", "TLSv1.1", "SSL"),
])
def test_versions(tls, home, low, high, says):
    tls.serve(tls.good)
    ends(tls.conninfo(sslmode="require", ssl_min_protocol_version=low,
                      ssl_max_protocol_version=high), home, says)


def test_server_version_too_old(tls, home):
    """P34: a server that has TLS 1.1 at most; prefer goes without."""
    with tls.connect("postgres") as admin:
        admin.execute("ALTER SYSTEM SET ssl_min_protocol_version = 'TLSv1'")
        admin.execute("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.1'")
        admin.execute("SELECT pg_reload_conf()")
    try:
        ends(tls.conninfo(sslmode="require"), home, "TLSv1.2")
        said = ends(tls.conninfo(sslmode="prefer"), home)
        assert "pg.no_tls" in said
    finally:
        with tls.connect("postgres") as admin:
            admin.execute("ALTER SYSTEM RESET ssl_min_protocol_version")
            admin.execute("ALTER SYSTEM RESET ssl_max_protocol_version")
            admin.execute("SELECT pg_reload_conf()")


BINDINGS = ("disable", "prefer", "require")


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("name", ["good", "rsa"])
def test_channel_binding(tls, issued, home, name, binding):
    """P39: SCRAM-SHA-256-PLUS with each kind of certificate."""
    tls.serve(issued(name))
    ends(tls.conninfo(sslmode="require", channel_binding=binding), home)


def test_channel_binding_without_digest(tls, home):
    """P39: signed with Ed25519: require fails closed, prefer does without
    (libpq fails then, too)."""
    ca = tls.certs.issue("ed-ca", key="ed25519", ca=True)
    tls.serve(tls.certs.issue("ed", "db.test", by=ca, key="ed25519"))
    ends(tls.conninfo(sslmode="require", channel_binding="require"), home,
         "has no digest", libpq=False)
    ends(tls.conninfo(sslmode="require", channel_binding="prefer"), home,
         libpq=False)
    ends(tls.conninfo(sslmode="require", channel_binding="disable"), home)


def test_channel_binding_needs_it(tls, home):
    """P39: not offered without TLS, nor by other methods."""
    tls.serve(tls.good)
    ends(tls.conninfo(sslmode="disable", channel_binding="require"), home,
         "channel binding is required")
    ends(f"host=127.0.0.1 port={tls.port} user=postgres dbname=postgres"
         " sslmode=require channel_binding=require", home,
         "channel binding is required")


@pytest.fixture(scope="session")
def mine(tls):
    return tls.certs.issue("mine", by=tls.certs.root, common="by_cert")


def by_cert(tls, **more):
    return tls.conninfo(user="by_cert", password=None, sslmode="require",
                        **more)


def test_client_certificate(tls, mine, home):
    tls.serve(tls.good)
    ends(by_cert(tls, sslcert=mine.crt, sslkey=mine.key), home)
    ends(by_cert(tls), home, "requires a valid client certificate")
    stranger = tls.certs.issue("stranger", by=tls.certs.root, common="who")
    ends(by_cert(tls, sslcert=stranger.crt, sslkey=stranger.key), home,
         "authentication failed for user \"by_cert\"")
    foreign = tls.certs.issue("foreign", by=tls.certs.other, common="by_cert")
    ends(by_cert(tls, sslcert=foreign.crt, sslkey=foreign.key), home,
         "unknown ca")


def test_client_key(tls, mine, home, tmp_path):
    """Files that are missing, of another, open to others, or no file."""
    tls.serve(tls.good)
    ends(by_cert(tls, sslcert=mine.crt, sslkey="/nonexistent"), home,
         "certificate present, but not private key file")
    other = tls.certs.issue("another", by=tls.certs.root)
    ends(by_cert(tls, sslcert=mine.crt, sslkey=other.key), home,
         "does not match private key")
    key = tmp_path / "key"
    for mode, says in ((0o644, "group or world access"),
                       (0o640, None if os.geteuid() == 0 else "group or"),
                       (0o600, None),
                       (0o660, "group or world access")):
        shutil.copy(mine.key, key)
        key.chmod(mode)
        ends(by_cert(tls, sslcert=mine.crt, sslkey=key), home, says)
    ends(by_cert(tls, sslcert=mine.crt, sslkey=tmp_path), home,
         "not a regular file")
    ends(by_cert(tls, sslcert="/dev/null", sslkey=mine.key), home,
         "could not read certificate file")


def test_encrypted_key(tls, mine, home):
    """sslpassword; nobody is asked."""
    tls.serve(tls.good)
    key = tls.certs.encrypt(mine, "a secret word", "encrypted.key")
    ends(by_cert(tls, sslcert=mine.crt, sslkey=key,
                 sslpassword="a secret word"), home)
    said = ends(by_cert(tls, sslcert=mine.crt, sslkey=key,
                        sslpassword="another word"), home,
                "could not load private key file")
    assert "another word" not in said
    done = run("-c", by_cert(tls, sslcert=mine.crt, sslkey=key), "list",
               env={"HOME": home})
    assert done.returncode == 1 and "sslpassword" in done.stderr


def test_sslcertmode(tls, mine, home):
    tls.serve(tls.good)
    has = {"sslcert": mine.crt, "sslkey": mine.key}
    ends(by_cert(tls, sslcertmode="disable", **has), home,
         "requires a valid client certificate", libpq=False)
    ends(by_cert(tls, sslcertmode="allow", **has), home, libpq=False)
    ends(by_cert(tls, sslcertmode="require", **has), home, libpq=False)
    ends(tls.conninfo(sslmode="require", sslcertmode="require"), home,
         "without a valid SSL certificate", libpq=False)


def test_requirepeer(tls, home):
    """Who listens at the Unix socket."""
    where = f"host={tls.dir} port={tls.port} user=postgres dbname=postgres"
    ends(f"{where} requirepeer=postgres", home)
    ends(f"{where} requirepeer=nobody", home, "requirepeer is \"nobody\"")
    ends(f"host=127.0.0.1 port={tls.port} user=postgres dbname=postgres"
         " requirepeer=nobody", home)
