"""A stream of transactions from walstream, as in the Python client."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from plugin_pb2 import (ClientAck, ClientMessage, ServerMessage, Start,
                        Started)
from plugin_pb2_grpc import PluginServiceStub

CHANNEL_OPTIONS = [
    # An event is as large as its row; the default would be 4 MiB.
    ("grpc.max_receive_message_length", -1),
    # Notice within 40 s that the server, or the network, is gone.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A connection for each channel, so that only our own delays count.
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass
class Transaction:
    """Its row events, in order, and what came between them: relations.

    What walstream tells of its progress while nothing is to be sent is a
    transaction without any.
    """

    messages: list[ServerMessage]
    pg_lsn: int  # its position: acknowledging it confirms the transaction


class StreamEnded(Exception):
    """The stream is over; code says why."""

    def __init__(self, code: grpc.StatusCode, details: str | None) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code


def lsn_text(lsn: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


class Subscription:
    def __init__(self, address: str, start: Start) -> None:
        self._requests: queue.SimpleQueue[ClientMessage | None]
        self._requests = queue.SimpleQueue()
        self._requests.put(ClientMessage(start=start))
        self._sender_ended = threading.Event()
        self._channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._call = PluginServiceStub(self._channel).Subscribe(self._sender())
        self._messages = self._receive()

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        """The stream ends once the last acknowledgement has been sent."""
        self._requests.put(None)
        self._sender_ended.wait(2)
        self._channel.close()

    def started(self) -> Started:
        """The first message, which comes before the transactions."""
        return next(self._messages).started

    def __iter__(self) -> Iterator[Transaction]:
        messages: list[ServerMessage] = []
        for message in self._messages:
            kind = message.WhichOneof("msg")
            if kind == "begin":
                messages = []
            elif kind == "commit":
                yield Transaction(messages, message.commit.pg_lsn)
            elif kind == "progress":
                yield Transaction([], message.progress.pg_lsn)
            else:
                messages.append(message)

    def acknowledge(self, transaction: Transaction) -> None:
        ack = ClientAck(pg_lsn=transaction.pg_lsn)
        self._requests.put(ClientMessage(ack=ack))

    def _receive(self) -> Iterator[ServerMessage]:
        try:
            yield from self._call
        except grpc.RpcError:
            pass
        raise StreamEnded(self._call.code(), self._call.details())

    def _sender(self) -> Iterator[ClientMessage]:
        """Run by gRPC in a thread, which asks for the next message when it has
        sent the one before, and for no more when the stream is over."""
        try:
            yield from iter(self._requests.get, None)
        finally:
            self._sender_ended.set()
