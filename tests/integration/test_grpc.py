"""The gRPC side, with grpcio and with raw HTTP/2."""

import signal
import socket

import grpc
import pytest

from client import channel
from rawframes import message
from waiting import until

SERVICE = "/plugin.PluginService/"


def unknown_field(size):
    """A message of size bytes, made of one field (111) nobody knows."""
    length = size - 4
    assert 128 <= length < 1 << 14  # a length of two bytes
    return (b"\xfa\x06" + bytes([length & 127 | 128, length >> 7])
            + bytes(length))


def acks(stubs, lsn):
    return stubs.pb2.ClientMessage(
        ack=stubs.pb2.ClientAck(pg_lsn=lsn)).SerializeToString()


def still_serves(db, client, walstream, row=9000):
    """The server is as good as before, for a new client."""
    stream = client(walstream)
    db.fill(row, row)
    until(lambda: row in stream.ids(), 15, stream.state)
    stream.close()


@pytest.mark.parametrize("path", [
    SERVICE + "Nothing", SERVICE + "SessionX", SERVICE + "session",
    SERVICE, "/PluginService/Session", "/other.Service/Session",
    "/plugin.PluginService//Session", SERVICE + "Session?x=1"])
def test_unknown_method(server, client, path):
    """Any other method is UNIMPLEMENTED."""
    stream = client(server(), wait=False, method=path, raw=True)
    assert stream.ended() == grpc.StatusCode.UNIMPLEMENTED


def test_response_headers(db, server, raw, stubs):
    """Headers: 200 and application/grpc; then whole messages."""
    one = raw(server())
    stream = one.session()
    one.until(lambda: stream in one.headers)
    assert one.headers[stream][":status"] == "200"
    assert one.headers[stream]["content-type"].startswith("application/grpc")
    db.fill(1, 3)
    one.until(lambda: len(one.events(stubs, stream)) == 3)
    assert one.trailers == {}


@pytest.mark.parametrize("kind", [
    "application/json", "text/html", "application/grpcx", "", None])
def test_content_type(db, server, client, raw, kind):
    """What is not gRPC is answered with HTTP 415."""
    walstream = server()
    one = raw(walstream)
    stream = one.request({"content-type": kind})
    one.until(lambda: stream in one.headers)
    assert one.headers[stream][":status"] == "415"
    still_serves(db, client, walstream)


@pytest.mark.parametrize("kind", [
    "application/grpc", "application/grpc+proto", "application/grpc;a=b"])
def test_content_type_of_grpc(server, raw, kind):
    """The forms of application/grpc are accepted."""
    one = raw(server())
    stream = one.request({"content-type": kind})
    one.until(lambda: stream in one.headers)
    assert one.headers[stream][":status"] == "200"
    assert "grpc-status" not in one.headers[stream]


def test_oversize_message(db, server, client):
    """A client message of more than 4 KiB is RESOURCE_EXHAUSTED."""
    walstream = server()
    stream, other = client(walstream, raw=True), client(walstream)
    stream.send(unknown_field(4097))
    assert stream.ended() == grpc.StatusCode.RESOURCE_EXHAUSTED
    db.fill(1, 1)
    other.expect(1)


def test_claimed_size(server, raw):
    """A claim of 4 GiB is refused at its fifth byte."""
    one = raw(server())
    stream = one.session()
    one.data(stream, b"\0\xff\xff\xff\xff")
    assert one.status(stream) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def test_compressed_message(db, server, client):
    """A compressed message is UNIMPLEMENTED."""
    walstream = server()
    stream = client(walstream, wait=False, raw=True,
                    compression=grpc.Compression.Gzip)
    stream.send(unknown_field(3000))
    assert stream.ended() == grpc.StatusCode.UNIMPLEMENTED
    still_serves(db, client, walstream)


def test_unknown_fields(db, server, client, stubs):
    """Fields and messages of later versions are ignored, up to 4 KiB."""
    stream = client(server(), raw=True)
    db.fill(1, 3)
    lsn = stream.expect(3)[2].pg_lsn
    stream.send(unknown_field(4096))
    stream.send(b"")
    stream.send(unknown_field(200) + acks(stubs, lsn) + unknown_field(300))
    db.wait_confirmed(lsn)
    db.fill(4, 4)
    stream.expect(4)


@pytest.mark.parametrize("garbage", [
    b"\x0a", b"\x0a\x05\x08", b"\xff" * 20, b"\x0a\x02\x08\xff",
    b"\x0a\x0c\x08" + b"\xff" * 11, b"\x07"])
def test_garbage(db, server, client, garbage):
    """What is not a ClientMessage is INTERNAL; the others live."""
    walstream = server()
    stream, other = client(walstream, raw=True), client(walstream)
    stream.send(garbage)
    assert stream.ended() == grpc.StatusCode.INTERNAL
    db.fill(1, 1)
    other.expect(1)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_split_message(db, server, raw, stubs, size):
    """DATA frame boundaries mean nothing."""
    one = raw(server())
    stream = one.session()
    one.until(lambda: stream in one.headers)
    db.fill(1, 3)
    db.fill(4, 6)
    one.until(lambda: len(one.events(stubs, stream)) == 6)
    lsns = [e.insert.pg_lsn for e in one.events(stubs, stream)]
    one.data(stream, b"".join(message(acks(stubs, lsn))
                              for lsn in (lsns[0], 0, lsns[2], lsns[5])),
             size)
    db.wait_confirmed(lsns[5])


