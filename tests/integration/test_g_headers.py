"""Requests that are wrong: FAULTS rows G1 to G6, G38, G40, G41 and G46."""

import re
import socket
import urllib.parse

import rawframes as h2
from bystander import rows
from waiting import SCALE

pytest_plugins = ["benches"]

S = h2.SESSION


def alive(c):
    """The connection is good for a session still."""
    stream = c.session()
    c.send(h2.reset(stream))
    c.sync()


def malformed(c, stream):
    """Answered as RFC 9113, 8.1.1, has it."""
    answer = c.answer(stream)
    refused = answer.reset == h2.PROTOCOL_ERROR or answer.http == 400 \
        or c.goaways and c.goaways[0][0] == h2.PROTOCOL_ERROR
    assert refused and not c.body, c.state()


PATHS = {
    "method": S[:-7] + "Nothing", "longer": S + "X", "shorter": S[:-1],
    "case": S.lower(), "slash_after": S + "/", "query": S + "?x=1",
    "fragment": S + "#", "encoded_slash": S.replace("/S", "%2FS"),
    "encoded_letter": S.replace("Session", "%53ession"),
    "two_slashes": "/" + S, "slashes_within": S.replace("/S", "//S"),
    "dots": "/x/.." + S, "root": "/", "service": S[:-7],
    "no_package": "/PluginService/Session", "prefix": "/x" + S,
    "health_case": "/grpc.health.v1.Health/check",
    "long": "/" + "x" * 300, "long_with_prefix": S + "x" * 4000,
    "utf8": S + "\u00e9"}


@rows("G1", PATHS)
def test_path(bench, case):
    """Any other method is UNIMPLEMENTED, in one HEADERS frame."""
    with bench.watched(), bench.connect() as c:
        stream = c.request({":path": case})
        assert c.answer(stream)[:2] == (200, h2.UNIMPLEMENTED), c.state()
        assert stream in c.initial and stream not in c.trailing
        alive(c)


@rows("G1", {"no_slash": S[1:], "empty": "", "star": "*"})
def test_path_that_is_none(bench, case):
    """nghttp2 refuses what is not a path before anybody can answer."""
    with bench.watched(), bench.connect() as c:
        answer = c.answer(c.request({":path": case}))
        assert answer.grpc == h2.UNIMPLEMENTED \
            or answer.reset == h2.PROTOCOL_ERROR, c.state()
        alive(c)


@rows("G2", {"missing": None, "html": "text/html", "empty": "",
             "json": "application/json"})
def test_no_grpc(bench, case):
    with bench.watched(), bench.connect() as c:
        assert c.answer(c.request({"content-type": case})).http == 415
        alive(c)


@rows("G3", {"x": "application/grpcx", "web": "application/grpc-web",
             "before": "x/application/grpc", "shorter": "application/grp"})
def test_nearly_grpc(bench, case):
    with bench.watched(), bench.connect() as c:
        assert c.answer(c.request({"content-type": case})).http == 415
        alive(c)


@rows("G3", {"json": "application/grpc+json", "thrift":
             "application/grpc+thrift"})
def test_other_grpc(bench, case):
    """A gRPC of other messages; the manual says 415."""
    with bench.watched(), bench.connect() as c:
        assert c.answer(c.request({"content-type": case})).http == 415
        alive(c)


@rows("G3", {"plain": "application/grpc", "proto": "application/grpc+proto",
             "charset": "application/grpc;charset=utf-8",
             "case": "Application/GRPC",
             "proto_charset": "application/grpc+proto; charset=utf-8"})
def test_grpc(bench, case):
    with bench.watched(), bench.connect() as c:
        stream = c.request({"content-type": case})
        c.until(lambda: stream in c.initial)
        assert "grpc-status" not in c.initial[stream], c.state()
        assert c.initial[stream][":status"] == "200"


METHODS = {"get": "GET", "put": "PUT", "head": "HEAD", "case": "post",
           "options": "OPTIONS", "patch": "PATCH"}


@rows("G4", METHODS)
def test_verb(bench, case):
    with bench.watched(), bench.connect() as c:
        assert c.answer(c.request({":method": case})).http == 405
        alive(c)


