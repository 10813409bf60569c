"""Authentication: every method, what is allowed, and who is not believed."""

import os
import pathlib
import pwd
import tempfile
import time

import pytest

from impostor import (CLEARTEXT, CONTINUE, FINAL, MD5, OK, PLUS, SASL,
                      Impostor, Scram)
from pgserver import PgServer
from proc import Process, complaints, run
from waiting import SCALE, until

# Words that are in no other text.
CANARY = "kAnArIeNvOgEl"
WRONG = "wElLeNsItTiCh"

HBA = """\
local all m_trust     trust
local all m_reject    reject
local all m_password  password
local all m_md5       md5
local all m_scram     scram-sha-256
local all m_peer      peer map=testers
local all m_stranger  peer
host  all m_trust     127.0.0.1/32 trust
host  all m_reject    127.0.0.1/32 reject
host  all m_password  127.0.0.1/32 password
host  all m_md5       127.0.0.1/32 md5
host  all m_ident     127.0.0.1/32 ident
host  all all         127.0.0.1/32 scram-sha-256
"""

ROLES = """
SET password_encryption = 'md5';
CREATE ROLE m_md5 LOGIN REPLICATION PASSWORD '{0}';
SET password_encryption = 'scram-sha-256';
CREATE ROLE m_trust LOGIN REPLICATION PASSWORD '{0}';
CREATE ROLE m_reject LOGIN REPLICATION PASSWORD '{0}';
CREATE ROLE m_password LOGIN REPLICATION PASSWORD '{0}';
CREATE ROLE m_scram LOGIN REPLICATION PASSWORD '{0}';
CREATE ROLE m_peer LOGIN REPLICATION;
CREATE ROLE m_stranger LOGIN REPLICATION;
CREATE ROLE m_ident LOGIN REPLICATION PASSWORD '{0}';
CREATE ROLE m_expired LOGIN REPLICATION PASSWORD '{0}'
    VALID UNTIL '2001-01-01';
CREATE ROLE m_nologin REPLICATION PASSWORD '{0}';
CREATE ROLE m_norepl LOGIN PASSWORD '{0}';
CREATE ROLE m_nopass LOGIN REPLICATION;
CREATE ROLE m_locked LOGIN REPLICATION PASSWORD '{0}' CONNECTION LIMIT 0;
CREATE TABLE t (id int PRIMARY KEY);
CREATE PUBLICATION pub FOR TABLE t;
"""


@pytest.fixture(scope="module")
def methods():
    server = PgServer(hba=HBA, ssl="off")
    try:
        with open(os.path.join(server.data, "pg_ident.conf"), "a",
                  encoding="utf-8") as ident:
            # in a chroot walstream runs as the directory's owner
            for uid in {os.getuid(), os.stat(server.dir).st_uid}:
                ident.write(f"testers {pwd.getpwuid(uid).pw_name} m_peer\n")
        with server.connect("postgres") as admin:
            admin.execute(ROLES.format(CANARY))
            admin.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.remove()


def conninfo(server, user, host="127.0.0.1", **more):
    words = {"host": host, "port": server.port, "user": user,
             "dbname": "postgres", **more}
    return " ".join(f"{key}='{value}'" for key, value in words.items()
                    if value is not None)


def start(connection, slot="m_slot"):
    return ["-c", connection, "start", "pub", slot, "-p", "0", "-h",
            "127.0.0.1"]


def ends(args, says=None, env=None):
    """Works, or fails with one line that has these words, and no password."""
    done = run(*args, env=env)
    for secret in (CANARY, WRONG):
        assert secret not in done.stderr + done.stdout
    if says is None:
        assert done.returncode == 0, done.stderr
        return
    said = complaints(done.stderr)
    assert done.returncode == 1, done
    assert len(said) == 1 and says in said[0], f"{says!r} is not in {said}"


METHODS = {
    # over TCP, over the Unix socket; None: it works
    "trust": (None, None),
    "reject": ("28000", "28000"),
    "password": (None, None),
    "md5": (None, None),
    "scram": (None, None),
    "peer": ("none was given", None),
    "stranger": ("none was given", "Peer authentication failed"),
    "ident": ("Ident authentication failed", None),
}
PASSWORDLESS = ("peer", "stranger")


