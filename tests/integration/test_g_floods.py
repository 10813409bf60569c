"""Too much of anything: FAULTS rows G25 to G28, G31, G35, G43 and G44.

Each flood is bounded: so many frames, and a few seconds.
"""

import rawframes as h2
from bystander import MIB, rows
from waiting import SANITIZED

pytest_plugins = ["benches"]

MANY = 100_000
CALM = h2.ENHANCE_YOUR_CALM


def flooded(bench, c, chunk, frames, read=True, seconds=4):
    """Sends frames, a thousand at a time, until thrown out; how long it took
    walstream's processor."""
    before = bench.processor()
    c.flood(lambda i: chunk, seconds, frames // 1000, read)
    return bench.processor() - before


class Requests:
    """The bytes of many requests, all with one header block."""

    def __init__(self, c, end=False, **changes):
        fields = h2.request_headers(changes)
        c.request(fields=fields)  # puts them in the table of HPACK
        self._block = c.block(fields)
        assert self._block == c.block(fields)
        self._c, self._end = c, end

    def one(self, after):
        """A request, and after(stream) behind it."""
        stream = self._c.stream()
        return h2.frame(h2.HEADERS, h2.END_HEADERS | self._end, stream,
                        self._block) + after(stream)

    def many(self, count, after):
        return b"".join(self.one(after) for _ in range(count))


PINGS = {"reading": (True, False), "on_a_stream": (True, True),
         "not_reading": (False, True)}


@rows("G25", PINGS)
def test_pings(bench, case):
    """A flood of PING ends with too_many_pings."""
    read, stream = case
    with bench.watched(), bench.connect() as c:
        if stream:
            c.session()
        flooded(bench, c, h2.ping() * 1000, MANY, read)
        if read:
            c.thrown_out(CALM, text="too_many_pings")
        c.wait_closed()
    bench.at_rest()


@rows("G25", {"no_stream": None})
def test_ping_policy(bench, case):
    """Without a stream two strikes are forgiven."""
    with bench.watched(), bench.connect() as c:
        for i in range(2):
            c.send(h2.ping(h2.number(i) * 2))
            c.until(lambda: len(c.pings) == i + 1)
            assert c.pings[i] == h2.number(i) * 2
        for i in range(4):
            c.send(h2.ping())
            c.for_a_while(0.05)
        c.thrown_out(CALM, text="too_many_pings")


@rows("G26", {"empty": h2.settings(), "table": h2.settings(
                  {h2.HEADER_TABLE_SIZE: 0}) + h2.settings(
                  {h2.HEADER_TABLE_SIZE: 4096}),
              "window": h2.settings({h2.INITIAL_WINDOW_SIZE: 0}) + h2.settings(
                  {h2.INITIAL_WINDOW_SIZE: h2.LARGEST})})
def test_settings(bench, case):
    with bench.watched(), bench.connect() as c:
        c.session()
        flooded(bench, c, case * 1000, MANY)
        c.thrown_out(CALM)
    bench.at_rest()


@rows("G26", {"not_reading": h2.settings()})
def test_settings_unread(bench, case):
    """Acknowledgements that nobody takes are not heaped up."""
    with bench.watched(), bench.connect() as c:
        flooded(bench, c, case * 1000, MANY, read=False)
        c.wait_closed()


@rows("G26", {"entries_33": 33, "entries_2000": 2000})
def test_settings_entries(bench, case):
    entries = b"".join((0x7000 + i).to_bytes(2, "big") + bytes(4)
                       for i in range(case))
    with bench.watched(), bench.connect() as c:
        c.send(h2.frame(h2.SETTINGS, payload=entries))
        c.thrown_out(CALM)


@rows("G26", {"entries_32": 32})
def test_settings_entries_allowed(bench, case):
    entries = b"".join((0x7000 + i).to_bytes(2, "big") + bytes(4)
                       for i in range(case))
    with bench.watched(), bench.connect() as c:
        c.send(h2.frame(h2.SETTINGS, payload=entries))
        c.sync()


def setting(name, value):
    return h2.frame(h2.SETTINGS, payload=name.to_bytes(2, "big")
                    + h2.number(value))


@rows("G26", {
    "unasked_ack": (h2.settings(is_ack=True) * 2, h2.PROTOCOL_ERROR),
    "ack_with_payload": (h2.frame(h2.SETTINGS, h2.ACK, 0, bytes(6)),
                         h2.FRAME_SIZE_ERROR),
    "length_5": (h2.frame(h2.SETTINGS, payload=bytes(5)),
                 h2.FRAME_SIZE_ERROR),
    "on_a_stream": (h2.frame(h2.SETTINGS, 0, 1), h2.PROTOCOL_ERROR),
    "push_2": (setting(h2.ENABLE_PUSH, 2), h2.PROTOCOL_ERROR),
    "window_2_31": (setting(h2.INITIAL_WINDOW_SIZE, 2 ** 31),
                    h2.FLOW_CONTROL_ERROR),
    "frame_size_low": (setting(h2.MAX_FRAME_SIZE, 16383),
                       h2.PROTOCOL_ERROR),
    "frame_size_high": (setting(h2.MAX_FRAME_SIZE, 2 ** 24),
                        h2.PROTOCOL_ERROR)})
def test_settings_wrong(bench, case):
    text, code = case
    with bench.watched(), bench.connect() as c:
        c.sync()
        c.send(text)
        c.wait_closed()
        assert c.goaways and c.goaways[-1][0] == code, c.state()


@rows("G26", {"table": h2.HEADER_TABLE_SIZE, "list": h2.MAX_HEADER_LIST_SIZE,
              "streams": h2.MAX_CONCURRENT_STREAMS})
def test_settings_huge(bench, case):
    """As large as can be: nothing is allocated for it."""
    with bench.watched(), bench.connect() as c:
        c.send(setting(case, 2 ** 32 - 1))
        c.session()


RAPID = {"session": {}, "subscribe": {":path": h2.SUBSCRIBE},
         "health": {":path": h2.CHECK}, "unknown": {":path": "/x/y"}}


@rows("G27", RAPID)
def test_rapid_reset(bench, case):
    """CVE-2023-44487: requests that are taken back at once."""
    with bench.watched(), bench.connect() as c:
        requests = Requests(c, **case)
        c.flood(lambda i: requests.many(500, h2.reset), 4, MANY // 500)
        c.thrown_out(CALM)
        assert c.next_stream < 20_000 or bench.processor() < 2, "too late"
    bench.at_rest()


@rows("G27", {"15": 15})
def test_reset_politely(bench, case):
    """A client that changes its mind now and then is left in peace."""
    with bench.watched(), bench.connect() as c:
        for _ in range(case):
            c.send(h2.reset(c.session()))
        c.sync()


def junk_headers(stream):
    return h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream,
                    h2.literal(b"X", b"1"))


MADE = {
    "window_0": (0, lambda s: h2.frame(h2.WINDOW_UPDATE, 0, s, bytes(4))),
    "window_over": (0, lambda s: h2.credit(s, h2.LARGEST)),
    "data_after_end": (1, h2.data),
    "headers_after_end": (1, junk_headers),
    "trailers_bad": (0, junk_headers),
    "priority_self": (0, lambda s: h2.frame(
        h2.PRIORITY, 0, s, h2.number(s) + b"\0")),
    "priority_length": (0, lambda s: h2.frame(h2.PRIORITY, 0, s, bytes(4))),
    "message_bad": (0, lambda s: h2.data(s, b"\x05\0\0\0\0"))}


@rows("G28", MADE)
def test_made_you_reset(bench, case):
    """CVE-2025-8671: the server is made to reset the stream itself."""
    end, after = case
    with bench.watched(), bench.connect() as c:
        requests = Requests(c, end)
        c.flood(lambda i: requests.many(200, after), 4, MANY // 200)
        c.wait_closed()
        assert c.goaways, c.state()
        code, why = c.goaways[-1]
        assert code == h2.FRAME_SIZE_ERROR or why and code in (
            CALM, h2.STREAM_CLOSED, h2.PROTOCOL_ERROR), c.goaways
    bench.at_rest()


@rows("G28", {"malformed": MIB})
def test_made_you_reset_malformed(bench, case):
    """Requests that are malformed, one by one, without end."""
    with bench.watched(), bench.connect() as c:
        requests = Requests(c, te="gzip")
        c.flood(lambda i: requests.many(200, lambda s: b""), 4, MANY // 200)
        c.thrown_out(CALM)


FLOODS = {
    "data_empty": lambda s: h2.data(s),
    "data_padding": lambda s: h2.data(s, pad=255)[:9] + b"\xff" + bytes(255),
    "data_closed": lambda s: h2.data(s - 2, b"x"),
    "headers_empty": lambda s: h2.frame(h2.HEADERS, h2.END_HEADERS, s),
    "priority": lambda s: h2.frame(h2.PRIORITY, 0, s, bytes(5)),
    "priority_idle": lambda s: h2.frame(h2.PRIORITY, 0, s + 100,
                                        h2.number(s) + b"\1"),
    "unknown": lambda s: h2.frame(0x77, 0xff, s, b"x"),
    "unknown_empty": lambda s: h2.frame(0x42),
    "window_connection": lambda s: h2.credit(0, 1),
    "window_stream": lambda s: h2.credit(s, 1),
    "window_closed": lambda s: h2.credit(s - 2, 1),
    "reset_closed": lambda s: h2.reset(s - 2),
    "ping_acks": lambda s: h2.ping(is_ack=True),
    "altsvc": lambda s: h2.frame(0xa, 0, 0, b"\0\1a"),
    "priority_update": lambda s: h2.frame(0x10, 0, 0, h2.number(s) + b"u=1"),
    "goaways": lambda s: h2.goaway()}


@rows("G31", FLOODS)
def test_flood(bench, case):
    """100 000 frames that mean nothing, on a connection with a session."""
    with bench.watched(), bench.connect(window=65535) as c:
        c.request({":path": "/x/y"}, end=True)
        stream = c.session()
        chunk = case(stream)
        took = flooded(bench, c, chunk * 1000, MANY)
        c.wait_closed(3)
        assert c.goaways and c.goaways[-1][1], c.state()
        assert c.goaways[-1][0] in (
            CALM, h2.PROTOCOL_ERROR, h2.STREAM_CLOSED), c.goaways
        assert SANITIZED or took < 2, f"{took} s of CPU"
    bench.at_rest()


@rows("G31", {"push": h2.frame(h2.PUSH_PROMISE, 4, 1, h2.number(2) + b"\x82"),
              "reset_idle": h2.reset(9),
              "reset_0": h2.frame(h2.RST_STREAM, 0, 0, h2.number(8)),
              "data_0": h2.frame(h2.DATA, 0, 0, b"x"),
              "data_idle": h2.data(9, b"x"),
              "padding_long": h2.frame(h2.DATA, h2.PADDED, 1, b"\x09xx"),
              "window_idle": h2.credit(9, 1),
              "ping_on_stream": h2.frame(h2.PING, 0, 1, bytes(8)),
              "goaway_on_stream": h2.frame(h2.GOAWAY, 0, 1, bytes(8))})
def test_wrong_frame(bench, case):
    with bench.watched(), bench.connect() as c:
        c.session()
        c.send(case)
        c.wait_closed()
        assert c.goaways[-1][0] in (h2.PROTOCOL_ERROR, h2.STREAM_CLOSED)


@rows("G31", {"ping_7": h2.frame(h2.PING, 0, 0, bytes(7)),
              "window_3": h2.frame(h2.WINDOW_UPDATE, 0, 0, bytes(3)),
              "reset_5": h2.frame(h2.RST_STREAM, 0, 1, bytes(5)),
              "goaway_7": h2.frame(h2.GOAWAY, 0, 0, bytes(7)),
              "too_large": h2.frame(h2.DATA, 0, 1, b"", 16385),
              "largest": h2.frame(h2.SETTINGS, 0, 0, b"", 2 ** 24 - 1)})
def test_wrong_size(bench, case):
    with bench.watched(), bench.connect() as c:
        c.session()
        c.send(case)
        c.wait_closed()
        assert c.goaways[-1][0] == h2.FRAME_SIZE_ERROR, c.state()


def sessions(c, count, **changes):
    """So many requests at once; their numbers."""
    first = c.next_stream
    c.send(*[h2.headers(c.stream(), c.block(h2.request_headers(changes)))
             for _ in range(count)])
    return list(range(first, c.next_stream, 2))


@rows("G35", {"one": 1, "many": 50})
def test_streams(bench, case):
    """More streams than there may be are refused; the others go on."""
    with bench.watched(growth=8 * MIB), bench.connect() as c:
        c.until(lambda: c.settings)
        most = c.settings[h2.MAX_CONCURRENT_STREAMS]
        assert most <= 100
        allowed = sessions(c, most)
        c.until(lambda: all(s in c.initial for s in allowed), 30)
        for stream in sessions(c, case):
            assert c.answer(stream).reset == h2.REFUSED_STREAM, c.state()
        seen = {s: len(c.messages(s)) for s in allowed}
        c.until(lambda: all(len(c.messages(s)) > seen[s] for s in allowed),
                30)
        c.send(h2.reset(allowed[0]))
        again = c.request()
        c.until(lambda: again in c.initial)


@rows("G44", {"1000": 1000})
def test_1000_streams(bench, case):
    """Or so many at once: some are refused, those that are not live."""
    with bench.watched(growth=8 * MIB), bench.connect() as c:
        c.until(lambda: c.settings)
        streams = sessions(c, case)
        c.until(lambda: c.closed
                or all(s in c.ended or s in c.initial for s in streams), 30)
        if not c.closed:
            lives = [s for s in streams if s not in c.ended]
            assert len(lives) == 100, c.state()
            c.until(lambda: all(c.messages(s) for s in lives), 30)
        else:
            c.thrown_out(CALM, h2.PROTOCOL_ERROR)


@rows("G44", {"two": 2})
def test_two_on_one(bench, case):
    """Each has its own queue, and its own acknowledgements."""
    with bench.watched(), bench.connect() as c:
        one, two = sessions(c, case)
        c.until(lambda: min(len(c.messages(s)) for s in (one, two)) > 8)
        first = [bench.lsn(m) for m in c.messages(one)]
        second = [bench.lsn(m) for m in c.messages(two)]
        acked = bench.witness.rows[-1].lsn
        bench.witness.ack(acked)
        c.send(h2.data(one, h2.message(h2.ack(first[7]))),
               h2.data(two, h2.message(h2.ack(second[3]))))
        bench.db.wait_confirmed_is(min(first[7], second[3]))
        c.send(h2.data(one, h2.message(h2.ack(2 ** 63))))
        assert c.answer(one).grpc == h2.INVALID_ARGUMENT
        seen = len(c.messages(two))
        c.until(lambda: len(c.messages(two)) > seen)
        bench.accept(acked)


@rows("G43", {"empty": h2.message(b""), "junk": h2.message(b"\xff" * 20),
              "unknown": h2.message(b"\x0a\x03abc"),
              "large": h2.message(b"\x0a\xe8\x07" + b"a" * 1000),
              "two": h2.message(b"") * 2, "none": b"",
              "too_large": b"\0\0\0\x08\0"})
def test_health(bench, case):
    """A health check with anything in it is answered at once."""
    with bench.watched(), bench.connect() as c:
        stream = c.request({":path": h2.CHECK})
        c.send(h2.data(stream, case, True))
        assert c.answer(stream).grpc in (
            h2.OK, h2.INTERNAL, h2.NOT_FOUND, h2.UNIMPLEMENTED,
            h2.RESOURCE_EXHAUSTED), c.state()
        assert "grpc-status" in {**c.initial[stream],
                                 **c.trailing.get(stream, {})}


@rows("G43", {"checks": 2000})
def test_health_flood(bench, case):
    """Checks without a pause: answered, or refused; no stream is left."""
    with bench.watched(), bench.connect() as c:
        requests = Requests(c, **{":path": h2.CHECK})
        c.send(h2.reset(c.next_stream - 2))
        first = c.next_stream
        c.flood(lambda i: requests.many(
            50, lambda s: h2.data(s, h2.message(b""), True)), 5, case // 50)
        streams = range(first, c.next_stream, 2)
        c.until(lambda: c.goaways or all(s in c.ended for s in streams), 20)
        if not c.goaways:
            assert all(c.answer(s).grpc == h2.OK or
                       c.reset.get(s) == h2.REFUSED_STREAM for s in streams)
            c.sync()


@rows("G43", {"checks_open": 100})
def test_health_unfinished(bench, case):
    """Checks that never come to their message; then one that does."""
    with bench.watched(growth=6 * MIB), bench.connect() as c, \
            bench.connect() as other:
        sessions(c, case, **{":path": h2.CHECK})
        other.sync()


WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


@rows("G43", {"watches": 150})
def test_watches(bench, case):
    """Watches are limited as sessions are, and each gets its answer."""
    with bench.watched(growth=6 * MIB), bench.connect() as c:
        c.until(lambda: c.settings)
        streams = [c.stream() for _ in range(case)]
        for stream in streams:
            c.send(h2.headers(stream, c.block(h2.request_headers(
                {":path": WATCH}))), h2.data(stream, h2.message(b""), True))
        c.until(lambda: all(c.messages(s) or s in c.ended
                            for s in streams), 20)
        assert len([s for s in streams if c.messages(s)]) == 100
        assert {c.reset.get(s) for s in streams if not c.messages(s)} \
            == {h2.REFUSED_STREAM}


@rows("G43", {"reflection_junk": (b"\xff" * 20, h2.INTERNAL),
              "reflection_large": (bytes(5000), h2.RESOURCE_EXHAUSTED),
              "reflection_cut": (b"\x3a\x05a", h2.INTERNAL)})
def test_reflection(bench, case):
    """What is no request to the reflection ends that call."""
    text, code = case
    with bench.watched(), bench.connect() as c:
        stream = c.request({":path": REFLECTION})
        c.send(h2.data(stream, h2.message(text)))
        assert c.answer(stream).grpc == code, c.state()
