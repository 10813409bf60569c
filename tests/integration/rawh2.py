"""An HTTP/2 client that does what grpcio never would."""

import select
import socket
import struct
import time

import h2.config
import h2.connection
import h2.events
from h2.connection import ConnectionState
from h2.settings import SettingCodes, Settings

from rawframes import messages
from waiting import SCALE

PATH = "/plugin.PluginService/Session"
LARGEST = 2 ** 31 - 1


class RawClient:
    """One connection; window is what each stream may be sent, 0 nothing.

    What came is in headers, trailers, body and reset, by stream; goaways are
    (last stream, error code, debug text). It answers PINGs while it reads.
    """

    def __init__(self, port, window=LARGEST):
        self.goaways = []
        self.headers, self.trailers = {}, {}
        self.body, self.reset = {}, {}
        self.ended = set()
        self.closed = False
        self._input = b""
        self._replenish = window > 0
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False)
        self.conn = h2.connection.H2Connection(config)
        self.conn.local_settings = Settings(client=True, initial_values={
            SettingCodes.INITIAL_WINDOW_SIZE: window,
            SettingCodes.ENABLE_PUSH: 0})
        self.conn.initiate_connection()
        self.flush()

    def flush(self):
        data = self.conn.data_to_send()
        if data:
            self._socket.sendall(data)

    def request(self, changes=None, end_stream=False):
        """Opens a stream like grpcio's, some headers changed or left out."""
        headers = {
            ":method": "POST", ":scheme": "http", ":path": PATH,
            ":authority": "localhost", "te": "trailers",
            "content-type": "application/grpc", "user-agent": "raw",
            **(changes or {})}
        stream = self.conn.get_next_available_stream_id()
        self.conn.send_headers(
            stream, [(k, v) for k, v in headers.items() if v is not None],
            end_stream=end_stream)
        self.flush()
        return stream

    def session(self):
        return self.request()

    def data(self, stream, payload, size=16384, end_stream=False):
        """Sends payload in DATA frames of size bytes."""
        for at in range(0, len(payload), size):
            part = payload[at:at + size]
            last = at + size >= len(payload)
            self.conn.send_data(stream, part, end_stream and last)
            self.flush()

    def until(self, condition, timeout=10):
        """Reads until condition() is true."""
        deadline = time.monotonic() + timeout * SCALE
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0 and not self.closed, \
                f"in vain; closed {self.closed}, {self.state()}"
            self._read(left)

    def read_some(self, most):
        """Of what there is at most so many bytes."""
        self._read(0, most)

    def _read(self, timeout, most=1 << 16):
        if not select.select([self._socket], [], [], timeout)[0]:
            return
        try:
            data = self._socket.recv(most)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return
        self._input += data
        while (length := self._frame_length()):
            one, self._input = self._input[:length], self._input[length:]
            for event in self.conn.receive_data(one):
                self._handle(event)
        try:
            self.flush()
        except ConnectionError:
            self.closed = True

    def _frame_length(self):
        """The length of the first frame that came, or 0 if not whole."""
        if len(self._input) < 9:
            return 0
        length = 9 + int.from_bytes(self._input[:3], "big")
        return length if length <= len(self._input) else 0

    def _handle(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id, event.error_code,
                                 event.additional_data or b""))
            # The h2 package takes GOAWAY for the end of every stream.
            self.conn.state_machine.state = ConnectionState.CLIENT_OPEN
        elif isinstance(event, h2.events.ResponseReceived):
            self.headers[stream] = dict(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[stream] = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.body.setdefault(stream, bytearray()).extend(event.data)
            if self._replenish and event.flow_controlled_length:
                self.conn.acknowledge_received_data(
                    event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamReset):
            self.reset[stream] = event.error_code
            self.ended.add(stream)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(stream)

    def state(self):
        return (f"headers {self.headers}, trailers {self.trailers},"
                f" reset {self.reset}")

    def status(self, stream, timeout=10):
        """Waits for the stream's end; its grpc-status, or None."""
        self.until(lambda: stream in self.ended, timeout)
        said = {**self.headers.get(stream, {}),
                **self.trailers.get(stream, {})}.get("grpc-status")
        return None if said is None else int(said)

    def events(self, stubs, stream):
        """The stream's ServerMessages so far."""
        return [stubs.pb2.ServerMessage.FromString(m)
                for m in messages(self.body.get(stream, b""))]

    def close(self, abruptly=False):
        """Closes the socket; abruptly means with a TCP reset."""
        if abruptly:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
        self._socket.close()
