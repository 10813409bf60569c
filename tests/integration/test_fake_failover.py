"""What is told, and what is not, when servers change in ways that real ones do
only now and then."""

import select
import threading

import grpc
import pytest

import fakepg
from fakewal import (BASE, STEP, Backend, begin, commit, insert, place,
                     relation, sent, values)
from waiting import until

pytest_plugins = ["fakefixtures"]


class Node(Backend):
    """A PostgreSQL 17 whose timeline, end of WAL and role can be set.

    history: of its timeline. started: when, in its words. before: called with
    the connection and each query.
    """

    def __init__(self, *streams, timeline=1, end=BASE + 1000 * STEP,
                 standby=False, slot=True, history=None, started="A",
                 synced="f", before=None):
        super().__init__(*streams, login=self._enter)
        self.timeline, self.end, self.standby = timeline, end, standby
        self.slot, self.history, self.started_at = slot, history, started
        self.synced, self.before = synced, before
        self._answers = [
            ("TIMELINE_HISTORY", lambda c: self._rows(
                c, ("name", self.history))),
            ("wal_sender_timeout", lambda c: self._rows(
                c, ("logical", "170000", "60000", self.started_at))),
            ("pg_replication_slots", self._slots),
        ] + self._answers

    def answer(self, c, sql):
        if self.before is not None:
            self.before(c, sql)
        super().answer(c, sql)

    def _enter(self, c):
        c.begin()
        c.send(fakepg.auth_ok(), fakepg.parameter(
            "in_hot_standby", "on" if self.standby else "off"),
            fakepg.key_data(), fakepg.ready())

    def _identify(self, c):
        self._rows(c, ("7000000000000000001", str(self.timeline),
                       self._text(self.end), "fake"))

    def _slots(self, c):
        if not self.slot:
            self._rows(c)
            return
        self._rows(c, ("logical", "pgoutput", "fake", "t", "f", None,
                       self._text(self.confirmed), "reserved", "f",
                       self.synced))


def left(*lsns):
    """A history: where each timeline from 1 on was left."""
    return "".join(f"{n}\t{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}\tpromoted\n"
                   for n, lsn in enumerate(lsns, 1))


def transaction(n, shift):
    """The row n, at its place or, of another history, a little behind."""
    c, e = place(n)
    return sent(begin(c + shift), relation(), insert(values(n, "x")),
                commit(c + shift, e + shift))


def rows(first, last, shift=0, until_set=None):
    """A COPY of these; then, until the event is set, it listens."""
    def stream(c):
        for n in range(first, last + 1):
            c.send(transaction(n, shift))
        while until_set is not None and not until_set.is_set():
            if select.select([c.sock], [], [], 0.02)[0]:
                c.message()
        if until_set is not None:
            c.hang_up()
    return stream


@pytest.fixture
def deliver(start, attach):
    """Streams `last` rows from the first server, of which those up to `acked`
    are confirmed; returns walstream, the client and what ends the server."""
    def go(first, connection, last, acked, away, then=None):
        walstream = start(connection)
        client = attach(walstream)
        client.expect(last, 30)
        end = place(acked)[1]
        client.ack(end)
        until(lambda: first.connections[-1].statuses
              and first.connections[-1].statuses[-1].flush == end, 20,
              "the ack to be confirmed")
        first.scripts[:] = [then or fakepg.Connection.hang_up]
        away.set()
        return walstream, client

    return go


def both(one, two):
    return one.conninfo(host="127.0.0.1,127.0.0.1",
                        port=f"{one.port},{two.port}")


def test_promoted_while_asked(fake, deliver):
    """A standby that lags is promoted between two queries of ours: what it
    lacks is noticed all the same."""
    away, end = threading.Event(), place(5)[1]

    def promote(c, sql):
        if "pg_publication" in sql and node.standby:
            c.send(fakepg.parameter("in_hot_standby", "off"))
            node.standby, node.timeline, node.end = False, 2, end + 0x100
            node.history = left(end)

    node = Node(rows(3, 14, 0x10), standby=True, end=end, synced="t",
                started="B", before=promote)
    node.confirmed = place(2)[1]
    one, two = fake(Node(rows(1, 10, until_set=away))), fake(node)
    _, client = deliver(one, both(one, two), 10, 2, away)
    assert client.ended(30) == grpc.StatusCode.DATA_LOSS


def test_third_server(fake, deliver):
    """We streamed from a standby that was promoted meanwhile; the next server
    lacks the last that it delivered on its new timeline."""
    away = threading.Event()
    node = Node(rows(11, 35, 0x10), timeline=3, end=place(20)[1] + 100,
                started="C", synced="t",
                history=left(place(5)[1], place(20)[1]))
    node.confirmed = place(10)[1]
    one = fake(Node(rows(1, 30, until_set=away), standby=True))
    two = fake(node)
    _, client = deliver(one, both(one, two), 30, 10, away)
    assert client.ended(30) == grpc.StatusCode.DATA_LOSS


@pytest.mark.parametrize("acked", [2, 10])
def test_set_back(fake, deliver, acked):
    """The server comes back with less WAL than it has sent, on its timeline:
    below what was confirmed, or above that only."""
    away = threading.Event()
    node = Node(rows(3, 12), end=place(5)[1])
    node.confirmed = place(2)[1]
    one = fake(Node(rows(1, 10, until_set=away)))
    _, client = deliver(one, one, 10, acked, away, node)
    assert client.ended(30) == grpc.StatusCode.DATA_LOSS


def test_other_standby(fake, deliver):
    """We stream from a standby, which goes away for a moment; another standby
    does not have the slot, and that is no loss."""
    away = threading.Event()
    one = fake(Node(rows(1, 10, until_set=away), standby=True))
    two = fake(Node(standby=True, started="B", slot=False))
    walstream, client = deliver(one, both(one, two), 10, 2, away)
    walstream.wait_log("pg.lost", 2)
    again = Node(rows(3, 12), standby=True)
    again.confirmed = place(2)[1]
    one.scripts[:] = [again]
    client.expect(12, 30)
    assert client.ids() == list(range(1, 13))
