"""The name that the server is told, and TLS without asking."""

import ssl

import pytest

from agree import HOST, refused, works
from fakepg import SSL_REQUEST
from proc import fails
from roles import PASSWORD

pytest_plugins = ["fakefixtures", "tlspg"]


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
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.good.cert, tls.good.key)
    context.sni_callback = lambda _, sent, __: names.append(sent)

    def script(conn):
        assert conn.request() == SSL_REQUEST
        conn.send(b"S")
        conn.start_tls(context)

    refused(tls.words(**{"port": fake(script).port, "sslmode": "require",
                         **words}))
    assert names[0] == name
    # Without a host, libpq 15 sends the directory of the Unix socket.
    assert names[1] == name or words == {"host": None}


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