@pytest.mark.parametrize("cut", [1, 4, 5, 7])
def test_end_within_message(db, server, client, raw, stubs, cut):
    """A client that ends inside a message gets INTERNAL."""
    walstream = server()
    one = raw(walstream)
    stream = one.session()
    one.data(stream, message(acks(stubs, 1000))[:cut], end_stream=True)
    assert one.status(stream) == grpc.StatusCode.INTERNAL.value[0]
    still_serves(db, client, walstream)


def test_many_streams(db, server, client):
    """40 streams on one connection each get everything."""
    walstream = server()
    with channel(walstream.address) as shared:
        streams = [client(walstream, on=shared) for _ in range(40)]
        db.fill(1, 50)
        for stream in streams:
            stream.expect(50, 30)
            assert stream.events == streams[0].events
        for stream in streams:
            stream.ack_all()
        db.wait_confirmed(streams[0].events[-1].pg_lsn)
        for stream in streams:
            stream.close()


def test_many_connections(db, server, client):
    """30 connections each get everything."""
    walstream = server()
    streams = [client(walstream, wait=False) for _ in range(30)]
    for stream in streams:
        stream.attached()
    db.fill(1, 50)
    for stream in streams:
        stream.expect(50, 30)
        assert stream.events == streams[0].events


def test_many_visits(db, server, client, raw):
    """Clients that come and go, politely or not, leave nothing behind."""
    walstream = server()
    still_serves(db, client, walstream, 1)
    # The connection to PostgreSQL may be between two at this moment.
    descriptors = walstream.descriptors() + 1
    for i in range(60):
        one = raw(walstream)
        stream = one.session()
        if i % 2:
            one.until(lambda s=stream, o=one: s in o.headers)
        if i % 3 == 0:
            one.conn.reset_stream(stream)
            one.flush()
        one.close(abruptly=i % 5 < 2)
    still_serves(db, client, walstream, 2)
    until(lambda: walstream.descriptors() <= descriptors, 10,
          "descriptors to be closed")


@pytest.mark.parametrize("text", [
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0" * 100,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100])
def test_other_protocol(db, server, client, text):
    """Anything but HTTP/2 is hung up on."""
    walstream = server()
    with socket.create_connection(("127.0.0.1", walstream.port), 10) as s:
        s.sendall(text)
        s.settimeout(5)
        try:
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
    still_serves(db, client, walstream)


def test_closed_window(db, server, client, raw):
    """A window that never opens does no harm to another client."""
    walstream = server()
    shut = raw(walstream, window=0)
    stream = shut.session()
    shut.until(lambda: stream in shut.headers)
    other = client(walstream)
    for i in range(1, 1001, 100):
        db.fill(i, i + 99)
    other.expect(1000)
    assert shut.body == {}
    shut.conn.increment_flow_control_window(100, stream)
    shut.flush()
    shut.until(lambda: len(shut.body.get(stream, b"")) == 100)


def test_ping(server, raw):
    """A PING is answered while a stream is open."""
    one = raw(server())
    one.session()
    answers = []
    handle = one._handle

    def watch(event):
        if type(event).__name__ == "PingAckReceived":
            answers.append(event.ping_data)
        handle(event)
    one._handle = watch
    one.conn.ping(b"12345678")
    one.flush()
    one.until(lambda: answers)
    assert answers == [b"12345678"]


def test_status_at_the_end(db, server, raw, stubs):
    """At SIGTERM the trailers themselves say UNAVAILABLE."""
    walstream = server()
    one = raw(walstream)
    stream = one.session()
    one.until(lambda: stream in one.headers)
    db.fill(1, 1)
    one.until(lambda: one.events(stubs, stream))
    walstream.child.send_signal(signal.SIGTERM)
    assert one.status(stream) == grpc.StatusCode.UNAVAILABLE.value[0]
    assert "grpc-status" in one.trailers[stream]
    assert walstream.wait(5) == 0


def test_half_closed(db, server, client, raw, stubs):
    """A client that half-closes keeps receiving and holds nothing back."""
    walstream = server()
    one, other = raw(walstream), client(walstream)
    stream = one.request(end_stream=True)
    one.until(lambda: stream in one.headers)
    db.fill(1, 3)
    one.until(lambda: len(one.events(stubs, stream)) == 3)
    other.expect(3)
    db.wait_confirmed(other.ack_all())
    db.fill(4, 4)
    one.until(lambda: len(one.events(stubs, stream)) == 4)


def test_ack_with_the_end(db, server, raw, stubs):
    """An ack in the very frame that ends the request still counts."""
    walstream = server()
    one = raw(walstream)
    stream = one.session()
    one.until(lambda: stream in one.headers)
    db.fill(1, 3)
    one.until(lambda: len(one.events(stubs, stream)) == 3)
    last = one.events(stubs, stream)[-1].insert.pg_lsn
    one.data(stream, message(acks(stubs, last)), end_stream=True)
    db.wait_confirmed(last)
