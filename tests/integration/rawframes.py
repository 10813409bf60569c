"""HTTP/2 frames on a socket, right or wrong, with no state machine in the way.

hyperframe writes the frames that are right, frame() any other; hpack writes
header blocks and reads those that come.
"""

import collections
import select
import socket
import struct
import time

import hpack
from hyperframe.frame import (DataFrame, GoAwayFrame, HeadersFrame,
                              PingFrame, RstStreamFrame, SettingsFrame,
                              WindowUpdateFrame)

from waiting import SCALE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SESSION = "/plugin.PluginService/Session"
SUBSCRIBE = "/plugin.PluginService/Subscribe"
CHECK = "/grpc.health.v1.Health/Check"
LARGEST = 2 ** 31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, \
    WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS, PADDED = 0x4, 0x8
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, \
    INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)

# RFC 9113, section 7
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, \
    SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, \
    CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)

# grpc/doc/statuscodes.md
OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, \
    ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, \
    FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, \
    UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED = range(17)

Answer = collections.namedtuple("Answer", "http grpc message reset")


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """Any frame; length is what its header claims, if not the truth."""
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + bytes([kind, flags]) \
        + struct.pack(">I", stream) + payload


def message(payload, flag=0):
    """A gRPC message with its prefix."""
    return struct.pack(">BI", flag, len(payload)) + payload


def messages(body):
    """The whole messages in a stream's bytes."""
    found, at = [], 0
    while len(body) - at >= 5:
        length = struct.unpack_from(">I", body, at + 1)[0]
        if len(body) - at - 5 < length:
            break
        found.append(bytes(body[at + 5:at + 5 + length]))
        at += 5 + length
    return found


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def ack(lsn):
    """A ClientMessage with an ack, written by hand."""
    inner = b"\x08" + varint(lsn)
    return b"\x0a" + varint(len(inner)) + inner


def number(stream):
    return stream.to_bytes(4, "big")


def integer(n, bits, first=0):
    """RFC 7541, 5.1."""
    top = 2 ** bits - 1
    if n < top:
        return bytes([first | n])
    return bytes([first | top]) + varint(n - top)


def literal(name, value):
    """A header field without Huffman code and index (RFC 7541, 6.2.2)."""
    assert len(name) < 127
    return b"\0" + bytes([len(name)]) + name + integer(len(value), 7) + value


def data(stream, payload=b"", end=False, pad=None):
    one = DataFrame(stream, payload)
    if end:
        one.flags.add("END_STREAM")
    if pad is not None:
        one.flags.add("PADDED")
        one.pad_length = pad
    return one.serialize()


def headers(stream, block, end=False, whole=True):
    one = HeadersFrame(stream, block)
    if end:
        one.flags.add("END_STREAM")
    if whole:
        one.flags.add("END_HEADERS")
    return one.serialize()


def long_headers(stream, block, end=False):
    """A block of any length, in as many frames as it takes."""
    parts = [block[i:i + 16384]
             for i in range(0, len(block), 16384)] or [b""]
    out = headers(stream, parts[0], end, not parts[1:])
    for i, part in enumerate(parts[1:], 2):
        out += frame(CONTINUATION, END_HEADERS if i == len(parts) else 0,
                     stream, part)
    return out


def reset(stream, code=CANCEL):
    return RstStreamFrame(stream, error_code=code).serialize()


def credit(stream, by):
    return WindowUpdateFrame(stream, window_increment=by).serialize()


def settings(values=None, is_ack=False):
    one = SettingsFrame(0, settings=values or {})
    if is_ack:
        one.flags.add("ACK")
    return one.serialize()


def ping(payload=b"12345678", is_ack=False):
    one = PingFrame(0, payload)
    if is_ack:
        one.flags.add("ACK")
    return one.serialize()


def goaway(code=NO_ERROR, debug=b""):
    return GoAwayFrame(0, error_code=code, additional_data=debug).serialize()