@rows("G4", {"get": "GET", "put": "PUT"})
def test_verb_status(bench, case):
    """405 carries INTERNAL, as grpc-go's does."""
    with bench.watched(), bench.connect() as c:
        answer = c.answer(c.request({":method": case}))
        assert answer.grpc == h2.INTERNAL, c.state()


@rows("G4", {
    "connect": {":method": "CONNECT", ":scheme": None, ":path": None},
    "connect_path": {":method": "CONNECT"},
    "websocket": {":method": "CONNECT", ":protocol": "websocket"}})
def test_connect(bench, case):
    with bench.watched(), bench.connect() as c:
        fields = sorted(h2.request_headers(case),
                        key=lambda f: f[0][0] != ":")
        answer = c.answer(c.request(fields=fields))
        assert answer.http in (400, 405, 501) \
            or answer.reset == h2.PROTOCOL_ERROR, c.state()
        alive(c)


@rows("G5", {"missing": None, "case": "TRAILERS"})
def test_te(bench, case):
    """A missing te is no reason to refuse."""
    with bench.watched(), bench.connect() as c:
        stream = c.request({"te": case})
        c.until(lambda: stream in c.initial)
        assert "grpc-status" not in c.initial[stream]


@rows("G5", {"gzip": "gzip", "two": "trailers, gzip"})
def test_other_te(bench, case):
    with bench.watched(), bench.connect() as c:
        malformed(c, c.request({"te": case}))


PLAIN = h2.request_headers()
PSEUDO, REGULAR = PLAIN[:4], PLAIN[4:]
MALFORMED = {
    "connection": PLAIN + [("connection", "keep-alive")],
    "keep_alive": PLAIN + [("keep-alive", "1")],
    "proxy_connection": PLAIN + [("proxy-connection", "close")],
    "transfer_encoding": PLAIN + [("transfer-encoding", "chunked")],
    "upgrade": PLAIN + [("upgrade", "h2c")],
    "two_authorities": PSEUDO + [(":authority", "other")] + REGULAR,
    "two_paths": PSEUDO + [(":path", "/")] + REGULAR,
    "two_methods": PSEUDO + [(":method", "GET")] + REGULAR,
    "two_hosts": PLAIN + [("host", "a"), ("host", "b")],
    "uppercase": PLAIN + [("X-Upper", "1")],
    "uppercase_te": PLAIN + [("Te", "trailers")],
    "space_in_name": PLAIN + [("a b", "1")],
    "colon_in_name": PLAIN + [("a:b", "1")],
    "no_name": PLAIN + [("", "1")],
    "nul_in_name": PLAIN + [("a\0", "1")],
    "newline_in_name": PLAIN + [("a\r\nb", "1")],
    "nul_in_value": PLAIN + [("a", "1\0")],
    "newline_in_value": PLAIN + [("a", "1\nb: 2")],
    "return_in_value": PLAIN + [("a", "1\r")],
    "nul_in_path": h2.request_headers({":path": S + "\0"}),
    "space_in_path": h2.request_headers({":path": S + " x"}),
    "space_in_method": h2.request_headers({":method": "PO ST"}),
    "bad_scheme": h2.request_headers({":scheme": "ht tp"}),
    "pseudo_after": PSEUDO[:3] + REGULAR + PSEUDO[3:],
    "pseudo_unknown": PSEUDO + [(":what", "1")] + REGULAR,
    "pseudo_status": PSEUDO + [(":status", "200")] + REGULAR,
    "no_method": PSEUDO[1:] + REGULAR,
    "no_scheme": PSEUDO[:1] + PSEUDO[2:] + REGULAR,
    "no_path": PSEUDO[:2] + PSEUDO[3:] + REGULAR,
    "nothing": [],
    "length_negative": PLAIN + [("content-length", "-1")],
    "length_text": PLAIN + [("content-length", "abc")],
    "two_lengths": PLAIN + [("content-length", "1"),
                            ("content-length", "2")]}


@rows("G6", MALFORMED)
def test_malformed(bench, case):
    """Malformed as RFC 9113, section 8, has it."""
    with bench.watched(), bench.connect() as c:
        malformed(c, c.request(fields=case))


