"""What comes in DATA frames: FAULTS rows G7 to G13."""

import random

import pytest

import rawframes as h2
from bystander import rows

pytest_plugins = ["benches"]

# No stream was ever sent as much, so this ack is told apart from silence.
TOO_HIGH = h2.ack(2 ** 63)
LIMITS = {h2.SESSION: 4096, h2.SUBSCRIBE: 32768}


def whole(stream, body, end):
    return h2.data(stream, body, end)


def bytewise(stream, body, end):
    at = len(body) - 1
    return b"".join(h2.data(stream, body[i:i + 1], end and i == at)
                    for i in range(len(body)))


def padded(stream, body, end):
    """Each byte with more and more padding, up to all there may be."""
    at = len(body) - 1
    return b"".join(h2.data(stream, body[i:i + 1], end and i == at,
                            min(i * 16, 255)) for i in range(len(body)))


def with_empty(stream, body, end):
    """A frame of nothing between any two; more of them would be abuse."""
    cut = body[:min(20, len(body) - 1)]
    return b"".join(h2.data(stream, cut[i:i + 1]) + h2.data(stream)
                    for i in range(len(cut))) \
        + h2.data(stream, body[len(cut):], end)


WAYS = {"whole": whole, "bytewise": bytewise, "padded": padded,
        "with_empty": with_empty}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def sent(c, body, way=whole, end=False, path=h2.SESSION, **changes):
    """Opens a stream and sends it body; its number."""
    stream = c.request({":path": path, **changes})
    c.send(way(stream, body, end))
    return stream


def status(c, body, way=whole, **more):
    return c.answer(sent(c, body, way, **more)).grpc


def lives(c, stream):
    """What came on it was taken, and the next message is."""
    c.send(h2.data(stream, h2.message(TOO_HIGH)))
    answer = c.answer(stream)
    assert answer.grpc == h2.INVALID_ARGUMENT, c.state()


def cuts(c, body, code, **changes):
    """body in two frames, cut at every place, is answered with code."""
    for at in range(1, len(body)):
        stream = c.request(changes)
        c.send(h2.data(stream, body[:at]), h2.data(stream, body[at:]))
        assert c.answer(stream).grpc == code, f"cut at {at}: {c.state()}"


@ways
@rows("G7", {"empty": b"", "ack": h2.ack(0), "long": bytes(500)})
def test_flag_without_encoding(bench, case, way):
    """INTERNAL (grpc/doc/compression.md, case 6)."""
    with bench.watched(), bench.connect() as c:
        assert status(c, h2.message(case, 1), way) == h2.INTERNAL


@rows("G7", {"identity": "identity"})
def test_flag_with_identity(bench, case):
    with bench.watched(), bench.connect() as c:
        assert status(c, h2.message(h2.ack(0), 1),
                      **{"grpc-encoding": case}) == h2.INTERNAL


@ways
@rows("G8", {name: name for name in ("gzip", "deflate", "snappy", "x")})
def test_compressed(bench, case, way):
    """UNIMPLEMENTED, and the client is told what would do."""
    with bench.watched(), bench.connect() as c:
        stream = sent(c, h2.message(b"\x1f\x8b\x08\0\0", 1), way,
                      **{"grpc-encoding": case})
        assert c.answer(stream).grpc == h2.UNIMPLEMENTED, c.state()
        told = {**c.initial[stream], **c.trailing.get(stream, {})}
        assert told["grpc-accept-encoding"] == "identity"


@rows("G8", {"gzip": "gzip"})
def test_encoding_unused(bench, case):
    """With the flag at 0 it may be taken, or refused like the rest."""
    with bench.watched(), bench.connect() as c:
        assert status(c, h2.message(TOO_HIGH), **{"grpc-encoding": case}) \
            in (h2.INVALID_ARGUMENT, h2.UNIMPLEMENTED)


@ways
@rows("G9", {f"flag_{n}": n for n in (2, 3, 16, 128, 254, 255)})
def test_other_flag(bench, case, way):
    with bench.watched(), bench.connect() as c:
        assert status(c, h2.message(h2.ack(0), case), way) == h2.INTERNAL


@rows("G9", {"flag_1": (1, {}, h2.INTERNAL), "flag_2": (2, {}, h2.INTERNAL),
             "gzip": (1, {"grpc-encoding": "gzip"}, h2.UNIMPLEMENTED)})
def test_flag_cut(bench, case):
    """G7, G8 and G9, cut at every byte."""
    flag, changes, code = case
    with bench.watched(), bench.connect() as c:
        cuts(c, h2.message(h2.ack(7), flag), code, **changes)


