"""walstream with TLS for its clients: certificates, channels, raw sockets."""

import socket
import ssl

import grpc
import pytest

import certs
import client as clients
from waiting import SCALE

NAMES = "DNS:localhost,DNS:walstream.test,IP:127.0.0.1,IP:::1"


class Files:
    """An authority, what it signed, and a stranger."""

    def __init__(self, where):
        self.dir = where
        self.ca = certs.Authority(where, "ca")
        self.server = self.ca.issue("walstream.test", NAMES)
        self.client = self.ca.issue("consumer-1")
        self.stranger = certs.Authority(where, "stranger")

    def options(self, pair=None, mutual=False):
        """For start."""
        pair = pair or self.server
        more = ["--tls-client-ca", str(self.ca.cert)] if mutual else []
        return ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key),
                *more]

    def credentials(self, pair=None, ca=None):
        """For grpcio."""
        return grpc.ssl_channel_credentials(
            (ca or self.ca).cert.read_bytes(),
            pair and pair.key.read_bytes(), pair and pair.cert.read_bytes())

    def channel(self, to, pair=None, ca=None):
        return grpc.secure_channel(to.address, self.credentials(pair, ca),
                                   clients.OPTIONS)


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("pki"))


def context(alpn=("h2",), lowest=None, highest=None, pair=None):
    """A client that trusts everybody, for what grpcio never does."""
    one = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    one.check_hostname = False
    one.verify_mode = ssl.CERT_NONE
    one.set_ciphers("ALL:@SECLEVEL=0")
    if alpn:
        one.set_alpn_protocols(list(alpn))
    if lowest:
        one.minimum_version = lowest
    if highest:
        one.maximum_version = highest
    if pair:
        one.load_cert_chain(pair.cert, pair.key)
    return one


def connect(to, timeout=10):
    return socket.create_connection(("127.0.0.1", to.port), timeout * SCALE)


def handshake(to, name="localhost", **options):
    """A connection over TLS; ssl.SSLError when it is refused."""
    return context(**options).wrap_socket(connect(to), server_hostname=name)


def read_to_end(sock):
    """All that comes; b"" as well when the connection is reset."""
    found = b""
    try:
        while (data := sock.recv(65536)):
            found += data
    except (ConnectionError, ssl.SSLError):
        pass
    return found
