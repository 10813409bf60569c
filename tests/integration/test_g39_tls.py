"""Rows G32 and G39: what a listener with TLS refuses, before any HTTP/2."""

import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

import certs
from proc import run
from tlsclients import connect, context, handshake, read_to_end
from waiting import SCALE, until

pytest_plugins = ["tlsclients"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4)) + bytes(5)
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def still_serves(one, pki):
    """Whatever was done to it, others are served at the end."""
    done = run("health", one.address, "--tls-ca", str(pki.ca.cert),
               "--tls-cert", str(pki.client.cert), "--tls-key",
               str(pki.client.key))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def walstream(pki, server):
    one = server(*pki.options(), "--log-level", "debug")
    yield one
    still_serves(one, pki)


@pytest.fixture
def mutual(pki, server):
    one = server(*pki.options(mutual=True))
    yield one
    still_serves(one, pki)


def refused(walstream, why):
    """The log has a reason that matches."""
    until(lambda: re.search(why, "\n".join(
        walstream.logged("tls.handshake_failed"))), 10,
        lambda: f"{why} in:\n{walstream.text()}")


def hello():
    """The bytes of a ClientHello."""
    out = ssl.MemoryBIO()
    one = context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        one.do_handshake()
    return out.read()


@pytest.mark.parametrize("garbage", [
    b"SSH-2.0-OpenSSH_9.2\r\n", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    bytes(200), b"\xff" * 200, b"\x16\x03\x01\xff\xff" + b"x" * 70000,
    b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\x80\x2e\x01\x00\x02" * 20,
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f"],
    ids=["ssh", "proxy", "zeros", "ones", "long", "server", "sslv2", "pg"])
def test_g39_garbage(walstream, garbage):
    """It is closed, with an alert at most."""
    with connect(walstream) as sock:
        with contextlib.suppress(OSError):  # ECONNRESET, EPIPE, ENOTCONN
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
        assert len(read_to_end(sock)) <= 7
    walstream.wait_log("tls.handshake_failed")


def test_g39_plaintext(walstream):
    """HTTP in the clear is told in its own language."""
    with connect(walstream) as sock:
        sock.sendall(PREFACE)
        said = read_to_end(sock)
        assert said[9 + 3] == 7 and b"this port speaks TLS" in said
    with connect(walstream) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"400 Bad Request" in (said := read_to_end(sock))
        assert said.endswith(b"This port speaks TLS.\n")
    refused(walstream, "HTTP in the clear")


def test_g39_versions(walstream):
    """TLS 1.1 is refused; 1.2 and 1.3 are not."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as said:
        handshake(walstream, lowest=ssl.TLSVersion.TLSv1_1,
                  highest=ssl.TLSVersion.TLSv1_1)
    assert "PROTOCOL_VERSION" in str(said.value)
    refused(walstream, "unsupported protocol|version too low")
    for version in (TLS12, TLS13):
        with handshake(walstream, lowest=version, highest=version) as one:
            assert one.selected_alpn_protocol() == "h2"
            assert one.compression() is None


@pytest.mark.parametrize("cipher", [
    "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-CCM8"])
def test_g39_ciphers(walstream, cipher):
    """Those that RFC 9113, appendix A, lists, and weak ones."""
    one = context(highest=TLS12)
    one.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)) as said:
        one.wrap_socket(connect(walstream), server_hostname="localhost")
    assert "HANDSHAKE_FAILURE" in str(said.value)
    refused(walstream, "no shared cipher")


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2c", "h1", "h22"),
                                  ("postgresql", "x" * 255)],
                         ids=["none", "http1", "similar", "long"])
def test_g39_alpn(walstream, alpn, version):
    """Without h2: no_application_protocol."""
    with pytest.raises(ssl.SSLError) as said:
        handshake(walstream, alpn=alpn, lowest=version, highest=version)
    assert "no application protocol" in str(said.value)
    refused(walstream, "does not offer HTTP/2")


def test_g39_alpn_list(walstream):
    """h2 may be anywhere in the list."""
    with handshake(walstream, alpn=("http/1.1", "x" * 255, "h2")) as one:
        assert one.selected_alpn_protocol() == "h2"


def test_g39_name(walstream, pki):
    """Another name is served, by a certificate its client will not believe;
    one that is none is refused."""
    with handshake(walstream, name="other.test") as one:
        assert one.selected_alpn_protocol() == "h2"
    whole = hello()
    bad = whole.replace(b"localhost", b"local\0ost")
    assert bad != whole
    with connect(walstream) as sock:
        sock.sendall(bad)
        said = read_to_end(sock)
    assert said[:1] == b"\x15", said
    del pki


CLIENTS = {
    "none": (lambda pki: None, "it has no certificate"),
    "expired": (lambda pki: pki.ca.issue("late", hours=(-3, -1)),
                "certificate has expired"),
    "early": (lambda pki: pki.ca.issue("early", hours=(24, 48)),
              "not yet valid"),
    "stranger": (lambda pki: pki.stranger.issue("consumer-1"),
                 "unable to get local issuer certificate"),
    "self-signed": (lambda pki: pki.ca.self_signed("me"),
                    "self-signed certificate"),
}


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("which", CLIENTS)
def test_g39_client_certificate(mutual, pki, which, version):
    """What is not signed by --tls-client-ca, or is not valid now."""
    make, why = CLIENTS[which]
    with pytest.raises((ssl.SSLError, ConnectionError)), \
            handshake(mutual, pair=make(pki), lowest=version,
                      highest=version) as one:
        one.sendall(PREFACE)
        if not one.recv(1):
            raise ConnectionError("closed")
    refused(mutual, why)


def test_g39_revoked(pki, server, tmp_path):
    """--tls-client-crl: the one that is in it, and no other."""
    ca = certs.Authority(tmp_path, "ca")
    good, bad = ca.issue("good"), ca.issue("bad")
    ca.revoke(bad)
    one = server(*pki.options(), "--tls-client-ca", str(ca.cert),
                 "--tls-client-crl", str(ca.crl()))
    with pytest.raises(ssl.SSLError), \
            handshake(one, pair=bad) as refused_one:
        refused_one.recv(1)
    refused(one, "certificate revoked")
    with handshake(one, pair=good) as accepted:
        accepted.sendall(PREFACE)
        assert accepted.recv(9)[3] == 4


def test_g39_optional(pki, server):
    """--tls-client-cert optional: none is fine, a wrong one is not."""
    one = server(*pki.options(mutual=True), "--tls-client-cert", "optional")
    with handshake(one) as anonymous:
        anonymous.sendall(PREFACE)
        assert anonymous.recv(9)[3] == 4
    with pytest.raises(ssl.SSLError), \
            handshake(one, pair=pki.stranger.issue("x")) as other:
        other.recv(1)


def test_g39_no_session(walstream):
    """No ticket and no session: nothing could be resumed, and there is no
    0-RTT."""
    for version in (TLS12, TLS13):
        one = context(lowest=version, highest=version)
        with one.wrap_socket(connect(walstream),
                             server_hostname="localhost") as first:
            first.sendall(PREFACE)
            assert first.recv(9)[3] == 4
            session = first.session
            assert not session.has_ticket
        with one.wrap_socket(connect(walstream), server_hostname="localhost",
                             session=session) as second:
            assert not second.session_reused


def s_client(to, *options):
    return subprocess.Popen(
        ["openssl", "s_client", "-connect", to.address, "-alpn", "h2",
         *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


def talk(child, letter, times):
    """One letter a line, which s_client takes as a command, until it ends."""
    for _ in range(times):
        time.sleep(0.02)
        if child.poll() is not None:
            break
        try:
            child.stdin.write(letter + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            break


def test_g39_key_update_flood(walstream):
    """A few are fine, hundreds are not."""
    child = s_client(walstream, "-tls1_3")
    try:
        talk(child, b"K", 10)
        assert child.poll() is None, "ten key updates were too many"
        talk(child, b"K", 400)
        child.wait(20 * SCALE)
    finally:
        child.kill()
        child.communicate()
    assert "nothing but key updates" in walstream.wait_log("client.lost")[0]


def test_g39_renegotiation(walstream):
    """TLS 1.2: no_renegotiation."""
    child = s_client(walstream, "-tls1_2")
    talk(child, b"R", 3)
    try:
        said = child.communicate(timeout=20 * SCALE)[0].decode()
    finally:
        child.kill()
    assert "no renegotiation" in said, said


def test_g39_cut_hello(walstream):
    """A ClientHello that ends too early, wherever."""
    whole = hello()
    for at in [*range(0, 12), *range(12, len(whole), 37)]:
        with connect(walstream) as sock:
            sock.sendall(whole[:at])
    until(lambda: walstream.descriptors() < 40, 10, "they are all closed")


def test_g39_early_close(walstream):
    """Gone before the handshake is done, with the server's half sent."""
    for abruptly in (False, True):
        for _ in range(20):
            sock = connect(walstream)
            if abruptly:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                b"\1\0\0\0\0\0\0\0")
            sock.sendall(hello())
            sock.recv(1)
            sock.close()
    walstream.wait_log("tls.handshake_failed")


def test_g39_truncation(walstream):
    """A stream that ends without close_notify, in the middle of a record."""
    raw = connect(walstream)
    incoming, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = context().wrap_bio(incoming, out, server_hostname="localhost")
    while True:
        try:
            one.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(out.read())
            incoming.write(raw.recv(65536))
    one.write(PREFACE)
    raw.sendall(out.read()[:-3])
    raw.close()
    until(lambda: walstream.logged("client.closed"), 10, "its end")


def test_g32_drip(walstream):
    """A ClientHello, a byte a second, and silence: both end after 10 s, all
    the while others are served."""
    whole = hello()
    silent, dripping = connect(walstream, 30), connect(walstream, 30)
    began = time.monotonic()
    stop = threading.Event()

    def drip():
        for byte in whole:
            with contextlib.suppress(OSError):
                dripping.send(bytes((byte,)))
            if stop.wait(1):
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with handshake(walstream) as other:
            other.sendall(PREFACE)
            assert other.recv(9)[3] == 4
        for sock in (silent, dripping):
            assert read_to_end(sock) == b""
            assert 9 < time.monotonic() - began < 13 * SCALE
    finally:
        stop.set()
        thread.join()
        silent.close()
        dripping.close()
    refused(walstream, "took longer than 10 s")
