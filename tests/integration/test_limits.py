"""Rows G33 and G34: more connections than are allowed, or possible."""

import contextlib
import resource
import time

import pytest

from proc import Server, needs, run
from tlsclients import connect, handshake, read_to_end
from waiting import SCALE, until

pytest_plugins = ["tlsclients"]

GOAWAY, CALM = 7, 0xb


@pytest.fixture
def many():
    """Opens connections, which end with the test."""
    with contextlib.ExitStack() as stack:
        def open_them(to, count):
            return [stack.enter_context(connect(to)) for _ in range(count)]
        yield open_them


def told(sock):
    """The words of the GOAWAY that was all that came."""
    said = read_to_end(sock)
    assert said[3] == 4 and said[9 + 3] == GOAWAY, said
    assert int.from_bytes(said[22:26], "big") == CALM, said
    return said[26:].decode()


def cpu(process):
    """Seconds of CPU so far."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_g33_most(db, server, client, many):
    """--max-connections: one more is told, and closed; one less is served."""
    walstream = server("--max-connections", "20")
    attached = client(walstream)
    many(walstream, 19)
    for sock in many(walstream, 30):
        assert "--max-connections)" in told(sock)
    assert len(walstream.wait_log("server.refused", 5)) == 5, "one in 10 s"
    db.fill(1, 10)
    attached.expect(10)


def test_g33_room_again(server, many):
    """Who leaves makes room."""
    walstream = server("--max-connections", "5")
    for sock in many(walstream, 5):
        sock.close()
    until(lambda: run("health", walstream.address).returncode == 0, 10)


def test_g33_address(db, server, client, many):
    """--max-connections-per-address."""
    walstream = server("--max-connections-per-address", "5")
    attached = client(walstream)
    many(walstream, 4)
    for sock in many(walstream, 3):
        assert "--max-connections-per-address)" in told(sock)
    db.fill(1, 10)
    attached.expect(10)


def test_g33_address_tls(server, pki, many):
    """Without a word: there is no TLS yet to say it in."""
    walstream = server("--max-connections-per-address", "3", *pki.options())
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(handshake(walstream))
        for sock in many(walstream, 3):
            assert read_to_end(sock) == b""


def test_g33_thousands(db, server, client, many):
    """3,000 connections that say nothing: little CPU, and a stream flows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        walstream = server("--max-connections-per-address", "0")
        attached = client(walstream)
        many(walstream, 3000)
        until(lambda: walstream.descriptors() > 3000, 30)
        began, at = cpu(walstream), time.monotonic()
        for first in range(0, 1000, 10):
            db.fill(first, first + 9)
        attached.expect(1000)
        spent, took = cpu(walstream) - began, time.monotonic() - at
        print(f"3000 idle connections, 100 transactions: {spent:.2f} s of CPU"
              f" in {took:.2f} s, {walstream.status('VmRSS') >> 20} MiB")
        began = cpu(walstream)
        time.sleep(2)
        assert cpu(walstream) - began < 0.5 * SCALE, "it spins"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def limit(process, most):
    hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, hard))


def test_g34_few_from_the_start(db, many, client):
    """With few descriptors from the start, some are kept for PostgreSQL; the
    soft limit is raised to the hard one."""
    with contextlib.ExitStack() as stack:
        walstream = Server(
            "-c", db.conninfo(), "start", "pub", db.slot, "--host",
            "127.0.0.1", "--port", "0", "--drain", "1", "--temporary",
            "false",
            wrapper=["prlimit", "--nofile=60:100", "--"])
        stack.callback(walstream.finish)
        walstream.wait_listening()
        with open(f"/proc/{walstream.pid}/limits", encoding="ascii") as file:
            (words,) = [line.split() for line in file if "open files" in line]
        assert words[3] == words[4] == "100"
        assert "at most 50" in walstream.logged("server.few_descriptors")[0]
        attached = client(walstream)
        many(walstream, 49)
        for sock in many(walstream, 20):
            assert "--max-connections)" in told(sock)
        db.terminate_walsender()
        db.fill(1, 10)
        attached.expect(10, timeout=40)
        attached.close()


def test_g34_listeners_and_pages(db):
    """So are some for listeners, and for who asks for pages."""
    walstream = Server(
        "-c", db.conninfo(), "start", "pub", db.slot, "--listen",
        "127.0.0.1:0", "--listen", "127.0.0.1:0", "--metrics-listen",
        "127.0.0.1:0", wrapper=["prlimit", "--nofile=400:400", "--"])
    try:
        walstream.wait_listening()
        assert f"at most {400 - 64 - 2 - 65} " in walstream.logged(
            "server.few_descriptors")[0]
    finally:
        walstream.finish()


def test_g34_descriptors(db, server, client, many):
    """None left: who comes is told, nothing spins, streams go on, and
    PostgreSQL is connected to again afterwards."""
    needs("its limits")
    walstream = server()
    attached = client(walstream)
    limit(walstream, walstream.descriptors() + 5)
    socks = many(walstream, 5)
    until(lambda: walstream.descriptors() >= 5 + 5, 10)
    for sock in many(walstream, 40):
        assert "no descriptor" in told(sock)
    assert len(walstream.wait_log("server.refused", 5)) == 5
    began = cpu(walstream)
    db.fill(1, 100)
    attached.expect(100)
    time.sleep(1)
    assert cpu(walstream) - began < 0.5 * SCALE, "it spins"
    for sock in socks:
        sock.close()
    until(lambda: run("health", walstream.address).returncode == 0, 10)
    db.terminate_walsender()
    db.fill(101, 110)
    attached.expect(110, timeout=40)


def test_g34_no_spare(db, server, client, many):
    """Not even the spare one can be had: it waits, and does not spin."""
    needs("its limits")
    walstream = server()
    attached = client(walstream)
    limit(walstream, 4)
    socks = many(walstream, 10)
    began = cpu(walstream)
    time.sleep(2)
    assert cpu(walstream) - began < 0.5 * SCALE, "it spins"
    db.fill(1, 10)
    attached.expect(10)
    limit(walstream, 1000)
    until(lambda: run("health", walstream.address).returncode == 0, 10)
    del socks