def request_headers(changes=None, **more):
    """What grpcio sends, some of it changed, added, or (None) left out."""
    names = {
        ":method": "POST", ":scheme": "http", ":path": SESSION,
        ":authority": "localhost", "te": "trailers",
        "content-type": "application/grpc", "user-agent": "raw/1",
        **(changes or {}), **more}
    return [(k, v) for k, v in names.items() if v is not None]


class RawConnection:
    """One connection.

    window: what each stream may be sent; the connection may be sent anything.
    polite: acknowledge SETTINGS and PING, and top the windows up.
    preface: say hello at once.

    What came: initial and trailing header lists (as dictionaries), body and
    reset by stream; settings; goaways, pairs of code and text; count of frames
    by type; longest payload; data_frames, payload lengths in order.
    """

    def __init__(self, port, host="127.0.0.1", window=LARGEST, polite=True,
                 preface=True, values=None):
        self.initial, self.trailing = {}, {}
        self.body, self.reset, self.ended = {}, {}, set()
        self.settings, self.goaways, self.pings = {}, [], []
        self.count, self.longest = collections.Counter(), 0
        self.polite = polite
        self.closed = False
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.next_stream = 1
        self._input = bytearray()
        self._block = b""
        self._owed = 0
        self.socket = socket.create_connection((host, port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if preface:
            self.send(PREFACE, settings({INITIAL_WINDOW_SIZE: window,
                                         **(values or {})}))
            if window > 65535:
                self.send(credit(0, LARGEST - 65535))

    # What goes

    def send(self, *parts):
        """Sends bytes as they are; whether the peer still took them."""
        try:
            self.socket.settimeout(10 * SCALE)
            self.socket.sendall(b"".join(parts))
        except (ConnectionError, socket.timeout):
            self.closed = True
        return not self.closed

    def block(self, fields):
        """A header block; as UTF-8 or bytes, each name and value as it is."""
        return self.encoder.encode(
            [(k.encode() if isinstance(k, str) else k,
              v.encode() if isinstance(v, str) else v) for k, v in fields])

    def stream(self):
        """The next stream's number."""
        self.next_stream += 2
        return self.next_stream - 2

    def request(self, changes=None, end=False, fields=None, **more):
        """Opens a stream; returns its number."""
        stream = self.stream()
        if fields is None:
            fields = request_headers(changes, **more)
        self.send(long_headers(stream, self.block(fields), end))
        return stream

    def session(self, path=SESSION, timeout=15):
        """Opens a session and waits until it is in place."""
        stream = self.request({":path": path})
        self.until(lambda: stream in self.initial, timeout)
        assert stream not in self.ended, self.state()
        return stream

    def flood(self, chunk, seconds=3, most=None, read=True):
        """Sends what chunk(i) returns, bytes, until the peer closes, most
        chunks are gone, or the time is over. Returns how many were sent."""
        self.socket.setblocking(False)
        deadline = time.monotonic() + seconds * SCALE
        sent, left = 0, b""
        while not self.closed and time.monotonic() < deadline:
            if not left:
                if sent == most:
                    break
                left = memoryview(chunk(sent))
                sent += 1
            ready, writable, _ = select.select(
                [self.socket] if read else [], [self.socket], [], 0.1)
            if ready:
                self._receive()
            if writable and not self.closed:
                try:
                    left = left[self.socket.send(left):]
                except BlockingIOError:
                    pass
                except ConnectionError:
                    self.drain()
        return sent

    # What comes

    def drain(self):
        """Takes what is left to read of a connection that broke."""
        while not self.closed:
            self.read(1)

    def read(self, timeout):
        """Reads once, if something comes in that time."""
        if not self.closed and select.select([self.socket], [], [],
                                             timeout)[0]:
            self._receive()

    def _receive(self):
        try:
            got = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except (ConnectionError, socket.timeout):
            got = b""
        if not got:
            self.closed = True
            return
        self._input += got
        at, size = 0, len(self._input)
        while size - at >= 9:
            length = int.from_bytes(self._input[at:at + 3], "big")
            if size - at - 9 < length:
                break
            self._frame(self._input[at + 3], self._input[at + 4],
                        int.from_bytes(self._input[at + 5:at + 9], "big"),
                        bytes(self._input[at + 9:at + 9 + length]))
            at += 9 + length
        del self._input[:at]

    def _frame(self, kind, flags, stream, payload):
        self.count[kind] += 1
        self.longest = max(self.longest, len(payload))
        if kind == DATA:
            self._data(stream, payload)
        elif kind in (HEADERS, CONTINUATION):
            self._headers(stream, flags, payload)
        elif kind == RST_STREAM:
            self.reset[stream] = int.from_bytes(payload, "big")
            self.ended.add(stream)
        elif kind == SETTINGS and not flags & ACK:
            self.settings.update(struct.iter_unpack(">HI", payload))
            self._reply(settings(is_ack=True))
        elif kind == PING and flags & ACK:
            if len(self.pings) < 1000:
                self.pings.append(payload)
        elif kind == PING:
            self._reply(ping(payload, True))
        elif kind == GOAWAY:
            self.goaways.append((int.from_bytes(payload[4:8], "big"),
                                 payload[8:].decode("utf-8", "replace")))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(stream)

    def _data(self, stream, payload):
        self.body.setdefault(stream, bytearray()).extend(payload)
        self._owed += len(payload)
        if self._owed > 1 << 20:
            self._reply(credit(0, self._owed))
            self._owed = 0

    def _headers(self, stream, flags, payload):
        self._block += payload
        if not flags & END_HEADERS:
            return
        fields = dict(self.decoder.decode(self._block, raw=True))
        self._block = b""
        fields = {k.decode(): v.decode("latin-1") for k, v in fields.items()}
        if stream in self.initial:
            self.trailing[stream] = fields
        else:
            self.initial[stream] = fields

    def _reply(self, what):
        if not self.polite:
            return
        try:
            self.socket.send(what)
        except BlockingIOError:
            pass
        except ConnectionError:
            pass  # what is left to read still counts

    def until(self, condition, timeout=10):
        """Reads until condition() is true."""
        deadline = time.monotonic() + timeout * SCALE
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0 and not self.closed, f"in vain; {self.state()}"
            self.read(left)

    def wait_closed(self, timeout=10):
        """Reads until the peer has closed."""
        deadline = time.monotonic() + timeout * SCALE
        while not self.closed:
            left = deadline - time.monotonic()
            assert left > 0, f"still open; {self.state()}"
            self.read(left)

    def thrown_out(self, *codes, text=None):
        """The connection ends with GOAWAY, one of the codes, and a reason."""
        self.wait_closed()
        assert self.goaways, f"no GOAWAY; {self.state()}"
        code, why = self.goaways[-1]
        assert code in codes and why, self.goaways
        assert text is None or why == text, why

    def for_a_while(self, seconds):
        """Reads that long."""
        deadline = time.monotonic() + seconds
        while not self.closed and (left := deadline - time.monotonic()) > 0:
            self.read(left)

    def state(self):
        return (f"closed {self.closed}, goaways {self.goaways},"
                f" initial {self.initial}, trailing {self.trailing},"
                f" reset {self.reset}, frames {dict(self.count)}")[:3000]

    def answer(self, stream, timeout=10):
        """Waits for the end of a stream, or of all."""
        self.until(lambda: stream in self.ended or self.closed
                   or self.goaways, timeout)
        said = {**self.initial.get(stream, {}),
                **self.trailing.get(stream, {})}
        http, grpc = said.get(":status"), said.get("grpc-status")
        return Answer(http and int(http), grpc and int(grpc),
                      said.get("grpc-message"), self.reset.get(stream))

    def sync(self, timeout=15):
        """The peer has seen all that was sent, and is well. It says so in one
        HEADERS frame, which needs no window."""
        stream = self.request({":path": "/none/Such"}, end=True)
        answer = self.answer(stream, timeout)
        assert answer.grpc == UNIMPLEMENTED and not self.goaways, self.state()

    def messages(self, stream):
        return messages(self.body.get(stream, b""))

    # The end

    def close(self, abruptly=False):
        """Closes the socket; abruptly means with a TCP reset."""
        if abruptly:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.socket.close()
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()
