"""A random history of writers, clients and faults, held against the rules."""

import bisect
import itertools
import os
import random
import threading
import time

import pytest

from waiting import until

SEEDS = [int(n) for n in os.environ.get("WALSTREAM_SEEDS", "1").split(",")]
STEPS = 150


class Load(threading.Thread):
    """Commits transactions of many rows, and rolls some back.

    ids holds every committed id in commit order, last_of the number of ids
    up to the end of each transaction.
    """

    def __init__(self, db, rng):
        super().__init__(daemon=True)
        self.ids, self.last_of = [], []
        self._rng = rng
        self._fresh = itertools.count(1)
        self._conn = db.connect()
        self._end = threading.Event()

    def run(self):
        with self._conn:
            while not self._end.is_set():
                self._transaction()
                time.sleep(self._rng.random() / 100)

    def _transaction(self):
        ids = [next(self._fresh) for _ in range(self._rng.randint(1, 30))]
        rows = ",".join(f"({i}, repeat('x', {self._rng.randint(0, 2000)}))"
                        for i in ids)
        kept = self._rng.random() > 0.1
        if kept:  # known before any client can be sent it
            self.ids += ids
            self.last_of.append(len(self.ids))
        self._conn.execute(f"BEGIN; INSERT INTO t VALUES {rows};"
                           + ("COMMIT" if kept else "ROLLBACK"))

    def stop(self):
        self._end.set()
        self.join(30)

    def transaction_of(self, position):
        """Which transaction has the id at this place of ids."""
        return bisect.bisect_right(self.last_of, position)

    def place(self, number):
        return bisect.bisect_left(self.ids, number)


class History:
    """What was done and seen: by clients, by acks, at the slot."""

    def __init__(self, db, server, client, rng):
        self._db, self._server, self._attach = db, server, client
        self._rng = rng
        self.load = Load(db, rng)
        self.walstream = server("--buffer-size", "256KiB")
        self.streams = []
        self.past = []
        self.acked = 0  # transactions that some client has acknowledged
        self.samples = []

    def step(self):
        action, = self._rng.choices(
            (self.join, self.leave, self.ack, self.terminate, self.kill,
             self.release), (8, 4, 40, 2, 0.7, 4))
        action()
        confirmed = self._db.confirmed()
        self.samples.append((confirmed, self.acked))
        time.sleep(self._rng.random() / 20)

    def join(self):
        if len(self.streams) < 5:
            stream = self._attach(self.walstream, wait=False,
                                  held=self._rng.random() < 0.3)
            self.streams.append(stream)

    def leave(self):
        if self.streams:
            one = self._rng.choice(self.streams)
            self._part(one)

    def _part(self, stream):
        self.streams.remove(stream)
        stream.close()
        self.past.append(stream)

    def release(self):
        for stream in self.streams:
            stream.release()

    def ack(self):
        able = [stream for stream in self.streams if stream.events]
        if not able:
            return
        stream = self._rng.choice(able)
        event = self._rng.choice(stream.events[-60:])
        last = max(i for i in range(len(stream.events) - 60, len(
            stream.events)) if i >= 0 and
                   stream.events[i].pg_lsn <= event.pg_lsn)
        ids = stream.ids()[last:last + 1]
        place = self.load.place(ids[0])
        number = self.load.transaction_of(place)
        whole = self.load.last_of[number] == place + 1
        self.acked = max(self.acked, number + whole)
        stream.ack(event.pg_lsn)

    def terminate(self):
        pid = self._db.walsender()
        if pid is not None:
            self._db.sql("SELECT pg_terminate_backend(%s)", (pid,))

    def kill(self):
        self.walstream.kill()
        self.release()
        while self.streams:
            self.streams[0].ended()
            self._part(self.streams[0])
        self.walstream = self._server("--buffer-size", "256KiB")

    def check_stream(self, stream, to_the_end):
        """A gapless part of what was committed, from a transaction's start."""
        ids = stream.ids()
        if not ids:
            return
        begin = self.load.place(ids[0])
        assert ids == self.load.ids[begin:begin + len(ids)]
        assert begin == 0 or begin in self.load.last_of
        if to_the_end:
            assert begin + len(ids) == len(self.load.ids)
        lsns = [event.pg_lsn for event in stream.events]
        assert lsns == sorted(lsns)

    def check_samples(self, transactions):
        """Confirmed never falls, and covers nothing that nobody acked."""
        for (before, _), (after, _) in zip(self.samples, self.samples[1:]):
            assert before <= after
        for confirmed, acked in self.samples:
            if acked < len(transactions):
                assert confirmed <= transactions[acked][0]


@pytest.mark.parametrize("seed", SEEDS)
def test_history(db, server, client, seed):
    """Whatever happens, each stream is whole and confirmed is exact."""
    db.watch()
    history = History(db, server, client, random.Random(seed))
    history.load.start()
    for _ in range(STEPS):
        history.step()
    history.load.stop()
    history.join()
    history.release()
    total = len(history.load.ids)
    for stream in history.streams:
        until(lambda s=stream: s.code or history.load.ids[-1] in s.ids()[-1:],
              40, lambda s=stream: f"the last of {total}; {s.state()}")
    for stream in history.streams:
        assert stream.open(), stream.state()
        history.check_stream(stream, to_the_end=True)
    for stream in history.past:
        history.check_stream(stream, to_the_end=False)
    transactions = db.transactions()
    assert len(transactions) == len(history.load.last_of)
    history.check_samples(transactions)
    history.samples.clear()
    for stream in history.streams:
        stream.ack_all()
    db.wait_confirmed(transactions[-1][1])
