"""Whether a connection is encrypted, and what it then is: sslmode, protocol
versions, server names, files in the home directory, Unix sockets."""

import os
import pwd
import shutil

import pytest

from agree import numbers, refused, works
from proc import Server, binary, fails, run
from roles import PASSWORD

pytest_plugins = ["tlspg"]

MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
NO_TLS = "the server does not support TLS, and sslmode asks for it"


def encrypted(tls, connection, libpq=True):
    """Connects; was it encrypted? Both clients have to agree."""
    name = f"a{next(numbers)}"
    mark = os.path.getsize(tls.log)
    works(f"{connection} application_name={name}", libpq=libpq)
    lines = [line for line in tls.logged_since(mark).splitlines()
             if "connection authorized" in line
             and f"application_name={name}" in line]
    answers = {"SSL enabled" in line for line in lines}
    assert len(answers) == 1, lines
    return answers.pop()


# What each mode comes to: True encrypted, False in the clear, None refused.
OUTCOMES = {
    "postgres": [False, False, True, True, True, True],  # takes both
    "tls_only": [None, True, True, True, True, True],
    "clear_only": [False, False, False, None, None, None],
    "nobody": [None, None, None, None, None, None],
}


@pytest.mark.parametrize("user", OUTCOMES)
def test_modes(tls, user):
    """Every sslmode against every kind of line in pg_hba.conf."""
    for mode, outcome in zip(MODES, OUTCOMES[user]):
        root = tls.ca.cert if mode.startswith("verify") else None
        connection = tls.words(user, sslmode=mode, sslrootcert=root)
        if outcome is None:
            refused(connection, "pg_hba.conf rejects", user)
        else:
            assert encrypted(tls, connection) == outcome, mode


def test_both_reasons(tls):
    """Where both ways were tried and failed, both are told."""
    for mode, ways in (("allow", ["no encryption", "; with TLS: ",
                                  "SSL encryption"]),
                       ("prefer", ["SSL encryption", "; without TLS: ",
                                   "no encryption"])):
        line = refused(tls.words("nobody", sslmode=mode), *ways)
        assert [line.index(word) for word in ways] == sorted(
            line.index(word) for word in ways), line


def test_server_without(pg, tmp_path):
    """A server with ssl = off answers N."""
    for mode in MODES:
        root = tls_root(tmp_path) if mode.startswith("verify") else None
        words = {"sslmode": mode, **({"sslrootcert": root} if root else {})}
        connection = (f"host=127.0.0.1 port={pg.port} user=postgres"
                      " dbname=postgres " + " ".join(
                          f"{name}={value}" for name, value in words.items()))
        if mode in MODES[:3]:
            works(connection)
        else:
            refused(connection, NO_TLS)


def tls_root(tmp_path):
    """Something that is there; it is not come to."""
    path = tmp_path / "root.crt"
    path.touch()
    return path


def test_not_trusted_is_not_encrypted(tls):
    """prefer: a server that the root file does not vouch for is used in the
    clear, as by libpq, with a warning."""
    connection = tls.words("postgres", sslmode="prefer",
                           sslrootcert=tls.stranger.cert)
    assert not encrypted(tls, connection)
    said = works(connection)
    assert " warn pg.no_tls: " in said and "trying without TLS" in said


@pytest.mark.parametrize("low, high, ours, word", [
    ("TLSv1.2", "TLSv1.2", {}, None),
    ("TLSv1.3", "TLSv1.3", {}, None),
    ("TLSv1.2", "TLSv1.2", {"ssl_min_protocol_version": "TLSv1.3"},
     "between TLSv1.3 and TLSv1.3"),
    ("TLSv1.3", "TLSv1.3", {"ssl_max_protocol_version": "TLSv1.2"},
     "between TLSv1.2 and TLSv1.2"),
    ("TLSv1.2", "", {"ssl_min_protocol_version": "TLSv1.3"}, None),
    ("TLSv1.2", "", {"ssl_max_protocol_version": "TLSv1.2"}, None),
])
def test_versions(tls, serving, low, high, ours, word):
    """The server's range and ours have to meet."""
    serving(ssl_min_protocol_version=low, ssl_max_protocol_version=high)
    connection = tls.words(sslmode="require", **ours)
    if word is None:
        works(connection)
    else:
        refused(connection, word)


def test_unknown_version(tls):
    """There is no such version: a usage error, before anything is sent."""
    for words in ({"ssl_min_protocol_version": "TLSv1.9"},
                  {"ssl_min_protocol_version": "TLSv1.3",
                   "ssl_max_protocol_version": "TLSv1.2"}):
        connection = tls.words(sslmode="require", **words)
        fails("-c", connection, "list", naming=[next(iter(words))])


