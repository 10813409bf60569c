"""Prints the changes of a PostgreSQL database that walstream streams.

A client to copy: put your own code into handle(). It takes whole
transactions, acknowledges each when handle() has returned, and reconnects.
"""

import argparse
import contextlib
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from plugin_pb2 import ClientAck, ClientMessage, ServerMessage, Start
from plugin_pb2_grpc import PluginServiceStub

# walstream remembers under this name, while it runs, what was acknowledged.
CONSUMER = "python-client"

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

SHORTEST_DELAY, LONGEST_DELAY = 0.1, 10.0  # seconds, before trying again

# Any other status asks for a human: walstream's README says what each means.
TRY_AGAIN = {
    grpc.StatusCode.OK,
    grpc.StatusCode.UNAVAILABLE,  # walstream or PostgreSQL cannot be reached
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # we were slow and held others up
    grpc.StatusCode.INTERNAL,  # these two: the connection broke
    grpc.StatusCode.CANCELLED,
}


@dataclass
class Transaction:
    """All that one transaction changed, in order."""

    events: list[ServerMessage]
    pg_lsn: int  # its position: acknowledging it confirms the transaction


class StreamEnded(Exception):
    """The stream is over; code says why."""

    def __init__(self, code: grpc.StatusCode, details: str | None) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code


def handle(transaction: Transaction) -> None:
    """Your code goes here. When it returns, the transaction is acknowledged
    and does not come again. When it raises, the client ends, and the
    transaction is the first to come at the next start."""
    for message in transaction.events:
        op = message.WhichOneof("msg")
        event = getattr(message, op)
        words = [op, f"{event.schema}.{event.table}"]
        if op != "truncate":
            words.append(event.json_payload)
        print(*words)
    lsn = f"{transaction.pg_lsn >> 32:X}/{transaction.pg_lsn & 0xFFFFFFFF:X}"
    print("commit", lsn, len(transaction.events), flush=True)


class Subscription:
    """One stream of transactions from walstream."""

    def __init__(self, address: str) -> None:
        self.alive = False  # has anything come?
        self._requests: queue.SimpleQueue[ClientMessage | None]
        self._requests = queue.SimpleQueue()
        self._requests.put(ClientMessage(start=Start(consumer=CONSUMER)))
        self._sender_ended = threading.Event()
        self._channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._call = PluginServiceStub(self._channel).Subscribe(self._sender())

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        """The stream ends once the last acknowledgement has been sent."""
        self._requests.put(None)
        self._sender_ended.wait(2)
        self._channel.close()

    def __iter__(self) -> Iterator[Transaction]:
        events: list[ServerMessage] = []
        try:
            # gRPC receives a message when we ask for it. While handle() is
            # busy walstream waits, and nothing piles up here.
            for message in self._call:
                self.alive = True
                kind = message.WhichOneof("msg")
                if kind == "begin":
                    events = []
                elif kind in ("insert", "update", "delete", "truncate"):
                    events.append(message)
                elif kind == "commit":
                    yield Transaction(events, message.commit.pg_lsn)
        except grpc.RpcError:
            pass
        # What has come of a transaction without its commit comes again.
        raise StreamEnded(self._call.code(), self._call.details())

    def acknowledge(self, transaction: Transaction) -> None:
        ack = ClientAck(pg_lsn=transaction.pg_lsn)
        self._requests.put(ClientMessage(ack=ack))

    def _sender(self) -> Iterator[ClientMessage]:
        """Run by gRPC in a thread, which asks for the next message when it has
        sent the one before, and for no more when the stream is over."""
        try:
            yield from iter(self._requests.get, None)
        finally:
            self._sender_ended.set()


class Interrupts:
    """Makes SIGINT and SIGTERM a KeyboardInterrupt: at once, but one that
    comes while held() only at its end. A second one does not wait."""

    def __init__(self) -> None:
        self._held = self._came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if not self._held or self._came:
            raise KeyboardInterrupt
        self._came = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise KeyboardInterrupt


def follow(address: str, interrupts: Interrupts) -> None:
    """Handles transactions for ever; StreamEnded when trying again is no
    use."""
    delay = SHORTEST_DELAY
    while True:
        with Subscription(address) as subscription:
            try:
                for transaction in subscription:
                    with interrupts.held():
                        handle(transaction)
                        subscription.acknowledge(transaction)
            except StreamEnded as end:
                if end.code not in TRY_AGAIN:
                    raise
                print(f"trying again: {end}", file=sys.stderr)
        if subscription.alive:
            delay = SHORTEST_DELAY
        time.sleep(delay * random.uniform(0.5, 1))
        delay = min(2 * delay, LONGEST_DELAY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", nargs="?", default="127.0.0.1:50051",
                        metavar="HOST:PORT", help="(%(default)s)")
    address = parser.parse_args().address
    try:
        follow(address, Interrupts())
    except KeyboardInterrupt:
        pass
    except StreamEnded as end:
        sys.exit(str(end))


if __name__ == "__main__":
    main()