@pytest.mark.parametrize("place", ["tcp", "unix"])
@pytest.mark.parametrize("method", METHODS)
def test_method(methods, method, place):
    """P36: every method of pg_hba.conf that needs nothing but PostgreSQL."""
    says = METHODS[method][place == "unix"]
    password = None if method in PASSWORDLESS else CANARY
    ends(["-c", conninfo(methods, "m_" + method,
                         methods.dir if place == "unix" else "127.0.0.1",
                         password=password), "list"], says)


ASKS = {"m_trust": "none", "m_password": "password", "m_md5": "md5",
        "m_scram": "scram-sha-256"}
ALL = ("none", "password", "md5", "scram-sha-256")
REQUIRE = {
    "password": ["password"],
    "md5": ["md5"],
    "scram-sha-256": ["scram-sha-256"],
    "none": ["none"],
    "scram-sha-256,md5": ["scram-sha-256", "md5"],
    "none,password": ["none", "password"],
    "!password": ["none", "md5", "scram-sha-256"],
    "!none": ["password", "md5", "scram-sha-256"],
    "!password,!md5": ["none", "scram-sha-256"],
    "!none,!password,!md5": ["scram-sha-256"],
    "": ALL,
}


@pytest.mark.parametrize("user", ASKS)
def test_require_auth(methods, user):
    """P37: require_auth takes what it names and nothing else."""
    for setting, allowed in REQUIRE.items():
        ends(["-c", conninfo(methods, user, password=CANARY,
                             require_auth=setting), "list"],
             None if ASKS[user] in allowed else "require_auth")


@pytest.mark.parametrize("setting", ["gss", "sspi,gss", "scram", "none,!md5",
                                     "md5,md5"])
def test_require_auth_asked_wrongly(methods, setting):
    """P37: nothing that could ever be met, or no such list: at once."""
    done = run("-c", conninfo(methods, "m_trust", require_auth=setting),
               "list")
    assert done.returncode == 2 and "require_auth" in done.stderr, done


def test_require_auth_variable(methods):
    """P37: PGREQUIREAUTH stands in, and the keyword comes first."""
    env = {"PGREQUIREAUTH": "scram-sha-256"}
    ends(["-c", conninfo(methods, "m_md5", password=CANARY), "list"],
         "require_auth", env)
    ends(["-c", conninfo(methods, "m_md5", password=CANARY,
                         require_auth="md5"), "list"], None, env)


def test_require_auth_of_peer(methods):
    """P37: peer is none: the server asks for nothing."""
    connection = conninfo(methods, "m_peer", methods.dir)
    ends(["-c", connection + " require_auth=none", "list"])
    ends(["-c", connection + " require_auth=!none", "list"], "require_auth")


REFUSALS = {
    # user, what is different, what PostgreSQL says
    "wrong password": ("m_scram", {"password": WRONG}, "28P01"),
    "wrong, cleartext": ("m_password", {"password": WRONG}, "28P01"),
    "wrong, md5": ("m_md5", {"password": WRONG}, "28P01"),
    "expired": ("m_expired", {}, "28P01"),
    "no such role": ("m_missing", {}, "28P01"),
    "no such role, trusted": ("m_missing", {"host": "unix"}, "28000"),
    "role without a password": ("m_nopass", {}, "28P01"),
    "not permitted to log in": ("m_nologin", {}, "28000"),
    "no such database": ("m_scram", {"dbname": "m_missing"}, "3D000"),
    "too many connections": ("m_locked", {}, "53300"),
}


# What is worth a retry does not end start.
COMMANDS = [(name, command) for name in REFUSALS for command in
            ("list", "start") if (name, command) != ("too many connections",
                                                     "start")]


@pytest.mark.parametrize("name, command", COMMANDS)
def test_refused(methods, name, command):
    """P36: PostgreSQL says no: its words, its SQLSTATE, and an end."""
    user, more, says = REFUSALS[name]
    more = {"password": CANARY, **more}
    if more.get("host") == "unix":
        more["host"] = methods.dir
    connection = conninfo(methods, user, **more)
    ends(start(connection) if command == "start"
         else ["-c", connection, "list"], says)


def test_no_replication_right(methods):
    """P36: list needs no such right, start does, and says so."""
    connection = conninfo(methods, "m_norepl", password=CANARY)
    ends(["-c", connection, "list"])
    ends(start(connection), "42501")


