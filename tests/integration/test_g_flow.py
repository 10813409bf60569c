"""Who acknowledges, takes, and leaves as it should not: FAULTS rows G14, G17,
G18, G20 to G24, G36, G37, G45, G47 and G48.

The rest of G14 to G17 is in test_ack.py, G19 in test_slow_client.py.
"""

import random
import time

import grpc

import rawframes as h2
from bystander import MIB, detached, holder, rows
from proc import REPOSITORY
from waiting import SCALE, until

pytest_plugins = ["benches"]

OPTIONS = ("--buffer-size", "256KiB", "--slow-client-timeout", "2")


def got(c, stream, more=1):
    """Waits for so many more messages."""
    due = len(c.messages(stream)) + more
    c.until(lambda: len(c.messages(stream)) >= due, 20)


# Acknowledgements

@rows("G14", {"one_above": lambda lsn: lsn + 1, "far": lambda lsn: 2 ** 62,
              "highest": lambda lsn: 2 ** 64 - 1})
def test_ack_above(bench, case):
    """INVALID_ARGUMENT, in whatever frame it comes, and it moves nothing."""
    with bench.watched(), bench.connect() as c:
        for end in False, True:
            stream = c.session()
            got(c, stream)
            lsn = case(bench.lsn(c.messages(stream)[-1]) + 2 ** 30)
            c.send(h2.data(stream, h2.message(h2.ack(lsn)), end))
            assert c.answer(stream).grpc == h2.INVALID_ARGUMENT, c.state()


@rows("G14", {"after_zero": 0})
def test_acks_after_the_end(bench, case):
    """What comes behind the ack that ended the stream is nothing any more."""
    with bench.watched(), bench.connect() as c:
        stream = c.session()
        got(c, stream)
        lsn = bench.lsn(c.messages(stream)[0])
        c.send(h2.data(stream, h2.message(h2.ack(2 ** 63))
                       + h2.message(h2.ack(lsn)) * 100))
        assert c.answer(stream).grpc == h2.INVALID_ARGUMENT
        c.sync()


