"""TLS for clients: grpcio, tail and health, with and without certificates."""

import grpc
import pytest

import client as clients

pytest_plugins = ["tlsclients"]


@pytest.fixture
def session(stubs, pki, server):
    """Opens a session over TLS."""
    del server
    opened = []

    def attach(to, **options):
        channel = pki.channel(to, **options)
        one = clients.Client(stubs, on=channel)
        opened.append((one, channel))
        return one

    yield attach
    for one, channel in opened:
        one.close()
        channel.close()


def test_grpc_tls(db, pki, server, session):
    """A stream over TLS; the log says so."""
    walstream = server(*pki.options())
    assert "with TLS" in walstream.logged("server.listening")[0]
    assert "walstream.test, valid until" in walstream.logged("tls.loaded")[0]
    one = session(walstream).attached()
    db.fill(0, 49)
    one.expect(50)
    assert one.ids() == list(range(50))
    one.ack_all()


def test_grpc_mutual(db, pki, server, session):
    """A certificate is asked for, and has to be one of ours."""
    walstream = server(*pki.options(mutual=True))
    one = session(walstream, pair=pki.client).attached()
    db.fill(1, 1)
    one.expect(1)
    assert session(walstream).ended() == grpc.StatusCode.UNAVAILABLE
    other = pki.stranger.issue("consumer-1")
    assert session(walstream, pair=other).ended() \
        == grpc.StatusCode.UNAVAILABLE
    text = "\n".join(walstream.wait_log("tls.handshake_failed"))
    assert "certificate" in text
    assert one.open()
