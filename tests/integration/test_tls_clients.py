"""TLS for clients: grpcio, tail and health, with and without certificates."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import types

import grpc
import pytest

import client as clients
from proc import binary, environment, fails, is_program, run
from tlsclients import NAMES, handshake
from waiting import SCALE, until

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


def ca_of(pki):
    return ["--tls-ca", str(pki.ca.cert)]


def ours(pair):
    return ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]


def test_health_and_tail(db, pki, server):
    """Both commands over TLS, with a name, and against what is not trusted."""
    walstream = server(*pki.options())
    done = run("health", walstream.address, *ca_of(pki))
    assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr
    port = walstream.port
    if is_program():  # a wrapper gives it no /etc/hosts
        assert run("health", f"localhost:{port}",
                   *ca_of(pki)).returncode == 0
    assert run("health", walstream.address, *ca_of(pki), "--tls-name",
               "walstream.test").returncode == 0
    tail = subprocess.Popen(
        [binary(), "tail", walstream.address, *ca_of(pki), "--count", "3",
         "--ack"], env=environment(), stdout=subprocess.PIPE, text=True)
    until(lambda: db.walsender(), 15, "the stream")
    db.fill(1, 3)
    said, _ = tail.communicate(timeout=20 * SCALE)
    assert tail.returncode == 0
    assert [json.loads(line)["payload"]["id"] for line in said.splitlines()] \
        == [1, 2, 3], said


@pytest.mark.parametrize("options, why", [
    (["--tls"], "certificate verify failed"),
    (["--tls-name", "x"], "certificate verify failed"),
    (["--tls-ca", "STRANGER"], "certificate verify failed"),
    (["--tls-ca", "CA", "--tls-name", "other.test"],
     "does not match host name"),
    ([], "UNAVAILABLE"),
    (["--tls-ca", "/none"], "/none"),
    (["--tls-ca", "CA", "--tls-cert", "x"], "need each other"),
    (["--tls-ca", "CA", "--tls-cert", "/none", "--tls-key", "/none"],
     "--tls-cert \"/none\"")])
def test_health_refuses(pki, server, options, why):
    """The chain and the name are checked, always."""
    walstream = server(*pki.options())
    files = {"CA": str(pki.ca.cert), "STRANGER": str(pki.stranger.cert)}
    fails("health", walstream.address, *[files.get(o, o) for o in options],
          naming=[why])


def test_health_mutual(pki, server):
    """With a certificate, and without."""
    walstream = server(*pki.options(mutual=True))
    assert run("health", walstream.address, *ca_of(pki),
               *ours(pki.client)).returncode == 0
    fails("health", walstream.address, *ca_of(pki), code=1,
          naming=["certificate required"])


def test_health_clear(pki, server):
    """TLS against a port without, and a Unix socket, which never has it."""
    walstream = server()
    fails("health", walstream.address, *ca_of(pki), code=1)
    fails("health", "unix:/x", *ca_of(pki), code=2, naming=["no TLS"])


# X3: SIGHUP


def shown(walstream):
    with handshake(walstream) as one:
        return one.getpeercert(binary_form=True)


def der(pair):
    return ssl.PEM_cert_to_DER_cert(pair.cert.read_text())


def put(pair, cert, key):
    cert.write_bytes(pair.cert.read_bytes())
    key.write_bytes(pair.key.read_bytes())
    key.chmod(0o600)


@pytest.fixture
def reloads(pki, server, tmp_path):
    """A server whose files can be exchanged; reload() waits for the log."""
    cert, key, ca = (tmp_path / n for n in ("cert", "key", "ca"))
    put(pki.server, cert, key)
    ca.write_bytes(pki.ca.cert.read_bytes())
    walstream = server("--tls-cert", str(cert), "--tls-key", str(key),
                       "--tls-client-ca", str(ca), "--tls-client-cert",
                       "optional")

    def reload():
        count = len(walstream.logged("server.reloaded"))
        walstream.child.send_signal(signal.SIGHUP)
        walstream.wait_log("server.reloaded", count + 1)

    return types.SimpleNamespace(walstream=walstream, cert=cert, key=key,
                                 ca=ca, reload=reload)


def test_x3_reload(db, pki, reloads, session):
    """New connections get the new certificate; streams go on under load."""
    walstream = reloads.walstream
    one = session(walstream).attached()
    fresh = pki.ca.issue("walstream.test", NAMES)
    assert shown(walstream) == der(pki.server)
    for number, pair in enumerate([fresh, pki.server] * 10):
        db.fill(number * 100, number * 100 + 99)
        put(pair, reloads.cert, reloads.key)
        reloads.reload()
        assert shown(walstream) == der(pair)
    one.expect(2000)
    assert one.ids() == list(range(2000))
    late = session(walstream).attached()
    db.fill(2000, 2009)
    one.expect(2010)
    late.wait_for(10)


def test_x3_bad_file(pki, reloads, session):
    """What cannot be used changes nothing, and the log says why."""
    walstream = reloads.walstream
    one = session(walstream).attached()
    for spoil in (lambda: reloads.cert.write_text("nonsense"),
                  lambda: put(pki.client, reloads.cert, reloads.key) or
                  reloads.key.write_bytes(pki.server.key.read_bytes()),
                  lambda: reloads.key.chmod(0o644),
                  reloads.key.unlink):
        put(pki.server, reloads.cert, reloads.key)
        count = len(walstream.logged("tls.reload_failed"))
        spoil()
        reloads.reload()
        said = walstream.wait_log("tls.reload_failed", count + 1)[-1]
        assert str(reloads.cert) in said or str(reloads.key) in said
        assert shown(walstream) == der(pki.server)
    assert one.open()


def test_x3_client_authority(pki, reloads):
    """A new authority of clients counts from then on."""
    other = pki.stranger.issue("consumer-1")
    with pytest.raises(ssl.SSLError), \
            handshake(reloads.walstream, pair=other) as refused:
        refused.recv(1)
    reloads.ca.write_bytes(pki.ca.cert.read_bytes() +
                           pki.stranger.cert.read_bytes())
    reloads.reload()
    for pair in (other, pki.client):
        done = run("health", reloads.walstream.address, *ca_of(pki),
                   *ours(pair))
        assert done.returncode == 0, done.stderr


def test_x3_signals_in_a_flood(pki, reloads, session):
    """Hundreds of them at once are one or a few."""
    one = session(reloads.walstream).attached()
    for _ in range(500):
        reloads.walstream.child.send_signal(signal.SIGHUP)
    reloads.reload()
    assert one.open()
    del pki


def test_x26_handshake_storm(pki, server, stubs):
    """Handshakes without end: who is connected is still answered at once."""
    walstream = server(*pki.options())
    with pki.channel(walstream) as on:
        health = stubs.health_grpc.HealthStub(on)
        ask = stubs.health.HealthCheckRequest()

        def answers(seconds):
            took, end = [], time.monotonic() + seconds
            while time.monotonic() < end:
                began = time.monotonic()
                health.Check(ask, timeout=20)
                took.append(time.monotonic() - began)
            took.sort()
            return took

        answers(1)
        calm = answers(2)
        storm = [subprocess.Popen(
            [sys.executable, "-c", STORM, str(walstream.port)],
            env=dict(os.environ, PYTHONPATH=os.path.dirname(__file__)))
            for _ in range(2)]
        try:
            stormy = answers(5)
        finally:
            for one in storm:
                one.kill()
                one.wait()
    for name, took in (("calm", calm), ("storm", stormy)):
        print(f"{name}: {len(took)} answers, median"
              f" {took[len(took) // 2] * 1000:.1f} ms, 99 %"
              f" {took[int(len(took) * 0.99)] * 1000:.1f} ms, worst"
              f" {took[-1] * 1000:.1f} ms")
    assert stormy[int(len(stormy) * 0.99)] < 0.25 * SCALE


STORM = """
import socket, ssl, sys
from tlsclients import context
one = context()
while True:
    try:
        one.wrap_socket(socket.create_connection(
            ("127.0.0.1", int(sys.argv[1]))), server_hostname="x").close()
    except OSError:
        pass
"""
