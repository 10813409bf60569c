"""The way to TLS, and what is bound to it."""

import hashlib
import ssl

import pytest

import fakealpn
import fakepg
import proc
from fakecheck import SECRET, make_certificate, refused, start_args, table
from fakescram import PLAIN, PLUS, Scram
from fakewal import Backend

pytest_plugins = ["fakefixtures"]

ENCRYPTED = ["require", "verify-ca", "verify-full"]


def server_context(certificate, alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    return context


@pytest.fixture(scope="session")
def secured(certificate):
    return server_context(certificate)


@pytest.fixture
def trust(certificate):
    """The conninfo for a server that is to be believed."""
    return {"sslrootcert": certificate[0]}


def over_tls(context, then):
    """A script: TLS is begun as asked for, and the rest is in it."""
    def script(c):
        assert c.request() == fakepg.SSL_REQUEST
        c.send(b"S")
        c.start_tls(context)
        then(c)
    return script


def answers(data, then=fakepg.Connection.hold):
    """A script: what SSLRequest is answered with."""
    def script(c):
        assert c.request() == fakepg.SSL_REQUEST
        c.send(data)
        then(c)
    return script


def only_asked(server):
    """Nothing but SSLRequest was sent, on any connection."""
    for one in server.connections:
        assert one.received == bytes.fromhex("0000000804d2162f")


def check_no_startup(server):
    """Nor was the startup packet, in clear or inside TLS."""
    for one in server.connections:
        assert one.startup is None
        assert b"user\0" not in one.received
        assert SECRET.encode() not in one.received


def lists(server, **conninfo):
    done = proc.run("-c", server.conninfo(**conninfo), "list")
    assert done.returncode == 0, done.stderr
    return done


def answers_list(c):
    c.login()
    c.expect("Q")
    c.send(fakepg.complete("SELECT 0"), fakepg.ready())
    c.hold()


# The answer to SSLRequest

BEHIND = {
    "one_byte": b"S\x00",
    "ok": b"S" + fakepg.auth_ok(),
    "error": b"S" + fakepg.error("28000", "injected"),
    "tls": b"S" + bytes.fromhex("160303000401020304"),
    "s_again": b"SS",
    "much": b"S" + b"x" * 100000,
}


@pytest.mark.parametrize("sslmode", ENCRYPTED)
@table("P33_S", BEHIND)
def test_bytes_behind(fake, secured, trust, name, sslmode):
    """CVE-2021-23222: what stands behind the S was not encrypted, and may be
    anybody's. Nothing of it is read as PostgreSQL's, not even when what
    follows it is the TLS of the server."""
    def then(c):
        c.start_tls(secured)
        c.login()
        c.hold()
    server = fake(answers(BEHIND[name], then))
    line = refused(server, sslmode=sslmode, password=SECRET, **trust)
    assert "injected" not in line
    assert "unencrypted" in line or "SSL" in line or "TLS" in line, line
    check_no_startup(server)


@pytest.mark.parametrize("sslmode", ENCRYPTED, ids=lambda m: f"P33_N_{m}")
def test_no_tls(fake, trust, sslmode):
    """N, and TLS was demanded: nothing more is sent."""
    server = fake(answers(b"N"))
    refused(server, "TLS", "sslmode", sslmode=sslmode, password=SECRET,
            **trust)
    only_asked(server)


@pytest.mark.parametrize("sslmode", [None, "prefer", "allow", "disable"],
                         ids=lambda m: f"P33_N_{m}")
def test_no_tls_is_well(fake, sslmode):
    """N, and TLS was not demanded: the session is in clear."""
    server = fake(answers_list)
    lists(server, sslmode=sslmode)
    wanted = [fakepg.SSL_REQUEST] if sslmode in (None, "prefer") else []
    assert server.connections[0].requests == [*wanted, fakepg.PROTOCOL_3_0]


@pytest.mark.parametrize("sslmode", ["prefer", *ENCRYPTED],
                         ids=lambda m: f"P33_unix_{m}")
def test_unix_socket(fake, sslmode):
    """There is no TLS on a Unix socket, and it is not asked for."""
    server = fake(answers_list, unix=True)
    lists(server, sslmode=sslmode)
    assert server.connections[0].requests == [fakepg.PROTOCOL_3_0]


ODD = {
    "error": fakepg.error("53300", "from\x1b[31m nowhere"),
    "long_error": fakepg.error("53300", "nowhere " * 100000),
    "E": b"E",
    "old_error": b"EFATAL: nowhere\n\0",
    "other": b"X",
    "nul": b"\0",
    "G": b"G",
    "lower_case": b"s",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "ok": fakepg.auth_ok(),
}


@pytest.mark.parametrize("sslmode", ["prefer", *ENCRYPTED])
@table("P33", ODD)
def test_other_answers(fake, trust, name, sslmode):
    """Neither S nor N: the connection is closed, and of an error nothing is
    shown (CVE-2024-10977)."""
    server = fake(answers(ODD[name]))
    line = refused(server, "SSLRequest", sslmode=sslmode, **trust)
    assert "nowhere" not in line and "53300" not in line
    only_asked(server)


@pytest.mark.parametrize("sslmode", ["prefer", *ENCRYPTED],
                         ids=lambda m: f"P33_eof_{m}")
def test_closed(fake, trust, sslmode):
    """The end in place of an answer."""
    server = fake(answers(b"", lambda c: c.hang_up()))
    refused(server, "closed", sslmode=sslmode, **trust)
    only_asked(server)


def test_silent(fake):
    """P33: no answer at all, as long as connect_timeout."""
    refused(fake(answers(b"")), "timed out", sslmode="require",
            connect_timeout=2)


@pytest.mark.parametrize("sslmode", ENCRYPTED,
                         ids=lambda m: f"P33_handshake_{m}")
@pytest.mark.parametrize("data", [
    b"", b"\x15\x03\x03\x00\x02\x02\x28", b"garbage " * 100], ids=[
        "eof", "alert", "garbage"])
def test_handshake(fake, trust, data, sslmode):
    """A handshake that fails, in any way: the startup packet is not sent."""
    def then(c):
        c.read(5)  # the ClientHello has begun
        c.send(data)
    server = fake(answers(b"S", then))
    refused(server, sslmode=sslmode, password=SECRET, **trust)
    check_no_startup(server)


def test_silent_handshake(fake):
    """P33: connect_timeout is of the handshake, too."""
    for sslmode in ("require", "prefer"):
        server = fake(answers(b"S"))
        refused(server, "timed out", sslmode=sslmode, connect_timeout=2,
                password=SECRET)
        # and no reason to say anything in the clear
        assert len(server.connections) == 1


def test_tls(fake, start, secured, trust):
    """P33: S, and all is inside TLS."""
    backend = Backend(login=over_tls(secured, fakepg.Connection.login))
    server = fake(backend)
    walstream = start(server, sslmode="verify-full", **trust)
    one = server.connections[0]
    assert one.startup["user"] == "fake" and b"user" not in one.clear
    assert not walstream.logged("pg.plaintext")


def test_tls_in_the_middle(fake, secured, trust):
    """P33: TLS is cut without its end: a cut answer is none."""
    def then(c):
        c.login()
        c.expect("Q")
        c.send(fakepg.row_description("slot_name"))
        c.hang_up()
    refused(fake(over_tls(secured, then)), "closed", sslmode="require",
            **trust)


# Direct TLS

def directly(context, then=fakepg.Connection.hold):
    def script(c):
        c.start_tls(context)
        then(c)
    return script


DIRECT = {"sslmode": "require", "sslnegotiation": "direct",
          "password": SECRET}


@pytest.mark.parametrize("command", ["list", "start"],
                         ids=["P35_no_alpn_list", "P35_no_alpn_start"])
def test_direct_without_alpn(fake, secured, command):
    """A server that selects no protocol is somebody else's, perhaps."""
    server = fake(directly(secured))
    refused(server, "ALPN", command=[command] if command == "list"
            else start_args(), **DIRECT)
    check_no_startup(server)


@pytest.mark.parametrize("name", [b"http/1.1", b"h2", b"postgres", b"x",
                                  b"postgresql2", b"POSTGRESQL"],
                         ids=lambda n: "P35_" + n.decode().replace("/", ""))
def test_direct_other_protocol(fake, certificate, name):
    """Nor is one that selects another, before anything is said."""
    context = server_context(certificate)
    kept = fakealpn.select(context, name)
    server = fake(directly(context))
    refused(server, "SSL", **DIRECT)
    check_no_startup(server)
    assert kept


def test_direct(fake, start, certificate):
    """P35: with postgresql selected it works, and no SSLRequest is sent."""
    context = server_context(certificate, "postgresql")
    backend = Backend(login=directly(context, fakepg.Connection.login))
    server = fake(backend)
    start(server, **DIRECT)
    assert server.connections[0].clear == b""
    assert server.connections[0].requests == [fakepg.PROTOCOL_3_0]


def test_alpn_after_request(fake, start, certificate):
    """P35: the protocol is offered after SSLRequest, too, and may be
    selected."""
    context = server_context(certificate, "postgresql")
    seen = []

    def login(c):
        seen.append(c.sock.selected_alpn_protocol())
        c.login()
    start(fake(Backend(login=over_tls(context, login))), sslmode="require")
    assert seen == ["postgresql"]


def test_other_protocol_after_request(fake, certificate):
    """P35: another one is refused there as well."""
    context = server_context(certificate)
    kept = fakealpn.select(context, b"http/1.1")
    server = fake(over_tls(context, fakepg.Connection.hold))
    refused(server, "SSL", sslmode="require")
    check_no_startup(server)
    assert kept


@pytest.mark.parametrize("answer", [
    b"N", b"S", fakepg.error("08P01", "unsupported frontend protocol")],
    ids=["P35_N", "P35_S", "P35_error"])
def test_direct_to_an_older_server(fake, answer):
    """One that does not know direct TLS: nothing is sent in clear."""
    def script(c):
        c.read(5)
        c.send(answer)
    server = fake(script)
    refused(server, **DIRECT)
    check_no_startup(server)


# Channel binding

def end_point(certificate, digest="sha256"):
    """The tls-server-end-point of RFC 5929."""
    with open(certificate[0], encoding="ascii") as pem:
        der = ssl.PEM_cert_to_DER_cert(pem.read())
    return hashlib.new(digest, der).digest()


def scram_login(scram):
    def login(c):
        c.begin()
        scram.start(c)
        scram.go_on(c)
        c.send(fakepg.auth_ok())
        c.welcome()
    return login


@pytest.mark.parametrize("binding", ["require", "prefer", None],
                         ids=lambda b: f"P39_plus_{b}")
def test_bound(fake, start, secured, certificate, binding):
    """-PLUS is taken when it is offered, and binds to the certificate."""
    scram = Scram(SECRET, (PLUS, PLAIN), binding=end_point(certificate))
    start(fake(Backend(login=over_tls(secured, scram_login(scram)))),
          sslmode="require", channel_binding=binding, password=SECRET)
    assert scram.mechanism == PLUS and scram.authenticated
    assert scram.gs2 == "p=tls-server-end-point,,"


@pytest.mark.parametrize("binding, gs2, mechanisms", [
    ("prefer", "y,,", (PLAIN,)), (None, "y,,", (PLAIN,)),
    ("disable", "n,,", (PLAIN,)), ("disable", "n,,", (PLUS, PLAIN))],
    ids=["P39_y_prefer", "P39_y_default", "P39_n_disable",
         "P39_n_disable_plus"])
def test_not_bound(fake, start, secured, binding, gs2, mechanisms):
    """Without it the server is told whether we could have."""
    scram = Scram(SECRET, mechanisms)
    start(fake(Backend(login=over_tls(secured, scram_login(scram)))),
          sslmode="require", channel_binding=binding, password=SECRET)
    assert (scram.mechanism, scram.gs2) == (PLAIN, gs2)
    assert scram.authenticated


REQUIRED = {
    "not_offered": scram_login(Scram(SECRET)),
    "cleartext": lambda c: (c.begin(), c.send(fakepg.auth_cleartext()),
                            c.expect("p")),
    "md5": lambda c: (c.begin(), c.send(fakepg.auth_md5()), c.expect("p")),
    "ok": fakepg.Connection.login,
}


@table("P39_require", REQUIRED)
def test_binding_required(fake, secured, name):
    """What is required and not offered is refused, and no proof given."""
    server = fake(over_tls(secured, REQUIRED[name]))
    refused(server, "channel binding", sslmode="require",
            channel_binding="require", password=SECRET)
    assert server.connections[0].messages == []


def test_only_plus_disabled(fake, secured):
    """P39: only -PLUS is offered, and binding is switched off."""
    server = fake(over_tls(secured, scram_login(Scram(SECRET, (PLUS,)))))
    refused(server, "channel_binding=disable", sslmode="require",
            channel_binding="disable", password=SECRET)
    assert server.connections[0].messages == []


@pytest.mark.parametrize("key, digest", [
    (("rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sha256"), "sha256"),
    (("rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sha384"), "sha384"),
    (("rsa:2048", "-sha512"), "sha512"),
    (("rsa:2048", "-sha1"), "sha256"),
], ids=["P39_pss_sha256", "P39_pss_sha384", "P39_rsa_sha512",
        "P39_rsa_sha1"])
def test_digests(fake, start, tmp_path, key, digest):
    """The digest is the signature's; SHA-256 in place of those that are
    broken."""
    certificate = make_certificate(tmp_path, *key)
    scram = Scram(SECRET, (PLUS, PLAIN),
                  binding=end_point(certificate, digest))
    context = server_context(certificate)
    start(fake(Backend(login=over_tls(context, scram_login(scram)))),
          sslmode="require", channel_binding="require", password=SECRET)
    assert scram.mechanism == PLUS and scram.authenticated


def test_no_digest(fake, start, tmp_path):
    """P39: an Ed25519 signature has none: whoever shows it does not get us to
    do without, or to believe that -PLUS was never offered."""
    context = server_context(make_certificate(tmp_path, "ed25519"))
    server = fake(over_tls(context, scram_login(Scram(SECRET, (PLUS,
                                                               PLAIN)))))
    refused(server, "channel binding", sslmode="require",
            channel_binding="require", password=SECRET)
    assert server.connections[0].messages == []
    server = fake(over_tls(context, scram_login(Scram(SECRET, (PLUS,
                                                               PLAIN)))))
    refused(server, "channel_binding=disable goes without", sslmode="require",
            password=SECRET)
    for binding, gs2 in (("prefer", "y,,"), ("disable", "n,,")):
        scram = Scram(SECRET, (PLAIN,))
        start(fake(Backend(login=over_tls(context, scram_login(scram)))),
              sslmode="require", password=SECRET, channel_binding=binding)
        assert (scram.mechanism, scram.gs2) == (PLAIN, gs2)
