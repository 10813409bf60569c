"""A Subscribe stream that keeps every message; fixtures for it.

A module that uses them has pytest_plugins = ["subscriber"].
"""

import collections

import pytest

from client import METHOD, Client, channel
from waiting import until

SUBSCRIBE = "/plugin.PluginService/Subscribe"
ROWS = ("insert", "update", "delete", "truncate")

Message = collections.namedtuple("Message", "op body")
Transaction = collections.namedtuple("Transaction", "begin events commit")


class WithMetadata:
    """A channel whose calls carry metadata."""

    def __init__(self, on, metadata):
        self._on = on
        self._metadata = tuple(metadata.items())

    def stream_stream(self, *args, **options):
        call = self._on.stream_stream(*args, **options)
        return lambda requests, **more: call(
            requests, metadata=self._metadata, **more)


class Subscriber(Client):
    """messages: all that came, those of a Batch one by one; events: the rows,
    as a Client has them; batches: (encoded size, messages) of each Batch.

    begin: send start, with the other words as its fields.
    ack_commits: acknowledge every commit and progress at once.
    """

    def __init__(self, stubs, address, begin=True, method=SUBSCRIBE,
                 metadata=None, held=False, ack_commits=False, on=None,
                 **fields):
        self.messages = []
        self.batches = []
        self.ack_commits = ack_commits
        self._channel = None
        if on is None:
            on = self._channel = channel(address)
        super().__init__(stubs, on=WithMetadata(on, metadata or {}),
                         held=held, raw=True, method=method)
        if begin:
            self.start(**fields)

    def _take(self, message):
        op = message.WhichOneof("msg")
        if op == "batch":
            inner = message.batch.messages
            self.batches.append((message.ByteSize(), len(inner)))
            for one in inner:
                self._take(one)
            return
        body = getattr(message, op)
        self.messages.append(Message(op, body))
        if op in ROWS:
            super()._take(message)
        elif self.ack_commits and op in ("commit", "progress"):
            self.ack(body.pg_lsn)

    def send(self, message):
        super().send(message.SerializeToString())

    def start(self, **fields):
        pb2 = self._stubs.pb2
        self.send(pb2.ClientMessage(start=pb2.Start(**fields)))

    def half_close(self):
        self._requests.put(None)

    def close(self):
        super().close()
        if self._channel is not None:
            self._channel.close()

    # What came

    def of(self, *ops):
        """The bodies of the messages of these kinds."""
        return [m.body for m in list(self.messages) if m.op in ops]

    def rows(self):
        return self.of(*ROWS)

    def ops(self):
        """The kind of every message, but those that are not of the data."""
        return [m.op for m in list(self.messages)
                if m.op not in ("started", "progress")]

    def keys(self):
        """(commit_lsn, seq) of every row event."""
        return [(row.commit_lsn, row.seq) for row in self.rows()]

    @property
    def started(self):
        return self.wait_of("started")[0]

    def wait_of(self, op, count=1, timeout=20):
        """Waits until count messages of a kind have come; returns them."""
        until(lambda: len(self.of(op)) >= count or self.code is not None,
              timeout, lambda: f"{count} {op}; {self.state()}")
        found = self.of(op)
        assert len(found) >= count, \
            f"the stream ended before {count} {op}: {self.state()}"
        return found

    def transactions(self, count, timeout=20):
        """Waits for so many whole transactions, and no more; checks that each
        is its begin, its events and its commit. Among the events may be
        relations and transactional messages."""
        self.wait_of("commit", count, timeout)
        found, begin, events = [], None, []
        for op, body in list(self.messages):
            if op == "begin":
                assert begin is None, "begin in a transaction"
                begin, events = body, []
            elif op in ROWS:
                assert begin is not None, "an event outside a transaction"
                events.append(body)
            elif op == "commit":
                assert begin is not None, "commit outside a transaction"
                found.append(Transaction(begin, events, body))
                begin = None
            elif op == "relation" or op == "message" and body.transactional:
                assert begin is not None, f"{op} outside a transaction"
            else:
                assert op == "started" or begin is None, \
                    f"{op} in a transaction"
        assert begin is None and len(found) == count, \
            f"{count} transactions were due: {len(found)}, {self.state()}"
        return found

    def ack_last(self):
        """Acknowledges the last message that has a pg_lsn; returns it."""
        lsn = [m.body.pg_lsn for m in list(self.messages)
               if m.op not in ("started", "relation")][-1]
        self.ack(lsn)
        return lsn


@pytest.fixture
def subscribe(stubs, server):
    """Opens a Subscribe stream; waits until it is in place, unless told."""
    del server  # it ends after its clients
    opened = []

    def attach(to, wait=True, **options):
        one = Subscriber(stubs, to.address, **options)
        opened.append(one)
        return one.attached() if wait else one

    yield attach
    for one in opened:
        one.close()


@pytest.fixture
def named(subscribe):
    """Opens a Session of a named consumer."""
    def attach(to, name, **options):
        return subscribe(to, begin=False, method=METHOD,
                         metadata={"walstream-consumer": name}, **options)
    return attach


@pytest.fixture
def quick(db):
    """A database whose walsenders ask for status updates often."""
    db.set("wal_sender_timeout", "2s")
    return db