@rows("G17", {"zero": 1, "a_frame_each": 1, "many_in_a_frame": 500})
def test_ack_flood(bench, case):
    """Acknowledgements without a pause: taken, and nothing is heaped up."""
    with bench.watched(), bench.connect() as c:
        stream = c.session()
        got(c, stream, 4)
        lsn = bench.lsn(c.messages(stream)[1])
        one = h2.data(stream, h2.message(h2.ack(lsn)) * case)
        chunk = one * (1000 // case)
        sent = 1000 * c.flood(lambda i: chunk, 4, 200)
        assert sent >= 20_000
        c.sync(30)
        assert stream not in c.ended
        assert bench.db.confirmed() <= lsn
        got(c, stream)


# Flow control

def stalled(bench):
    """It takes nothing while others wait: it is ended, and they go on. Found
    out while more comes than there is buffer for."""
    slow = len(bench.walstream.logged("session.slow"))
    closed = len(bench.walstream.logged("session.closed"))
    bench.bulk(1)
    begin = time.monotonic()
    until(lambda: len(bench.walstream.logged("session.closed")) > closed, 15,
          bench.walstream.text)
    assert time.monotonic() - begin < 8 * SCALE
    assert len(bench.walstream.logged("session.slow")) == slow + 1


@rows("G18", {"stream": 0, "tiny": 5, "part": 1000})
def test_window_shut(bench, case):
    """The stream's window is shut: it ends with RESOURCE_EXHAUSTED."""
    with bench.watched(late=6, growth=6 * MIB), \
            bench.connect(window=case) as c:
        stream = c.session()
        stalled(bench)
        answer = c.answer(stream)
        assert answer.grpc == h2.RESOURCE_EXHAUSTED \
            or answer.reset == h2.ENHANCE_YOUR_CALM, c.state()
        assert len(c.body.get(stream, b"")) <= case
        c.sync()


@rows("G18", {"connection": 65535})
def test_window_of_connection(bench, case):
    """The connection's window is used up, each stream's is open."""
    with bench.watched(late=6, growth=6 * MIB), bench.connect(
            window=case, values={h2.INITIAL_WINDOW_SIZE: h2.LARGEST}) as c:
        stream = c.session()
        stalled(bench)
        answer = c.answer(stream)
        assert answer.grpc == h2.RESOURCE_EXHAUSTED \
            or answer.reset == h2.ENHANCE_YOUR_CALM, c.state()
        assert len(c.body.get(stream, b"")) <= case


@rows("G18", {"one": 1, "many": 20})
def test_socket_full(bench, case):
    """Nothing is read from the socket, the windows are open."""
    with bench.watched(late=6, growth=8 * MIB), bench.connect() as c:
        for _ in range(case):
            c.session()
        closed = len(bench.walstream.logged("session.closed"))
        deadline = time.monotonic() + 20 * SCALE
        while len(bench.walstream.logged("session.closed")) < closed + case:
            assert time.monotonic() < deadline, bench.walstream.text()
            bench.bulk(2)
            time.sleep(0.1)


@rows("G20", {"1": 1, "3": 3})
def test_dribble(bench, case):
    """CVE-2019-9511: window for a byte or so at a time. All is right that
    comes, or it is thrown out."""
    with bench.watched(late=6), bench.connect(window=case) as c:
        stream = c.session()
        c.until(lambda: len(c.body.get(stream, b"")) == case)
        bench.bulk(0.05)
        chunk = h2.credit(stream, case) * 100
        c.flood(lambda i: chunk, 3, 100)
        c.for_a_while(0.2)
        if not c.closed:
            body = c.body[stream]
            assert len(body) > 2000
            assert all(bench.lsn(m) for m in c.messages(stream))


@rows("G20", {"one_by_one": 100})
def test_window_1_many(bench, case):
    """A window of 1 on every stream there may be."""
    with bench.watched(late=6, growth=8 * MIB), bench.connect(window=1) as c:
        for _ in range(case - 1):
            c.request()
        for _ in range(20):
            for stream in range(1, c.next_stream, 2):
                c.send(h2.credit(stream, 1))
            c.read(0.01)
        if not c.closed:
            c.until(lambda: all(c.body.get(s)
                                for s in range(1, c.next_stream, 2)))


GOAWAY, RESET = True, False
WINDOWS = {
    "stream_over": (lambda s: h2.credit(s, h2.LARGEST), RESET,
                    h2.FLOW_CONTROL_ERROR),
    "connection_over": (lambda s: h2.credit(0, h2.LARGEST) * 2, GOAWAY,
                        h2.FLOW_CONTROL_ERROR),
    "stream_0": (lambda s: h2.frame(h2.WINDOW_UPDATE, 0, s, bytes(4)),
                 RESET, h2.PROTOCOL_ERROR),
    "connection_0": (lambda s: h2.frame(h2.WINDOW_UPDATE, 0, 0, bytes(4)),
                     GOAWAY, h2.PROTOCOL_ERROR),
    "settings_over": (lambda s: h2.credit(s, h2.LARGEST - 70000)
                      + h2.settings({h2.INITIAL_WINDOW_SIZE: h2.LARGEST}),
                      RESET, h2.FLOW_CONTROL_ERROR),  # as nghttp2 has it
    "length_3": (lambda s: h2.frame(h2.WINDOW_UPDATE, 0, s, bytes(3)),
                 GOAWAY, h2.FRAME_SIZE_ERROR),
    "length_5": (lambda s: h2.frame(h2.WINDOW_UPDATE, 0, 0, bytes(5)),
                 GOAWAY, h2.FRAME_SIZE_ERROR)}


@rows("G21", WINDOWS)
def test_window_wrong(bench, case):
    """RFC 9113, 6.9: the stream's error, or the connection's."""
    text, whole, code = case
    with bench.watched(), bench.connect(window=65535) as c:
        stream, other = c.session(), c.session()
        c.send(text(stream))
        c.until(lambda: c.goaways or stream in c.ended)
        if whole is GOAWAY or c.goaways:  # which 5.4.1 allows
            c.wait_closed()
            assert c.goaways[-1][0] == code, c.state()
        else:
            assert c.reset[stream] == code, c.state()
            got(c, other)


@rows("G21", {"below_zero": 1000})
def test_window_taken_back(bench, case):
    """A window that becomes negative is no error: nothing comes until it is
    positive again (6.9.2)."""
    with bench.watched(), bench.connect(window=case) as c:
        stream = c.session()
        c.until(lambda: len(c.body.get(stream, b"")) > case // 2)
        c.send(h2.settings({h2.INITIAL_WINDOW_SIZE: 0}))
        c.for_a_while(0.1)
        had = len(c.body[stream])
        c.send(h2.credit(stream, case // 10))
        c.for_a_while(0.2)
        assert len(c.body[stream]) == had <= case
        c.send(h2.credit(stream, h2.LARGEST - 10 * case))
        got(c, stream)


# Ends

@rows("G22", {f"seed_{n}": n for n in (1, 2, 3)})
def test_reset_any_time(bench, case):
    """RST_STREAM with any code, the socket's end, at random moments."""
    rand = random.Random(case)
    codes = list(range(14)) + [255, 2 ** 32 - 1]
    with bench.watched():
        for _ in range(50):
            with bench.connect() as c:
                streams = [c.request({":path": rand.choice(
                    [h2.SESSION, h2.SUBSCRIBE, h2.CHECK, "/x/y"])})
                    for _ in range(rand.randint(1, 4))]
                for stream in streams:
                    if rand.random() < .5:
                        c.read(0.02)
                    if rand.random() < .5:
                        text = h2.data(stream, h2.message(h2.ack(0)))
                        c.send(text[:rand.randint(10, len(text))]
                               if stream == streams[-1] else text)
                for stream in streams:
                    c.send(h2.reset(stream, rand.choice(codes)))
                if rand.random() < .3:
                    c.read(0.01)
                c.close(abruptly=rand.random() < .3)


@rows("G22", {"other_lives": 10})
def test_reset_other(bench, case):
    """The other stream of the connection goes on."""
    with bench.watched(), bench.connect() as c:
        other = c.session()
        for code in range(case):
            c.send(h2.reset(c.session(), code))
        got(c, other, 2)


@rows("G23", {"no_error": h2.NO_ERROR, "error": h2.INTERNAL_ERROR})
def test_goaway(bench, case):
    """The client's streams are finished; then the connection is."""
    with bench.watched(), bench.connect() as c:
        stream = c.session()
        c.send(h2.goaway(case, b"bye"))
        got(c, stream, 5)
        c.send(h2.reset(stream))
        c.wait_closed()


@rows("G23", {"idle": None})
def test_goaway_idle(bench, case):
    with bench.watched(), bench.connect() as c:
        c.sync()
        c.send(h2.goaway())
        c.wait_closed()


@rows("G24", {"fin": lambda c: c.close(), "rst": lambda c: c.close(True),
              "half": lambda c: c.socket.shutdown(1)})
def test_gone(bench, case):
    """FIN and RST are seen at once."""
    with bench.watched(), bench.connect() as c:
        c.session()
        closed = len(bench.walstream.logged("session.closed"))
        case(c)
        detached(bench.walstream, closed, 2)


@rows("G24", {"kill_9": None})
def test_killed(bench, case):
    """So is the end of the client's process."""
    with bench.watched(), holder(bench.port) as child:
        closed = len(bench.walstream.logged("session.closed"))
        child.kill()
        detached(bench.walstream, closed, 2)


# Half-closed

def acks_alone(bench):
    """The witness alone decides on the position now."""
    lsn = bench.witness.rows[-1].lsn
    bench.witness.ack(lsn)
    bench.db.wait_confirmed(lsn)
    bench.accept(lsn)


def with_headers(c, bench):
    return c.request(end=True)


def at_once(c, bench):
    stream = c.request()
    c.send(h2.data(stream, end=True))
    return stream


def with_an_ack(c, bench):
    stream = c.session()
    got(c, stream, 3)
    lsn = bench.lsn(c.messages(stream)[0])
    c.send(h2.data(stream, h2.message(h2.ack(lsn)), True))
    bench.accept(lsn)
    return stream


def later(c, bench):
    stream = c.session()
    got(c, stream, 3)
    c.send(h2.data(stream, end=True))
    return stream


def with_trailers(c, bench):
    stream = c.session()
    c.send(h2.headers(stream, c.block([("grpc-status", "0")]), True))
    return stream


def subscribed(c, bench):
    stream = c.request({":path": h2.SUBSCRIBE})
    c.send(h2.data(stream, h2.message(b"\x12\x00"), True))
    return stream


@rows("G36", {"headers": with_headers, "at_once": at_once, "ack": with_an_ack,
              "later": later, "trailers": with_trailers,
              "subscribe": subscribed})
def test_half_closed(bench, case):
    """An observer: it keeps receiving, and holds nothing up."""
    with bench.watched(), bench.connect() as c:
        stream = case(c, bench)
        c.until(lambda: stream in c.initial)
        got(c, stream, 3)
        acks_alone(bench)
        got(c, stream, 3)
        assert stream not in c.ended, c.state()


@rows("G45", {"half": 6})
def test_half_read(bench, case):
    """It has acknowledged half of what it got when it half-closes."""
    with bench.watched(), bench.connect() as c:
        stream = c.session()
        got(c, stream, case)
        lsns = [bench.lsn(m) for m in c.messages(stream)]
        c.send(h2.data(stream, h2.message(h2.ack(lsns[case // 2]))))
        c.sync()
        c.send(h2.data(stream, end=True))
        got(c, stream, 3)
        acks_alone(bench)


@rows("G36", {"subscribe_without_start": None})
def test_half_closed_too_early(bench, case):
    """Without its first message a Subscribe comes to an end."""
    with bench.watched(), bench.connect() as c:
        stream = c.request({":path": h2.SUBSCRIBE}, end=True)
        assert c.answer(stream).grpc == h2.INVALID_ARGUMENT, c.state()


CLOSED = {
    "data": lambda c, s: h2.data(s, b"x"),
    "data_empty": lambda c, s: h2.data(s),
    "headers": lambda c, s: h2.headers(s, c.block(h2.request_headers())),
    "trailers": lambda c, s: h2.headers(s, c.block([("x", "1")]), True)}


@rows("G37", CLOSED)
def test_after_the_end(bench, case):
    """Frames behind END_STREAM: STREAM_CLOSED."""
    with bench.watched(), bench.connect() as c:
        stream = c.request(end=True)
        c.until(lambda: stream in c.initial)
        c.send(case(c, stream))
        c.until(lambda: c.goaways or stream in c.reset)
        assert c.reset.get(stream, c.goaways and c.goaways[-1][0]) \
            == h2.STREAM_CLOSED, c.state()


@rows("G37", {"same": h2.request_headers(), "other": [("x", "1")],
              "pseudo": [(":path", "/")]})
def test_headers_twice(bench, case):
    """HEADERS in the middle, without END_STREAM: PROTOCOL_ERROR."""
    with bench.watched(), bench.connect() as c:
        stream = c.session()
        c.send(h2.headers(stream, c.block(case)))
        c.until(lambda: c.goaways or stream in c.reset)
        assert c.reset.get(stream, c.goaways and c.goaways[-1][0]) \
            == h2.PROTOCOL_ERROR, c.state()


@rows("G37", {"pseudo": [(":status", "200")], "upper": [("X", "1")]})
def test_trailers_wrong(bench, case):
    with bench.watched(), bench.connect() as c:
        stream = c.session()
        c.send(h2.headers(stream, c.block(case), True))
        c.until(lambda: c.goaways or stream in c.reset)
        assert c.reset.get(stream, c.goaways and c.goaways[-1][0]) \
            == h2.PROTOCOL_ERROR, c.state()


# Sizes

@rows("G47", {"default": {}, "frame_64k": {h2.MAX_FRAME_SIZE: 65536},
              "frame_most": {h2.MAX_FRAME_SIZE: 2 ** 24 - 1}})
def test_frame_size(bench, case):
    """No frame is larger than the client said, whatever the event."""
    with bench.watched(late=6), bench.connect(values=case) as c:
        stream = c.session()
        bench.bulk(0.5, size=500_000)
        c.until(lambda: any(len(m) > 400_000 for m in c.messages(stream)))
        assert c.longest <= case.get(h2.MAX_FRAME_SIZE, 16384)


@rows("G47", {"list_of_10": {h2.MAX_HEADER_LIST_SIZE: 10},
              "no_table": {h2.HEADER_TABLE_SIZE: 0}})
def test_header_size(bench, case):
    """Headers and trailers are small, and made as the client's table is."""
    with bench.watched(), bench.connect(values=case) as c:
        if h2.HEADER_TABLE_SIZE in case:
            c.decoder.max_allowed_table_size = 0
        c.until(lambda: c.settings)
        for _ in range(3):
            stream = c.session()
            c.send(h2.data(stream, h2.message(h2.ack(2 ** 63))))
            assert c.answer(stream).grpc == h2.INVALID_ARGUMENT
            assert sum(len(k) + len(v) + 32 for k, v in (
                *c.initial[stream].items(),
                *c.trailing[stream].items())) < 8192


def default_client(bench, name):
    """A Session of a grpcio with its default limits; how it ends."""
    with grpc.insecure_channel(
            f"127.0.0.1:{bench.port}",
            [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = bench.stubs.pb2_grpc.PluginServiceStub(channel).Session(
            hold(), timeout=20 * SCALE,
            metadata=(("walstream-consumer", name),))
        try:
            for event in call:
                if event.WhichOneof("msg") == "insert" \
                        and event.insert.table == "bulk":
                    return event
        except grpc.RpcError as error:
            return error.code()
    return None


def hold():
    """Requests that never come, and never end."""
    time.sleep(30)
    yield from ()


@rows("G48", {"5_mib": 5 * MIB})
def test_too_large_for_client(bench, case):
    """The client's own RESOURCE_EXHAUSTED, again each time, and nobody else
    is hurt by it; the event is confirmed by nobody."""
    with bench.watched(late=6, growth=64 * MIB):
        bench.bulk(5, size=case)
        for _ in range(2):
            assert default_client(bench, "small") \
                == grpc.StatusCode.RESOURCE_EXHAUSTED


@rows("G48", {"said": 5 * MIB})
def test_too_large_is_said(bench, case):
    """After the same event was refused some times, the log says so."""
    with bench.watched(late=6, growth=64 * MIB):
        before = len(bench.walstream.lines)
        bench.bulk(5, size=case)
        for _ in range(5):
            default_client(bench, "smaller")
        lines = bench.walstream.lines[before:]
        assert any(" warn " in line and "smaller" in line for line in lines)


@rows("G48", {"documented": None})
def test_limit_is_documented(case):
    """What a client has to do about it is in the manual."""
    assert case is None
    text = (REPOSITORY / "man/walstream-protocol.7").read_text("utf-8")
    assert "above 4 MiB" in text