@rows("G6", {"short": (9, False), "long": (3, False), "short_end": (6, True)})
def test_content_length(bench, case):
    """DATA is not as long as content-length said."""
    claimed, alone = case
    with bench.watched(), bench.connect() as c:
        stream = c.request({"content-length": str(claimed)})
        c.send(h2.data(stream, h2.message(b""), not alone))
        if alone:
            c.send(h2.data(stream, end=True))
        answer = c.answer(stream)
        assert answer.reset == h2.PROTOCOL_ERROR, c.state()


@rows("G6", {
    "host": [("host", "localhost")], "twice": [("x", "1"), ("x", "2")],
    "obs_text": [("x", b"\xff\xfe")], "empty_value": [("x", "")],
    "bin": [("x-bin", "AAE=")], "bin_unpadded": [("x-bin", "AAE")],
    "bin_two": [("x-bin", "AAE,AAI=")], "bin_bad": [("x-bin", "!!")],
    "reserved": [("grpc-what", "1")], "priority": [("priority", "u=1")],
    "accept": [("grpc-accept-encoding", "gzip")],
    "tags": [("grpc-tags-bin", "A"), ("grpc-trace-bin", "A")]})
def test_metadata(bench, case):
    """What is merely unknown fails no call."""
    with bench.watched(), bench.connect() as c:
        stream = c.request(fields=PLAIN + case)
        c.until(lambda: stream in c.initial)
        assert "grpc-status" not in c.initial[stream], c.state()


@rows("G6", {"even": 2, "zero": 0, "low": 1, "same": 3})
def test_stream_number(bench, case):
    """A stream that a client cannot open is not opened."""
    with bench.watched(), bench.connect() as c:
        c.next_stream = 3
        first = c.session()
        c.send(h2.frame(h2.HEADERS, h2.END_HEADERS, case, c.block(PLAIN)))
        if case == first:  # trailers without END_STREAM
            c.until(lambda: c.goaways or first in c.ended)
        else:
            c.wait_closed()
            assert c.goaways[0][0] == h2.PROTOCOL_ERROR


DEADLINES = {"zero": "0S", "nanosecond": "1n", "micro": "500u",
             "milli": "300m", "zero_hours": "00000000H"}


@rows("G38", DEADLINES)
def test_deadline(bench, case):
    """Over: DEADLINE_EXCEEDED, or a reset with CANCEL."""
    with bench.watched(), bench.connect() as c:
        answer = c.answer(c.request({"grpc-timeout": case}), 3)
        assert answer.grpc == h2.DEADLINE_EXCEEDED \
            or answer.reset == h2.CANCEL, c.state()
        alive(c)


@rows("G38", {"second": "1S"})
def test_deadline_later(bench, case):
    """Events flow until then, and not after."""
    with bench.watched(), bench.connect() as c:
        stream = c.request({"grpc-timeout": case})
        c.until(lambda: len(c.messages(stream)) > 5)
        assert stream not in c.ended
        answer = c.answer(stream, 3)
        assert answer.grpc == h2.DEADLINE_EXCEEDED \
            or answer.reset == h2.CANCEL, c.state()
        alive(c)


@rows("G38", {f"{n}{unit}": f"{n}{unit}" for n in ("99999999", "3600")
              for unit in "HMS"})
def test_far_deadline(bench, case):
    """However far: no overflow."""
    with bench.watched(), bench.connect() as c:
        stream = c.request({"grpc-timeout": case})
        c.until(lambda: len(c.messages(stream)) > 5)
        assert stream not in c.ended


TIMEOUTS = {"nine_digits": "123456789S", "negative": "-1S", "lower": "1s",
            "no_unit": "1", "empty": "", "no_number": "S", "space": "1 S",
            "fraction": "1.5S", "plus": "+1S", "hex": "0x1S",
            "two_units": "1SS", "other": "1h", "words": "infinite"}


@rows("G38", TIMEOUTS)
def test_malformed_timeout(bench, case):
    """HTTP 400 with INTERNAL, as grpc-go's."""
    with bench.watched(), bench.connect() as c:
        answer = c.answer(c.request({"grpc-timeout": case}), 3)
        assert answer[:2] == (400, h2.INTERNAL), c.state()
        alive(c)


