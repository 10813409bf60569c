"""Header blocks without end, and those that mean too much: FAULTS rows G29
and G30. See test_g_lifetime.py for those that take their time.
"""

import rawframes as h2
from bystander import MIB, rows
from waiting import SANITIZED

pytest_plugins = ["benches"]

MANY = 100_000
CALM = h2.ENHANCE_YOUR_CALM


def opened(c, fragment=b""):
    """The beginning of a header block that has no end."""
    c.send(h2.headers(c.stream(), fragment, whole=False))
    return c.next_stream - 2


@rows("G29", {"empty": b"", "byte": b"\x82", "kilobyte": h2.literal(
    b"a", bytes(1000)), "longest": h2.literal(b"a", bytes(16000))})
def test_continuations(bench, case):
    """CVE-2024-28182: a header block without end."""
    with bench.watched(), bench.connect() as c:
        stream = opened(c, c.block(h2.request_headers()))
        one = h2.frame(h2.CONTINUATION, 0, stream, case)
        count = min(1000, 4 * MIB // len(one))
        c.flood(lambda i: one * count, 4, MANY // 1000)
        c.thrown_out(CALM, h2.INTERNAL_ERROR, h2.PROTOCOL_ERROR)
    bench.at_rest()


@rows("G29", {"8": 8})
def test_continuations_allowed(bench, case):
    """A few are no abuse."""
    with bench.watched(), bench.connect() as c:
        block = c.block(h2.request_headers())
        stream = opened(c, block[:1])
        for i in range(1, case):
            c.send(h2.frame(h2.CONTINUATION, 0, stream, block[i:i + 1]))
        c.send(h2.frame(h2.CONTINUATION, h2.END_HEADERS, stream,
                        block[case:]))
        c.until(lambda: stream in c.initial)
        assert c.initial[stream][":status"] == "200"


@rows("G29", {
    "ping_between": lambda s: h2.ping(),
    "data_between": lambda s: h2.data(s),
    "other_stream": lambda s: h2.frame(h2.CONTINUATION, 4, s + 2),
    "stream_0": lambda s: h2.frame(h2.CONTINUATION, 4, 0),
    "headers_between": lambda s: h2.headers(s + 2, b"\x82")})
def test_continuation_missing(bench, case):
    with bench.watched(), bench.connect() as c:
        c.send(case(opened(c, b"\x82")))
        c.thrown_out(h2.PROTOCOL_ERROR)


@rows("G29", {"idle": 1, "after_all": 2})
def test_continuation_alone(bench, case):
    with bench.watched(), bench.connect() as c:
        stream = c.session() if case == 2 else 1
        c.send(h2.frame(h2.CONTINUATION, 4, stream, b"\x82"))
        c.thrown_out(h2.PROTOCOL_ERROR)


def in_frames(c, block):
    """A request with a block of any length; its number."""
    stream = c.stream()
    c.send(h2.long_headers(stream, block))
    return stream


INDEXED = b"\x40\x01a" + h2.integer(4000, 7) + b"x" * 4000  # then index 62
LARGE = {
    "bomb": INDEXED + b"\xbe" * 12000,
    "bomb_small": INDEXED + b"\xbe" * 3,
    "fields_10000": h2.literal(b"a", b"b") * 10000,
    "fields_101": h2.literal(b"a", b"b") * 101,
    "value_64k": h2.literal(b"a", b"x" * 65536),
    "value_8k": h2.literal(b"a", b"x" * 8192),
    "name_long": h2.literal(b"n" * 126, b"") * 60,
    "empty": h2.literal(b"a", b"") * 1000,
    "cookies": h2.literal(b"cookie", b"a=b") * 1000}


@rows("G30", LARGE)
def test_header_list(bench, case):
    """Too large: 431, RESOURCE_EXHAUSTED, or the end of the connection."""
    with bench.watched(), bench.connect() as c:
        peak = bench.walstream.status("VmHWM")
        stream = in_frames(c, c.block(h2.request_headers()) + case)
        answer = c.answer(stream)
        if c.goaways or c.closed:
            c.thrown_out(CALM)
        else:
            assert answer.http == 431 or answer.grpc \
                == h2.RESOURCE_EXHAUSTED, c.state()
        assert SANITIZED or bench.walstream.status("VmHWM") < peak + MIB


@rows("G30", {"fields": h2.literal(b"a", b"b") * 90, "bytes": h2.literal(
    b"a", b"x" * 7500), "value": h2.literal(b"x" * 100, b"x" * 7000)})
def test_header_list_allowed(bench, case):
    with bench.watched(), bench.connect() as c:
        stream = in_frames(c, c.block(h2.request_headers()) + case)
        c.until(lambda: stream in c.initial)
        assert "grpc-status" not in c.initial[stream], c.state()


@rows("G30", {"bombs": 300})
def test_bombs(bench, case):
    """One bomb after the other, each on a stream of its own."""
    with bench.watched(), bench.connect() as c:
        block = c.block(h2.request_headers()) + INDEXED
        in_frames(c, block)
        for _ in range(case):
            if c.closed:
                break
            in_frames(c, c.block(h2.request_headers()) + b"\xbe" * 4000)
            c.read(0)
        if c.closed:
            c.drain()
    bench.at_rest()


INVALID = {
    "index_0": b"\x80", "index_high": b"\xff\x80\x01",
    "name_index_high": b"\x7f\x80\x01\x01a",
    "table_over_limit": b"\x3f\xe2\x1f\x82", "table_huge":
    b"\x3f\xff\xff\xff\xff\x0f", "table_after_field": b"\x82\x20",
    "value_cut": b"\x00\x01a\x05b", "name_cut": b"\x00\x05a",
    "integer_endless": b"\x7f" + b"\xff" * 20, "integer_cut": b"\xff\xff",
    "length_huge": b"\x00\x01a\x7f\xff\xff\xff\xff\x07",
    "huffman_eos": b"\x00\x01a\x84\xff\xff\xff\xff",
    "huffman_padding": b"\x00\x01a\x81\x00",
    "huffman_long_padding": b"\x00\x01a\x82\x1f\xff"}


@rows("G30", INVALID)
def test_compression_error(bench, case):
    """A block that cannot be read ends the connection."""
    with bench.watched(), bench.connect() as c:
        in_frames(c, case)
        c.wait_closed()
        assert c.goaways[-1][0] == h2.COMPRESSION_ERROR, c.state()


@rows("G30", {"churn": b"\x20\x3f\xe1\x1f", "shrink": b"\x20\x3f\x00"})
def test_table_size_churn(bench, case):
    """The table emptied, resized and filled with every request."""
    fields = h2.request_headers({":path": "/x/y"})
    with bench.watched(), bench.connect() as c:
        for i in range(20):
            block = case
            for name, value in fields:
                block += h2.literal(name.encode(), value.encode())
            block += b"\x40\x04fill" + h2.integer(2000, 7) + b"y" * 2000
            stream = c.stream()
            c.send(h2.headers(stream, block, True))
            assert c.answer(stream).grpc == h2.UNIMPLEMENTED, (i, c.state())
