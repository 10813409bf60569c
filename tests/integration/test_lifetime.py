"""Connections of clients: keepalive, age, deadlines, and how they end."""

import os
import signal
import socket
import time

import grpc
import pytest

from client import channel
from proc import Process
from rawh2 import RawClient
from waiting import SCALE

pytest_plugins = ["subscriber"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, ACK = b"\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\1\0\0\0\0"
PING = b"\0\0\x08\6\0\0\0\0\0" + b"12345678"
PONG = b"\0\0\x08\6\1\0\0\0\0" + b"draining"  # to the notice
QUICK = ("--keepalive-time", "1", "--keepalive-timeout", "1")
LAST = 2 ** 31 - 1


def connect(walstream, *sent, buffer=None):
    one = socket.socket()
    if buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    one.settimeout(20 * SCALE)
    one.connect(("127.0.0.1", walstream.port))
    one.sendall(b"".join(sent))
    return one


def rest(one):
    """All that still comes, until the server closes."""
    data = b""
    try:
        while part := one.recv(1 << 16):
            data += part
    except ConnectionError:
        pass
    one.close()
    return data


def goaways(data):
    """(last stream, error code, debug text) of each GOAWAY in frames."""
    found = []
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        body = data[9:9 + length]
        if data[3] == 7:
            found.append((int.from_bytes(body[:4], "big"),
                          int.from_bytes(body[4:8], "big"), body[8:]))
        data = data[9 + length:]
    return found


# Keepalive

def test_g24_silent_client(server, raw):
    """Who does not answer a PING is gone, with a stream or without."""
    walstream = server(*QUICK)
    begin = time.monotonic()
    one = raw(walstream)
    stream = one.session()
    one.until(lambda: stream in one.headers)
    other = connect(walstream, PREFACE, SETTINGS, ACK)
    rest(other)
    assert 1.5 < time.monotonic() - begin < 8 * SCALE
    lines = walstream.wait_log("client.lost", 2)
    assert all("no sign of life for 2 s" in line for line in lines)
    walstream.wait_log("session.closed")


def test_g24_stopped_client(db, server, tmp_path):
    """A client whose process is stopped holds nothing back for long, though its
    kernel goes on taking events; one that lives stays."""
    del tmp_path
    walstream = server(*QUICK)
    tail = Process("tail", walstream.address, "--quiet")
    try:
        walstream.wait_log("session.opened")
        time.sleep(4)
        assert not walstream.logged("client.lost")
        os.kill(tail.pid, signal.SIGSTOP)
        for i in range(200):
            db.fill(i, i)
            if walstream.logged("client.lost"):
                break
            time.sleep(0.1)
        walstream.wait_log("client.lost")
    finally:
        os.kill(tail.pid, signal.SIGCONT)
        tail.expected = (1,)
        tail.wait()


def test_idle_client_stays(db, server, client):
    """grpcio answers, however long nothing happens."""
    walstream = server(*QUICK)
    stream = client(walstream)
    time.sleep(5)
    db.fill(1, 1)
    stream.expect(1)
    assert not walstream.logged("client.lost")


def test_held_client_stays(db, server, client):
    """So does one that takes no events: its library lives."""
    walstream = server("--buffer-size", "256KiB", *QUICK)
    stream = client(walstream, held=True)
    db.fill(1, 20000, 1000)
    time.sleep(5)
    assert not walstream.logged("client.lost")
    stream.release()
    stream.expect(20000, 60)


def test_slow_reader_stays(db, server):
    """Who reads its socket slowly gets to the PING late, and is not dead."""
    walstream = server("--keepalive-time", "2", "--keepalive-timeout", "2")
    for i in range(0, 12000, 1000):
        db.fill(i, i + 999, 1000)
    slow = RawClient(walstream.port)
    # Its window is large; what it has not read fills the sockets.
    slow._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.conn.increment_flow_control_window(1 << 30)
    slow.session()
    slow.until(lambda: slow.headers)
    taken, deadline = 0, time.monotonic() + 9
    while time.monotonic() < deadline:
        taken += len(slow._socket.recv(8192))
        time.sleep(0.05)
    assert not walstream.logged("client.lost")
    assert taken < 4 << 20
    # It stops altogether.
    walstream.wait_log("client.lost")
    slow.close()


def test_g25_client_pings(server, raw):
    """A client may ping, but not all the time."""
    walstream = server()
    with connect(walstream, PREFACE, SETTINGS, ACK, PING) as one:
        one.sendall(PING * 3)
        assert goaways(rest(one))[-1] == (0, 11, b"too_many_pings")
    assert "too_many_pings" in walstream.wait_log("client.flood")[0]
    one = raw(walstream)
    one.session()
    one.until(lambda: one.headers)
    for _ in range(3):
        one.conn.ping(b"12345678")
    one.flush()
    time.sleep(0.5)
    assert not one.closed


# Hello

def test_g32_slow_hello(server, client, db):
    """Preface, SETTINGS and their acknowledgement are due in ten seconds
    each."""
    walstream = server()
    stream = client(walstream)
    begin = time.monotonic()
    nothing = connect(walstream)
    half = connect(walstream, PREFACE[:10])
    no_settings = connect(walstream, PREFACE)
    no_ack = connect(walstream, PREFACE, SETTINGS)
    block = connect(walstream, PREFACE, SETTINGS, ACK,
                    b"\0\0\1\1\0\0\0\0\1\x83")
    assert rest(nothing) == b""
    assert 9.5 < time.monotonic() - begin < 15 * SCALE
    assert goaways(rest(half))[-1] == (0, 11, b"preface_timeout")
    assert goaways(rest(no_settings))[-1] == (0, 11, b"preface_timeout")
    assert goaways(rest(no_ack))[-1] == (0, 4, b"settings_timeout")
    assert goaways(rest(block))[-1][2] == b"request_headers_timeout"
    assert time.monotonic() - begin < 18 * SCALE
    assert len(walstream.wait_log("client.refused", 5)) == 5
    db.fill(1, 1)
    stream.expect(1)


@pytest.mark.parametrize("text, answer", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
     b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
     b"HTTP/1.1 400 Bad Request\r\n"),
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b""),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", b""),
    (b"\0\0\0\x08\x04\xd2\x16\x2f", b""),
], ids=["g40_http1", "g41_upgrade", "g40_proxy", "g40_ssh", "g40_postgres"])
def test_other_protocols(server, text, answer):
    """Who speaks HTTP/1 is told; whoever else is hung up on, at once."""
    walstream = server()
    begin = time.monotonic()
    said = rest(connect(walstream, text))
    assert said.startswith(answer) if answer else said == b""
    if answer:
        assert b"HTTP/2 only" in said
    assert time.monotonic() - begin < 5 * SCALE
    walstream.wait_log("client.refused")