@pytest.fixture
def home(tls):
    """A home directory, and what goes into its .postgresql."""
    where = tls.home / f"h{next(numbers)}"
    (where / ".postgresql").mkdir(parents=True)

    def put(**files):
        for name, source in files.items():
            stem, suffix = name.split("_")
            target = where / ".postgresql" / f"{stem}.{suffix}"
            shutil.copy(source, target)
            target.chmod(0o600)
        tls.give()
        return {"HOME": str(where)}

    return put


def test_home_root(tls, home):
    """~/.postgresql/root.crt is used, and makes require as good as
    verify-ca."""
    full = tls.words(sslmode="verify-full")
    refused(full, "root certificate file", "/.postgresql/root.crt\"",
            "does not exist; ", env=home())
    works(tls.words(sslmode="require"), env=home())
    env = home(root_crt=tls.ca.cert)
    works(full, env=env)
    env = home(root_crt=tls.stranger.cert)
    for mode in MODES[3:]:
        refused(tls.words(sslmode=mode), "certificate verify failed", env=env)


def test_home_crl(tls, home):
    """~/.postgresql/root.crl, too; one that is no list is not passed over,
    as it is by libpq."""
    env = home(root_crt=tls.ca.cert, root_crl=tls.ca.crl())
    works(tls.words(sslmode="verify-full"), env=env)
    env = home(root_crt=tls.ca.cert, root_crl=tls.ca.dir / "config")
    refused(tls.words(sslmode="verify-full"), "revocation list file", env=env,
            libpq=True)


def test_home_certificate(tls, home):
    """~/.postgresql/postgresql.crt and .key are ours."""
    mine = tls.ca.issue("cert")
    connection = tls.words("cert", sslmode="require")
    env = home(postgresql_crt=mine.cert)
    refused(connection, "certificate present, but not private key file",
            env=env)
    env = home(postgresql_crt=mine.cert, postgresql_key=mine.key)
    works(connection, env=env)
    refused(connection + " sslcertmode=disable", "28000", env=env, libpq=None)


def test_environment(tls):
    """PGSSL* stand in for what the connection string leaves out."""
    env = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(tls.ca.cert)}
    works(tls.words(), env=env)
    refused(tls.words(host="other.test"), "does not match host name",
            env=env)


def test_no_root_anywhere(tls):
    """verify-ca without a root file, and no home either."""
    refused(tls.words(sslmode="verify-ca", sslrootcert="/nonexistent/r.crt"),
            'root certificate file "/nonexistent/r.crt" does not exist; ')


def test_system_roots(tls):
    """sslrootcert=system: our CA is none of them."""
    refused(tls.words(sslmode="verify-full", sslrootcert="system"),
            "certificate verify failed", libpq=None)
    fails("-c", tls.words(sslmode="require", sslrootcert="system"), "list",
          naming=["verify-full"])


def test_start(tls):
    """start says by which TLS it is connected."""
    with tls.connect("postgres") as admin:
        admin.execute("DROP PUBLICATION IF EXISTS pub")
        admin.execute("CREATE PUBLICATION pub")
    server = Server("-c", tls.words(sslmode="verify-full",
                                    sslrootcert=tls.ca.cert),
                    "start", "pub", f"s{next(numbers)}", "--temporary",
                    "true", "--host", "127.0.0.1", "--port", "0")
    try:
        server.wait_listening()
        assert ", TLSv1.3, TLS_" in server.wait_log("pg.ready")[0]
    finally:
        server.finish()


def test_requirepeer(tls):
    """The user that runs the server at the other end of a Unix socket."""
    uid = os.stat(tls.data).st_uid
    me = pwd.getpwuid(uid).pw_name
    socket = {"host": tls.dir, "hostaddr": None}
    if os.path.basename(binary()) == "in-chroot":  # nobody has a name there
        refused(tls.words("postgres", requirepeer=me, **socket),
                f"user ID {uid} has no name", libpq=True)
        return
    works(tls.words("postgres", requirepeer=me, **socket))
    works(tls.words("postgres", requirepeer="", **socket))
    refused(tls.words("postgres", requirepeer="somebody", **socket),
            'requirepeer is "somebody"', f'runs as "{me}"')
    # Of another machine nobody can tell.
    works(tls.words("postgres", requirepeer="somebody"))


def test_socket_is_never_encrypted(tls):
    """A Unix socket has no TLS, whatever sslmode says."""
    for mode in MODES:
        connection = tls.words("postgres", host=tls.dir, hostaddr=None,
                               sslmode=mode)
        assert not encrypted(tls, connection)


def test_scram_over_tls(tls):
    """A wrong password is wrong there as well."""
    good = tls.words("scram", sslmode="require", password=PASSWORD)
    works(good)
    done = run("-c", tls.words("scram", sslmode="require", password="no"),
               "list")
    assert done.returncode == 1 and "28P01" in done.stderr