@pytest.mark.parametrize("path", LIMITS, ids=["session", "subscribe"])
@rows("G10", {"one": 1, "half": 1 << 15, "most": 2 ** 32 - 1})
def test_claim(bench, case, path):
    """Refused at the fifth byte; nothing is allocated."""
    claim = h2.message(b"")[:1] \
        + min(LIMITS[path] + case, 2 ** 32 - 1).to_bytes(4, "big")
    with bench.watched(), bench.connect() as c:
        peak = bench.walstream.status("VmHWM")
        for way in WAYS.values():
            assert status(c, claim, way, path=path) == h2.RESOURCE_EXHAUSTED
        assert bench.walstream.status("VmHWM") < peak + (1 << 20)


@rows("G10", {"cut": None})
def test_claim_cut(bench, case):
    with bench.watched(), bench.connect() as c:
        cuts(c, b"\0\xff\xff\xff\xff", h2.RESOURCE_EXHAUSTED)


@rows("G10", {"session": h2.SESSION})
def test_claim_allowed(bench, case):
    """The largest there may be is taken."""
    filler = b"\xfa\x06" + h2.varint(LIMITS[case] - 4)
    with bench.watched(), bench.connect() as c:
        stream = sent(c, h2.message(filler + bytes(LIMITS[case] - 4)))
        lives(c, stream)


@rows("G10", {"on_99_streams": 99})
def test_claims(bench, case):
    """Claims that are allowed, and nothing after: bounded all the same."""
    with bench.watched(growth=6 << 20), bench.connect() as c:
        for _ in range(case):
            sent(c, b"\0" + (32768).to_bytes(4, "big") + bytes(100),
                 path=h2.SUBSCRIBE)
        c.sync()


@ways
@rows("G11", {"ack": h2.message(h2.ack(1 << 40))})
def test_end_within(bench, case, way):
    """END_STREAM at every byte but where a message may end."""
    with bench.watched(), bench.connect() as c:
        for at in range(1, len(case)):
            assert status(c, case[:at], way, end=True) == h2.INTERNAL, at


@rows("G11", {"data": lambda c, s: h2.data(s, end=True),
              "padding": lambda c, s: h2.data(s, end=True, pad=9),
              "trailers": lambda c, s: h2.headers(
                  s, c.block([("x", "1")]), end=True)})
def test_end_alone(bench, case):
    """The END_STREAM comes in a frame of its own, DATA or HEADERS."""
    body = h2.message(h2.ack(0)) + h2.message(h2.ack(0))
    with bench.watched(), bench.connect() as c:
        for at in range(1, len(body)):
            stream = sent(c, body[:at])
            c.send(case(c, stream))
            if at == len(body) // 2:  # between the two
                c.sync()
                assert stream not in c.ended, c.state()
                c.send(h2.reset(stream))
            else:
                assert c.answer(stream).grpc == h2.INTERNAL, at


@ways
@rows("G12", {"one": 1, "many": 20})
def test_split(bench, case, way):
    """However it is cut, what is meant is understood."""
    body = (h2.message(h2.ack(0)) + h2.message(b"")) * case
    with bench.watched(), bench.connect() as c:
        lives(c, sent(c, body, way))
        assert status(c, body + h2.message(TOO_HIGH), way) \
            == h2.INVALID_ARGUMENT
        assert status(c, body + h2.message(TOO_HIGH), way, end=True) \
            == h2.INVALID_ARGUMENT


@ways
@rows("G12", {"ack": None})
def test_split_ack(bench, case, way):
    """It confirms what it says, and holds the slot there."""
    with bench.watched(), bench.connect() as c:
        stream = c.session()
        c.until(lambda: len(c.messages(stream)) > 5)
        lsns = [bench.lsn(one) for one in c.messages(stream)]
        c.send(way(stream, b"".join(h2.message(h2.ack(lsn))
                                    for lsn in (0, lsns[0], lsns[1])), False))
        c.sync()
        bench.witness.ack(lsns[4])
        bench.db.wait_confirmed_is(lsns[1])
        bench.witness.ack(lsns[5])
        assert bench.db.confirmed() == lsns[1] and stream not in c.ended
        bench.accept(lsns[5])


@rows("G12", {"messages": 1000})
def test_many_in_one_frame(bench, case):
    """As many as there is room for in a frame."""
    body = h2.message(b"") * case + h2.message(h2.ack(0)) * case
    with bench.watched(), bench.connect() as c:
        assert len(body) + 20 <= 16384
        assert status(c, body + h2.message(TOO_HIGH)) == h2.INVALID_ARGUMENT


@rows("G12", {"every_cut": None})
def test_every_cut(bench, case):
    with bench.watched(), bench.connect() as c:
        cuts(c, h2.message(b"") + h2.message(h2.ack(0))
             + h2.message(TOO_HIGH), h2.INVALID_ARGUMENT)


def group(depth):
    """Field 9, a group, in itself."""
    return b"\x4b" * depth + b"\x4c" * depth