def test_g31_lines_about_floods(server):
    """A thousand clients that misbehave do not fill the disk with lines."""
    walstream = server()
    flood = b"\0\0\0\x42\0\0\0\0\0" * 600
    for _ in range(60):
        said = rest(connect(walstream, PREFACE, SETTINGS, ACK, flood))
        assert goaways(said)[-1][1:] == (11, b"too_many_unknown_frames")
    assert 15 <= len(walstream.logged("client.flood")) <= 40
    time.sleep(1.2)
    rest(connect(walstream, PREFACE, SETTINGS, ACK, flood))
    assert "more lines" in walstream.wait_log("client.untold")[-1]


# Ends

def test_max_idle(server, raw):
    """A connection without a stream is closed with notice, one with stays."""
    walstream = server("--max-connection-idle", "1")
    idle, busy = raw(walstream), raw(walstream)
    stream = busy.session()
    busy.until(lambda: stream in busy.headers)
    # Two frames of GOAWAY, and in between a PING that it answers.
    idle.until(lambda: len(idle.goaways) == 2)
    assert idle.goaways == [(LAST, 0, b""), (0, 0, b"max_idle")]
    with pytest.raises(AssertionError, match="closed True"):
        idle.until(lambda: False, 5)
    assert busy.goaways == [] and not busy.closed
    busy.conn.reset_stream(stream)
    busy.flush()
    busy.until(lambda: len(busy.goaways) == 2)


def test_last_words_are_not_lost(server):
    """Who still sends when all is said is not reset, which would cost what he
    has not read; for a second."""
    walstream = server("--max-connection-idle", "1")
    one = connect(walstream, PREFACE, SETTINGS, ACK, PONG)
    data = b""
    while part := one.recv(1 << 16):
        data += part
    closed = time.monotonic()
    assert goaways(data)[-1] == (0, 0, b"max_idle")
    with pytest.raises(ConnectionError):
        while time.monotonic() < closed + 20 * SCALE:
            one.sendall(ACK)
            time.sleep(0.01)
    one.close()
    assert time.monotonic() - closed > 0.5


def test_max_age(db, server, client):
    """Streams of an old connection end with UNAVAILABLE, nothing lost."""
    walstream = server("--max-connection-age", "2",
                       "--max-connection-age-grace", "1")
    begin = time.monotonic()
    stream = client(walstream)
    db.fill(1, 10)
    stream.expect(10)
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    assert stream.details == "max_age"
    assert 2.7 < time.monotonic() - begin < 8 * SCALE
    again = client(walstream)
    again.expect(10)
    assert again.events == stream.events


def test_x1_goaway_in_two_steps(db, server, raw, stubs):
    """At SIGTERM: no more streams, then which were taken; all get trailers."""
    walstream = server(drain="1")
    one = raw(walstream)
    stream = one.session()
    one.until(lambda: stream in one.headers)
    db.fill(1, 1)
    one.until(lambda: one.events(stubs, stream))
    walstream.child.terminate()
    assert one.status(stream) == grpc.StatusCode.UNAVAILABLE.value[0]
    one.until(lambda: len(one.goaways) == 2)
    assert one.goaways == [(LAST, 0, b""), (stream, 0, b"shutting_down")]
    assert walstream.wait(5) == 0