def hung_up(bench, text):
    """What is read until the end, which comes soon."""
    with socket.create_connection(("127.0.0.1", bench.port), 10) as s:
        s.settimeout(10 * SCALE)
        s.sendall(text)
        got = b""
        try:
            while more := s.recv(4096):
                got += more
        except ConnectionError:
            pass
    return got


HTTP1 = {
    "get": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "post": b"POST " + S.encode() + b" HTTP/1.1\r\nHost: a\r\n"
            b"Content-Type: application/grpc\r\nContent-Length: 5\r\n\r\n"
            b"\0\0\0\0\0",
    "http10": b"GET / HTTP/1.0\r\n\r\n"}
UPGRADE = {
    "h2c": b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade,"
           b" HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings:"
           b" AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"}


@rows("G40", HTTP1)
def test_http1(bench, case):
    """HTTP/1.1 is told 400, and what is wrong."""
    with bench.watched():
        said = hung_up(bench, case)
        assert said.startswith(b"HTTP/1.1 400 ") and b"HTTP/2" in said, said


@rows("G41", UPGRADE)
def test_upgrade(bench, case):
    """There is no upgrade."""
    with bench.watched():
        said = hung_up(bench, case)
        assert said.startswith(b"HTTP/1.1 400 ") and b"101" not in said, said


@rows("G40", {
    "proxy": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + h2.PREFACE,
    "proxy2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + h2.PREFACE,
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "postgres_ssl": b"\0\0\0\x08\x04\xd2\x16\x2f" + bytes(20),
    "postgres": b"\0\0\0\x21\0\x03\0\0user\0postgres\0database\0x\0\0",
    "tls": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(600),
    "zeros": bytes(100), "ones": b"\xff" * 100, "newlines": b"\r\n" * 50,
    "preface_lower": h2.PREFACE.lower(),
    "preface_twice": h2.PREFACE * 2,
    "preface_no_settings": h2.PREFACE + h2.ping()})
def test_other_protocol(bench, case):
    """Anything but HTTP/2 is hung up on."""
    with bench.watched():
        said = hung_up(bench, case)
        assert len(said) < 1000, said


TEXTS = {"percent": "/a%zz%41", "utf8": "/\u00fc\u20ac\U0001f40d",
         "quotes": "/a\"b'c\\", "tilde": "/~"}


@rows("G46", TEXTS)
def test_message_text(bench, case):
    """grpc-message is printable ASCII, percent-encoded, and means it."""
    with bench.watched(), bench.connect() as c:
        told = c.answer(c.request({":path": case})).message
        assert re.fullmatch(r"(?:[ -$&-~]|%[0-9A-F]{2})*", told), told
        assert case in urllib.parse.unquote(told), told


@rows("G46", {"long": 200, "longest": 255, "longer": 256, "huge": 7000})
def test_message_length(bench, case):
    """It is capped, where a character ends."""
    with bench.watched(), bench.connect() as c:
        path = "/" + "\u00e9" * ((case - 1) // 2) + "x" * ((case - 1) % 2)
        stream = c.request({":path": path})
        told = c.answer(stream).message
        assert len(told) <= 2048, told
        urllib.parse.unquote(told, errors="strict")


@rows("G46", {"newline": "a\r\nb: c", "escape": "\x1b[31mred", "nul": "a\0b",
              "utf8": "\u00fc" * 30, "percent": "%41%"})
def test_message_of_name(bench, stubs, case):
    """A name that is quoted in a status, and in the log."""
    start = h2.message(stubs.pb2.ClientMessage(
        start=stubs.pb2.Start(consumer=case)).SerializeToString())
    before = len(bench.walstream.lines)
    with bench.watched(), bench.connect() as c:
        older = c.request({":path": h2.SUBSCRIBE})
        c.send(h2.data(older, start))
        c.until(lambda: c.messages(older) or older in c.ended)
        newer = c.request({":path": h2.SUBSCRIBE})
        c.send(h2.data(newer, start))
        told = c.answer(older).message
        assert re.fullmatch(r"(?:[ -$&-~]|%[0-9A-F]{2})*", told), told
    for line in bench.walstream.lines[before:]:
        assert line.isprintable(), f"not printable: {line!r}"
