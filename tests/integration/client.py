"""A gRPC client with a reader of its own that keeps every event."""

import collections
import json
import queue
import threading

import grpc

from waiting import until

METHOD = "/plugin.PluginService/Session"
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a connection for each channel
]
NO_OLD, KEY, FULL = 0, 1, 2  # enum Identity

Event = collections.namedtuple("Event", "op pg_lsn schema table payload")


def channel(address, **options):
    return grpc.insecure_channel(address, OPTIONS, **options)


class Client:
    """One Session.

    held: read no event before release().
    ack_every: acknowledge by itself every so many events.
    raw: what send() is given are bytes, sent as they are to method.
    """

    def __init__(self, stubs, address=None, on=None, held=False, ack_every=0,
                 raw=False, method=METHOD, compression=None):
        self._stubs = stubs
        self._own = None
        if on is None:
            on = self._own = channel(address)
        self.events = []
        self.metadata = None
        self.code = None
        self.details = ""
        self._ack_every = ack_every
        self._headers = threading.Event()
        self._gate = threading.Event()
        if not held:
            self._gate.set()
        self._requests = queue.SimpleQueue()
        if raw:
            session = on.stream_stream(
                method,
                response_deserializer=stubs.pb2.ServerMessage.FromString)
        else:
            session = stubs.pb2_grpc.PluginServiceStub(on).Session
        self._call = session(iter(self._requests.get, None),
                             compression=compression)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            self.metadata = self._call.initial_metadata()
            self._headers.set()
            self._gate.wait()
            for message in self._call:
                self._take(message)
            self.code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            self.details = error.details() or ""
            self.code = error.code()

    def _take(self, message):
        op = message.WhichOneof("msg")
        event = getattr(message, op)
        payload = None if op == "truncate" else event.json_payload
        self.events.append(
            Event(op, event.pg_lsn, event.schema, event.table, payload))
        if self._ack_every and len(self.events) % self._ack_every == 0:
            self.ack(event.pg_lsn)

    def release(self):
        self._gate.set()

    # What came

    def state(self):
        last = self.events[-1] if self.events else None
        return (f"{len(self.events)} events, status {self.code}"
                f" {self.details!r}, last {str(last)[:300]}")

    def attached(self, timeout=15):
        """Waits for the response headers: from now on nothing is missed."""
        until(self._headers.is_set, timeout, "response headers")
        assert self.code is None, f"the stream ended: {self.state()}"
        return self

    def wait_for(self, count, timeout=20):
        """Waits for count events in all, and returns all that came."""
        until(lambda: len(self.events) >= count or self.code is not None,
              timeout, lambda: f"{count} events; {self.state()}")
        assert len(self.events) >= count, \
            f"the stream ended before {count} events: {self.state()}"
        return self.events

    def expect(self, count, timeout=20):
        """As wait_for, but not one event more may have come."""
        self.wait_for(count, timeout)
        assert len(self.events) == count, \
            f"{count} events were due: {self.state()}"
        return self.events

    def ended(self, timeout=15):
        """Waits for the status the stream ends with, and returns it."""
        until(lambda: self.code is not None, timeout,
              lambda: f"the end of the stream; {self.state()}")
        return self.code

    def open(self):
        return self.code is None

    def ids(self):
        """The column id of every row event, in order."""
        return [json.loads(event.payload)["id"] for event in self.events
                if event.payload is not None]

    # What goes

    def send(self, message):
        self._requests.put(message)

    def ack(self, lsn):
        pb2 = self._stubs.pb2
        self.send(pb2.ClientMessage(ack=pb2.ClientAck(pg_lsn=lsn)))

    def ack_all(self):
        """Acknowledges the last event that came; returns its pg_lsn."""
        lsn = self.events[-1].pg_lsn
        self.ack(lsn)
        return lsn

    def close(self):
        """Cancels the stream; again has no effect."""
        self._gate.set()
        self._requests.put(None)
        self._call.cancel()
        self._reader.join(10)
        if self._own is not None:
            self._own.close()
            self._own = None