def test_password_missing(methods):
    """P36: whose it is and the ways to give it."""
    for empty in ({}, {"password": ""}):
        for user in ("m_password", "m_md5", "m_scram"):
            connection = conninfo(methods, user, **empty)
            ends(["-c", connection, "list"], user)
            ends(["-c", connection, "list"], "PGPASSWORD or the password file")
            ends(["-c", connection, "list"], user, {"PGPASSWORD": ""})


SASLPREP = [
    # as in PostgreSQL's 002_saslprep: role, what is typed, is it right?
    (1, "IX", True),
    (1, "I\u00adX", True),
    (1, "\u2168", True),
    (1, "ix", False),
    ("4a", "a", True),
    ("4a", "\u00aa", True),
    ("4b", "a", True),
    ("4b", "\u00aa", True),
    (6, "foo\x07bar", True),
    (6, "foobar", False),
    (7, "foo\u06271bar", True),
    (7, "foo1\u0627bar", False),
    (7, "foobar", False),
    # and of our own
    (8, "p\u00e4ss w\u00f6rd", True),
    (8, "pa\u0308ss\u00a0wo\u0308rd", True),
    (8, "pass word", False),
    (9, "\ud55c\uae00", True),
    (9, "\u1112\u1161\u11ab\u1100\u1173\u11af", True),
    (10, "\U0001F600", True),
]

SASLPREP_ROLES = r"""
SET password_encryption = 'scram-sha-256';
CREATE ROLE s_1 LOGIN PASSWORD 'IX';
CREATE ROLE s_4a LOGIN PASSWORD 'a';
CREATE ROLE s_4b LOGIN PASSWORD E'\xc2\xaa';
CREATE ROLE s_6 LOGIN PASSWORD E'foo\x07bar';
CREATE ROLE s_7 LOGIN PASSWORD E'foo\u0627\u0031bar';
CREATE ROLE s_8 LOGIN PASSWORD E'p\u00e4ss w\u00f6rd';
CREATE ROLE s_9 LOGIN PASSWORD E'\ud55c\uae00';
CREATE ROLE s_10 LOGIN PASSWORD E'\U0001F600';
"""


@pytest.fixture(scope="module")
def saslprep(methods):
    with methods.connect("postgres") as admin:
        admin.execute(SASLPREP_ROLES)
    return methods


@pytest.mark.parametrize("role, password, right", SASLPREP)
def test_saslprep(saslprep, role, password, right):
    """P40: passwords that are typed in another way."""
    ends(["-c", conninfo(saslprep, f"s_{role}"), "list"],
         None if right else "28P01", {"PGPASSWORD": password})


def test_password_not_utf8(methods):
    """P40: bytes that are not UTF-8 are used as they are."""
    raw = b"\xff\xc2\xaa\xe9"
    with methods.connect("postgres") as admin:
        secret = admin.pgconn.encrypt_password(raw, b"m_latin",
                                               b"scram-sha-256").decode()
        admin.execute(f"CREATE ROLE m_latin LOGIN PASSWORD '{secret}'")
    connection = conninfo(methods, "m_latin")
    ends(["-c", connection, "list"], None, {"PGPASSWORD": os.fsdecode(raw)})
    ends(["-c", connection, "list"], "28P01",
         {"PGPASSWORD": os.fsdecode(b"\xffa\xe9")})


@pytest.fixture
def passfile():
    """A password file with one password, where a chroot has it, too."""
    def write(password):
        path = pathlib.Path(where) / "passwords"
        path.write_text(f"*:*:*:*:{password}\n", encoding="utf-8")
        path.chmod(0o600)
        return str(path)

    with tempfile.TemporaryDirectory(prefix="walstream-pg-") as where:
        yield write


def test_longest_password(methods, passfile):
    """P40: a megabyte goes by SCRAM, but not as it stands."""
    long = "\u00e9" * 500_000
    with methods.connect("postgres") as admin:
        admin.execute(f"CREATE ROLE m_long LOGIN PASSWORD '{long}'")
    ends(["-c", conninfo(methods, "m_long", passfile=passfile(long)), "list"])
    ends(["-c", conninfo(methods, "m_long", passfile=passfile(long + "x")),
          "list"], "28P01")
    done = run("-c", conninfo(methods, "m_password", passfile=passfile(long)),
               "list")
    assert done.returncode == 1 and len(complaints(done.stderr)) == 1
    assert "\u00e9\u00e9" not in done.stderr