def test_x22_last_stream(server, raw):
    """A client that has used its identifiers up is asked to come anew."""
    walstream = server()
    one = raw(walstream)
    one.conn.get_next_available_stream_id = lambda: LAST
    stream = one.session()
    one.until(lambda: stream in one.headers and len(one.goaways) == 2)
    assert one.goaways[1] == (LAST, 0, b"stream_ids_exhausted")
    assert stream not in one.ended


# Deadlines

def test_g38_deadline(db, server, stubs, raw):
    """A call ends at its deadline, here as there."""
    walstream = server()
    with channel(walstream.address) as on:
        call = stubs.pb2_grpc.PluginServiceStub(on).Session(
            iter(lambda: time.sleep(60), None), timeout=1)
        with pytest.raises(grpc.RpcError) as failed:
            list(call)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    walstream.wait_log("session.closed")
    one = raw(walstream)
    stream = one.request({"grpc-timeout": "1S"})
    other = one.request({"grpc-timeout": "99999999H"})
    begin = time.monotonic()
    one.until(lambda: stream in one.ended)
    assert one.reset[stream] == 8 and time.monotonic() - begin > 0.8
    one.until(lambda: other in one.headers)
    assert other not in one.ended


@pytest.mark.parametrize("timeout, http, status", [
    ("0S", "200", 4), ("123456789S", "400", 13), ("-1S", "400", 13),
    ("1s", "400", 13), ("1", "400", 13), ("", "400", 13)])
def test_g38_bad_deadline(server, raw, timeout, http, status):
    one = raw(server())
    stream = one.request({"grpc-timeout": timeout})
    assert one.status(stream) == status
    assert one.headers[stream][":status"] == http


# Streams

def test_g35_max_streams(db, server, raw, client):
    """One stream too many is refused; the others live."""
    walstream = server("--max-streams-per-connection", "3",
                       "--max-streams", "5")
    one = raw(walstream)
    streams = [one.session() for _ in range(5)]
    one.until(lambda: len(one.reset) == 2 and len(one.headers) == 3)
    assert one.reset == {streams[3]: 7, streams[4]: 7}
    other = raw(walstream)
    more = [other.session() for _ in range(3)]
    assert other.status(more[2]) == 8
    other.until(lambda: len(other.headers) == 3)
    assert not one.closed and not other.closed
    other.conn.reset_stream(more[0])
    other.flush()
    walstream.wait_log("session.closed")
    stream = client(walstream)
    db.fill(1, 3)
    stream.expect(3)


def test_g20_dribble(db, server, subscribe):
    """A window that is opened byte by byte holds nobody up for long."""
    walstream = server("--buffer-size", "256KiB", "--slow-client-timeout", "3")
    raw = RawClient(walstream.port, window=0)
    stream = subscribe(walstream)
    slow = raw.session()
    raw.until(lambda: slow in raw.headers)
    db.fill(1, 5000, 1000)
    deadline = time.monotonic() + 20 * SCALE
    while time.monotonic() < deadline and slow not in raw.ended:
        raw.conn.increment_flow_control_window(1, slow)
        raw.flush()
        time.sleep(0.1)
        raw._read(0.01)
    assert raw.reset[slow] == 11
    assert 1 < len(raw.body[slow]) < 1000
    stream.transactions(1, 30)
    raw.close()


def test_x27_pg_grace(pg, db, server, client):
    """While PostgreSQL is away a stream waits --pg-grace."""
    walstream = server("--pg-grace", "2")
    pg.stop()
    try:
        begin = time.monotonic()
        stream = client(walstream, wait=False)
        assert stream.ended() == grpc.StatusCode.UNAVAILABLE
        assert 1.5 < time.monotonic() - begin < 10 * SCALE
    finally:
        pg.start()


def test_request_after_notice(db, server, raw, stubs):
    """A stream that crosses the first GOAWAY is served, as the second one
    says."""
    walstream = server("--max-connection-age", "1",
                       "--max-connection-age-grace", "2")
    one = raw(walstream)
    stream = one.session()
    one.until(lambda: stream in one.headers)
    # It does not read, and so does not answer the PING behind the notice, for
    # which there are 5 s.
    time.sleep(2)
    late = one.request()
    one.until(lambda: late in one.headers)
    db.fill(1, 1)
    one.until(lambda: one.events(stubs, late))
    one.until(lambda: len(one.goaways) == 2)
    assert one.goaways[1] == (late, 0, b"max_age")
    for session in (stream, late):
        assert one.status(session) == 14
        assert one.trailers[session]["grpc-message"] == "max_age"
