"""What is negotiated, and what the server is told: SSLRequest, SNI, ALPN,
TLS without asking."""

import pytest

from agree import HOST, refused, works
from faketls import FakeServer
from proc import fails
from roles import PASSWORD

pytest_plugins = ["tlspg"]

STARTUP = b"\x00\x03\x00\x00user\x00"  # version 3.0, and what comes next


@pytest.fixture
def fake(tls):
    """Starts one."""
    started = []

    def start(**options):
        started.append(FakeServer(tls.good, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def attempt(tls, server, **words):
    """Connects with both clients, in vain; walstream's complaint."""
    connection = tls.words(**{"port": server.port, "sslmode": "require",
                              **words})
    return refused(connection)


@pytest.mark.parametrize("answer, words", [
    (b"N", ["the server does not support TLS"]),
    (b"X", ["answered SSLRequest with 0x58"]),
    (b"ESFATAL\0Mdo as I say\0\0", ["answered SSLRequest with an error"]),
    (b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", ["more than one byte"]),
    (b"", ["closed the connection"]),
])
def test_answers(tls, fake, answer, words):
    """P33: one byte is read, and nothing of what is not encrypted is
    believed, or shown."""
    server = fake(answer=answer)
    line = attempt(tls, server)
    for word in words:
        assert word in line
    assert "as I say" not in line
    # Nobody went on in the clear.
    assert not any(STARTUP in came for came in server.came)


@pytest.mark.parametrize("words, name", [
    ({}, HOST),
    ({"sslsni": "1"}, HOST),
    ({"sslsni": "0"}, None),
    ({"host": "127.0.0.1"}, None),
    ({"host": "::1"}, None),
    ({"host": None}, None),
    ({"host": "1st.test"}, "1st.test"),
])
def test_server_name(tls, fake, words, name):
    """The host is sent, when it is a name and sslsni does not say no."""
    server = fake()
    attempt(tls, server, **words)
    # Without a host, libpq 15 sends the directory of the Unix socket.
    assert server.names[0] == name
    assert server.names[1] == name or words == {"host": None}


def test_alpn(tls, fake):
    """Asked by SSLRequest, a server need not know of ALPN; otherwise it has
    to, or is told nothing."""
    for protocols in ((), ("http/1.1",), ("postgresql",)):
        server = fake(alpn=protocols)
        attempt(tls, server)
        assert all(STARTUP in came for came in server.came), server.came
        server = fake(direct=True, alpn=protocols)
        connection = tls.words(port=server.port, sslmode="require",
                               sslnegotiation="direct")
        if protocols == ("postgresql",):
            refused(connection, "the server closed the connection",
                    libpq=None)
            assert STARTUP in server.came[0]
        else:
            refused(connection, "direct SSL connection was established"
                    " without ALPN protocol negotiation", libpq=None)
            assert server.came == [b""]


def test_direct_needs_require(tls):
    """sslnegotiation=direct is for sslmode=require and above."""
    for mode in ("disable", "allow", "prefer"):
        fails("-c", tls.words(sslmode=mode, sslnegotiation="direct"), "list",
              naming=["sslnegotiation"])


def test_direct(tls, newer):
    """P35: against a server that knows it, and one that does not."""
    full = {"sslmode": "verify-full", "sslrootcert": newer.ca.cert}
    for version in ("TLSv1.2", "TLSv1.3"):
        works(newer.words(sslnegotiation="direct", sslmode="require",
                          ssl_max_protocol_version=version), libpq=None)
    works(newer.words(sslnegotiation="direct", **full), libpq=None)
    works(newer.words("scram", sslnegotiation="direct", password=PASSWORD,
                      channel_binding="require", **full), libpq=None)
    refused(newer.words(host="other.test", sslnegotiation="direct", **full),
            "does not match host name", libpq=None)
    works(newer.words(sslnegotiation="postgres", **full), libpq=None)
    works(newer.words(**full))
    newer.configure(ssl="off")
    refused(newer.words(sslnegotiation="direct", sslmode="require"),
            "TLS", libpq=None)
    newer.configure(ssl="on")
    if newer is not tls:
        refused(tls.words(sslnegotiation="direct", sslmode="require"),
                "TLS", libpq=None)