def test_percent_00(methods):
    """P40: no NUL gets into a password by way of a URI."""
    done = run("-c", f"postgres://m_scram:{CANARY}%00x@127.0.0.1:"
               f"{methods.port}/postgres", "list")
    assert done.returncode == 2 and CANARY not in done.stderr, done


def proc_file(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as text:
        return text.read()


@pytest.mark.parametrize("source", ["keyword", "uri", "variable",
                                    "CONNECTION", "file"])
def test_secret_is_nowhere(methods, passfile, source):
    """P36: the password is in no log, ours or PostgreSQL's, nor in /proc."""
    connection, env = conninfo(methods, "m_scram"), {}
    if source == "keyword":
        connection += f" password={CANARY}"
    elif source == "uri":
        connection = (f"postgres://m_scram:{CANARY}@127.0.0.1:{methods.port}"
                      "/postgres")
    elif source == "variable":
        env["PGPASSWORD"] = CANARY
    elif source == "CONNECTION":
        env["CONNECTION"] = connection + f" password={CANARY}"
        connection = None
    else:
        connection += f" passfile={passfile(CANARY)}"
    args = start(connection, f"m_nowhere_{source.lower()}")
    one = Process(*(args if connection else args[2:]), "--log-level", "debug",
                  env=env)
    try:
        one.wait_log("server.listening")
        for name in ("cmdline", "environ"):
            assert CANARY.encode() not in proc_file(one.pid, name)
    finally:
        one.finish()
    assert CANARY not in one.text(10_000)
    with open(methods.log, encoding="utf-8", errors="replace") as log:
        assert CANARY not in log.read().replace(
            f"PASSWORD '{CANARY}'", "")


def test_weak_login_is_warned_of(methods):
    """P37: MD5 works, as in libpq, but is named; so would a cleartext password
    be that leaves this machine."""
    for user, weak in (("m_password", False), ("m_md5", True),
                       ("m_scram", False)):
        one = Process(*start(conninfo(methods, user, password=CANARY),
                             user + "_weak"))
        try:
            one.wait_log("server.listening")
            assert bool(one.logged("pg.weak")) == weak
        finally:
            one.finish()


def ok_at_once(who):
    who.say(OK)


def cleartext(who):
    who.ask(CLEARTEXT)
    who.say(OK)


def cleartext_twice(who):
    who.ask(CLEARTEXT)
    who.ask(CLEARTEXT)


def md5(who):
    who.ask(MD5, b"salt")
    who.say(OK)


def ok_after_start(who):
    Scram(who)
    who.say(OK)


def ok_after_proof(who):
    """A server that collects proofs to guess passwords from."""
    Scram(who, iterations=1).challenge()
    who.say(OK)


def wrong_signature(who):
    scram = Scram(who)
    scram.challenge()
    who.say(FINAL, scram.signature(WRONG.encode()))
    who.say(OK)


def error_at_last(who):
    Scram(who).challenge()
    who.say(FINAL, b"e=\x1b[2Jother-error")
    who.say(OK)


def right_signature(who):
    scram = Scram(who)
    scram.challenge()
    who.say(FINAL, scram.signature(CANARY.encode()))
    who.say(OK)


def start_twice(who):
    Scram(who)
    Scram(who)


def cleartext_in_scram(who):
    Scram(who).challenge()
    who.ask(CLEARTEXT)


def cleartext_after_start(who):
    Scram(who)
    who.ask(CLEARTEXT)


def continue_first(who):
    who.ask(CONTINUE, b"r=x,s=AA==,i=1")


def final_first(who):
    who.say(FINAL, b"v=" + b"A" * 43 + b"=")
    who.say(OK)


def final_after_start(who):
    Scram(who)
    who.say(FINAL, b"v=" + b"A" * 43 + b"=")
    who.say(OK)


def many_iterations(who):
    scram = Scram(who)
    scram.challenge(b"r=%sx,s=AA==,i=2000000000" % scram.nonce)


def our_nonce(who):
    scram = Scram(who)
    scram.challenge(b"r=%s,s=AA==,i=1" % scram.nonce)


def other_nonce(who):
    Scram(who).challenge(b"r=" + b"x" * 40 + b",s=AA==,i=1")


def extension(who):
    scram = Scram(who)
    scram.challenge(b"m=x,r=%sx,s=AA==,i=1" % scram.nonce)


def plus_in_the_clear(who):
    Scram(who, PLUS)


def asks_for(code):
    return lambda who: who.ask(code)


BELIEVED = None
SCRAM_ONLY = {"require_auth": "scram-sha-256"}
BOUND = {"channel_binding": "require"}

IMPOSTORS = {
    # what it does, our settings, what we say; does it get the password?
    "trusts": (ok_at_once, {}, BELIEVED, False),
    "trusts, not allowed": (ok_at_once, SCRAM_ONLY, "require_auth", False),
    "trusts, not bound": (ok_at_once, BOUND, "channel binding", False),
    "wants cleartext": (cleartext, {}, BELIEVED, True),
    "wants cleartext, not allowed":
        (cleartext, SCRAM_ONLY, "require_auth", False),
    "wants cleartext, ruled out":
        (cleartext, {"require_auth": "!password"}, "require_auth", False),
    "wants cleartext, not bound":
        (cleartext, BOUND, "channel binding", False),
    "wants cleartext twice":
        (cleartext_twice, {}, "after password", True),
    "wants MD5": (md5, {}, BELIEVED, False),
    "wants MD5, not allowed": (md5, SCRAM_ONLY, "require_auth", False),
    "wants MD5, not bound": (md5, BOUND, "channel binding", False),
    "knows the password": (right_signature, SCRAM_ONLY, BELIEVED, False),
    "Ok after the start": (ok_after_start, {}, "did not prove", False),
    "Ok after the proof": (ok_after_proof, {}, "did not prove", False),
    "Ok after the proof, also trusted":
        (ok_after_proof, {"require_auth": "none,scram-sha-256"},
         "did not prove", False),
    "wrong signature": (wrong_signature, {}, "signature is wrong", False),
    "error in SCRAM": (error_at_last, {}, "?[2Jother-error", False),
    "starts twice": (start_twice, {}, "after scram-sha-256", False),
    "cleartext in SCRAM":
        (cleartext_in_scram, {}, "after scram-sha-256", False),
    "cleartext after the start":
        (cleartext_after_start, {}, "after scram-sha-256", False),
    "continues first": (continue_first, {}, "out of turn", False),
    "ends first": (final_first, {}, "out of turn", False),
    "ends after the start": (final_after_start, {}, "out of turn", False),
    "2,000,000,000 iterations":
        (many_iterations, {}, "more than 100000 iterations", False),
    "adds nothing to the nonce": (our_nonce, {}, "nonce", False),
    "another nonce": (other_nonce, {}, "nonce", False),
    "an extension": (extension, {}, "not r=, s=, i=", False),
    "-PLUS without TLS": (plus_in_the_clear, {}, "without TLS", False),
    "-PLUS without TLS, disabled":
        (plus_in_the_clear, {"channel_binding": "disable"}, "without TLS",
         False),
    "GSSAPI": (asks_for(7), {}, "GSSAPI", False),
    "SSPI": (asks_for(9), {}, "SSPI", False),
    "Kerberos": (asks_for(2), {}, "Kerberos", False),
    "unknown": (asks_for(4711), {}, "4711", False),
    "other mechanisms":
        (lambda who: who.ask(SASL, b"OAUTHBEARER\0\0"), {},
         "no SASL mechanism", False),
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_impostor(name):
    """P37, P38, P39: who is believed, and who is given what."""
    script, settings, says, gets = IMPOSTORS[name]
    who = Impostor(script)
    began = time.monotonic()
    done = run("-c", conninfo(who, "u", password=CANARY, sslmode="disable",
                              **settings), "list")
    took = time.monotonic() - began
    who.finish()
    assert done.returncode == 1 and CANARY not in done.stderr, done
    assert who.let_in == (says is BELIEVED), done.stderr
    assert says is BELIEVED or says in done.stderr, done.stderr
    assert (CANARY.encode() in who.heard) == gets
    assert took < 10 * SCALE


def test_impostor_of_a_stream(methods):
    """P37: what poses as the server later gets as little as at first."""
    del methods
    who = Impostor(cleartext)
    one = Process(*start(conninfo(who, "u", password=CANARY,
                                  sslmode="disable",
                                  require_auth="scram-sha-256")))
    one.expected = (1,)
    try:
        until(lambda: one.child.poll() is not None, 30, "walstream to end")
    finally:
        one.finish()
    who.finish()
    assert CANARY.encode() not in who.heard and not who.let_in
    assert "require_auth" in one.text()