JUNK = {
    "tag_cut": b"\x8a", "length_missing": b"\x0a", "length_cut": b"\x0a\x80",
    "past_the_end": b"\x0a\x05\x08", "inner_varint_cut": b"\x0a\x02\x08\xff",
    "varint_of_11": b"\x0a\x0c\x08" + b"\xff" * 10 + b"\x01",
    "varint_of_65_bits": b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x02",
    "tag_of_11": b"\xff" * 10 + b"\x01",
    "length_of_11": b"\x0a" + b"\x80" * 10 + b"\x01",
    "length_huge": b"\x0a\xff\xff\xff\xff\x0f",
    "length_negative": b"\x0a" + b"\xff" * 9 + b"\x01",
    "unknown_past_the_end": b"\xfa\x06\x7f", "field_0": b"\x02\x00",
    "field_0_varint": b"\x00\x00", "wire_type_6": b"\x0e",
    "wire_type_7": b"\x0f\x01", "unknown_type_7": b"\x7f",
    "fixed64_cut": b"\x49\0\0\0\0", "fixed32_cut": b"\x4d\0\0",
    "group_not_begun": b"\x4c", "group_not_ended": b"\x4b",
    "groups_not_ended": b"\x4b" * 3000}


@rows("G13", JUNK)
def test_junk(bench, case):
    """What is not protobuf is INTERNAL; on Subscribe as well."""
    with bench.watched(), bench.connect() as c:
        assert status(c, h2.message(case)) == h2.INTERNAL, c.state()
        assert status(c, h2.message(case), path=h2.SUBSCRIBE) == h2.INTERNAL
        assert status(c, h2.message(h2.ack(0) + case)) == h2.INTERNAL


UNKNOWN = {
    "varint": b"\x78\x01", "bytes": b"\x7a\x03abc", "fixed64": b"\x79" * 9,
    "fixed32": b"\x7d" * 5, "highest": b"\xf8\xff\xff\xff\x0f\x00",
    "many": b"\x78\x01" * 2000, "varint_of_10": b"\x78" + b"\xff" * 9
            + b"\x01", "in_ack": b"\x0a\x04\x08\x00\x78\x01",
    "long_zero": b"\x0a\x0b\x08" + b"\x80" * 9 + b"\x00"}


@rows("G13", UNKNOWN)
def test_unknown(bench, case):
    """Fields of later versions are ignored."""
    with bench.watched(), bench.connect() as c:
        lives(c, sent(c, h2.message(case)))
        assert status(c, h2.message(case + TOO_HIGH)) == h2.INVALID_ARGUMENT


@rows("G13", {"group": group(1), "groups": group(1000),
              "group_of_fields": b"\x4b\x78\x01\x4c",
              "ack_varint": b"\x08\x01", "ack_fixed64": b"\x09" + bytes(8),
              "lsn_fixed64": b"\x0a\x09\x09" + bytes(8),
              "lsn_bytes": b"\x0a\x02\x0a\x00"})
def test_other_type(bench, case):
    """Ignored, or INTERNAL: parsers differ. Nothing else, and no harm."""
    with bench.watched(), bench.connect() as c:
        assert status(c, h2.message(case) + h2.message(TOO_HIGH)) \
            in (h2.INTERNAL, h2.INVALID_ARGUMENT)


START = b"\x12\x03\x0a\x01x"


@rows("G13", {"ack_last": h2.ack(0) + TOO_HIGH,
              "start_first": START + TOO_HIGH,
              "start_last": TOO_HIGH + START})
def test_repeated_oneof(bench, case):
    """The last one counts; start has no business on Session."""
    with bench.watched(), bench.connect() as c:
        assert status(c, h2.message(case)) == h2.INVALID_ARGUMENT


@rows("G13", {"ack_zero_last": TOO_HIGH + b"\x0a\x02\x08\x00",
              "start_then_ack": START + b"\x0a\x02\x08\x00"})
def test_repeated_oneof_harmless(bench, case):
    with bench.watched(), bench.connect() as c:
        lives(c, sent(c, h2.message(case)))


@rows("G13", {f"seed_{n}": n for n in (1, 2, 3, 4)})
def test_mutants(bench, case):
    """Whatever is done to messages, the answer is one of three."""
    rand = random.Random(case)
    seeds = [h2.ack(0), TOO_HIGH, START, h2.ack(5) + START]
    with bench.watched(), bench.connect() as c:
        for _ in range(60):
            one = bytearray(rand.choice(seeds))
            for _ in range(rand.randint(1, 4)):
                at = rand.randrange(len(one) + 1)
                one[at:at + rand.randint(0, 2)] = rand.randbytes(
                    rand.randint(0, 3))
            path = rand.choice([h2.SESSION, h2.SUBSCRIBE])
            stream = sent(c, h2.message(bytes(one)), path=path, end=True)
            c.sync()
            if stream in c.ended:
                answer = c.answer(stream)
                assert answer.grpc in (h2.INTERNAL, h2.INVALID_ARGUMENT), \
                    (one, c.state())
            else:
                c.send(h2.reset(stream))
