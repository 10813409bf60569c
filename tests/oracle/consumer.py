"""A client: a process that opens one stream after another.

It logs every event before it acknowledges it, and every ack before it is
sent. What it is like:

    consumer.py '{"name": ..., "policy": ..., "method": "Session", ...}'

    policy  prompt    acks what came, as fast as it can
            lazy      acks now and then
            middle    acks only what is not the last of its transaction
            never     acks nothing
            slow      takes its time over every event
            stutter   repeats acks, goes back, acks 0
            liar      acks what it was never sent, after a while
            observer  half-closes at once
            tired     half-closes after a while, with something unacknowledged
    start   Subscribe: the fields of Start
    store   keep the position of commits, and ask for after_lsn with it
    header  Session: walstream-consumer

Standard input says `drain` (become prompt), `settle` (say when a stream is in
place), `lie` (ack one more than was sent) or `leave`.
"""

import json
import os
import random
import re
import sys
import threading
import time

import grpc

import streamlog
import stubs

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
]
FLAG = b'"v":"flag"'
TIRED = 100  # messages
OLDEST = re.compile(r"started from is ([0-9A-F]+)/([0-9A-F]+)")

_saying = threading.Lock()


def say(*words):
    """One line, whole, whichever thread says it."""
    with _saying:
        print(*words, flush=True)


class Stream:
    """One call, from open to end."""

    def __init__(self, consumer, path):
        self._consumer = consumer
        self._log = streamlog.Writer(path)
        self._change = threading.Condition()
        self._acks = []
        self._over = False      # no more requests
        self._half_close = consumer.spec["policy"] == "observer"
        self.placed = False
        self.last = 0           # pg_lsn
        self._call = None
        self._channel = None

    def run(self):
        start = self._consumer.start_fields()
        self._log.put_json(streamlog.OPEN, {
            **self._consumer.spec, "start": start,
            "life": self._consumer.spec["life"]})
        self._channel = grpc.insecure_channel(
            self._consumer.spec["address"], OPTIONS)
        call = self._channel.stream_stream(
            "/plugin.PluginService/" + self._consumer.spec["method"])
        header = self._consumer.spec.get("header")
        try:
            self._call = call(
                self._requests(start),
                metadata=[("walstream-consumer", header)] if header else None)
            self._receive()
            code, details = "OK", ""
        except grpc.RpcError as error:
            code, details = error.code().name, error.details() or ""
        self._finish(code, details)
        return code, details

    def _finish(self, code, details):
        with self._change:
            self._over = True
            self._change.notify_all()
        self._channel.close()
        self._log.put_json(streamlog.ENDED, {"code": code, "details": details})

    def _receive(self):
        if self._consumer.leaving:
            self.cancel()
        self._call.initial_metadata()  # returns when the call fails, too
        if self._call.is_active():
            self._log.put(streamlog.PLACED)
            self.placed = True
            self._consumer.stream_placed()
        for raw in self._call:
            self._take(raw)

    # What comes

    def _take(self, raw):
        self._log.put(streamlog.EVENT, raw)
        consumer = self._consumer
        message = consumer.pb2.ServerMessage.FromString(raw)
        for one in (message.batch.messages if message.WhichOneof("msg")
                    == "batch" else (message,)):
            self._one(one)
        consumer.policy(self)
        if FLAG in raw:
            consumer.flag_seen(raw)

    def _one(self, message):
        kind = message.WhichOneof("msg")
        if kind == "started":
            self._consumer.started = message.started
            return
        lsn = getattr(message, kind).pg_lsn
        self._consumer.same = lsn == self.last
        self.last = lsn
        if kind in ("commit", "progress"):
            self._consumer.ends.append(lsn)

    # What goes

    def ack(self, *lsns, lie=False):
        """Only the last of what is not sent yet goes out, unless several are
        given."""
        with self._change:
            kind = streamlog.LIE if lie else streamlog.ACK
            if len(self._acks) > 100:
                self._acks = []  # each would stand for those before it
            if len(lsns) == 1 and not lie and self._acks and \
                    self._acks[-1][0] == kind:
                self._acks.pop()
            self._acks += [(kind, lsn) for lsn in lsns]
            self._change.notify_all()

    def _requests(self, start):
        pb2 = self._consumer.pb2
        if start is not None:
            yield pb2.ClientMessage(start=pb2.Start(
                **start)).SerializeToString()
        while not self._half_close:
            with self._change:
                self._change.wait_for(lambda: self._acks or self._over
                                      or self._half_close)
                if self._over:
                    return
                if not self._acks:
                    break
                kind, lsn = self._acks.pop(0)
            self._log.put_lsn(kind, lsn)
            self._consumer.acked(lsn)
            yield pb2.ClientMessage(
                ack=pb2.ClientAck(pg_lsn=lsn)).SerializeToString()
        self._log.put(streamlog.HALF_CLOSED)

    def half_close(self):
        with self._change:
            self._half_close = True
            self._change.notify_all()

    def cancel(self):
        self._log.put(streamlog.LEFT)
        if self._call is not None:
            self._call.cancel()


class Consumer:
    def __init__(self, spec):
        self.spec = spec
        self.pb2 = stubs.load(spec["stubs"])
        self.rng = random.Random(f"{spec['seed']} {spec['name']}")
        self.policy = getattr(self, "_" + spec["policy"])
        self.started = None
        self.ends = []     # of commits and progress, not acknowledged yet
        self.same = False  # has the newest event the pg_lsn of the last one?
        self._stored = os.path.join(spec["dir"], spec["name"] + ".position")
        self._stream = None
        self._flag = None
        self._settling = self._draining = self.leaving = False
        self._wake = threading.Event()
        self._next_ack = 0
        self._events = 0   # of the stream

    # Where a stream starts

    def start_fields(self):
        if self.spec["method"] != "Subscribe":
            return None
        start = dict(self.spec.get("start") or {})
        if self.spec.get("store") and os.path.exists(self._stored):
            with open(self._stored, encoding="ascii") as stored:
                start["after_lsn"], start["system_identifier"] = json.load(
                    stored)
        return start

    def acked(self, lsn):
        """Stores the end of the newest transaction that is acknowledged."""
        end = 0
        while self.ends and self.ends[0] <= lsn:
            end = self.ends.pop(0)
        if end and self.spec.get("store"):
            self._store(end)

    def _store(self, lsn):
        system = self.started.system_identifier if self.started else ""
        with open(self._stored + ".new", "w", encoding="ascii") as stored:
            json.dump([lsn, system], stored)
        os.replace(self._stored + ".new", self._stored)

    def _refused(self, details):
        """What it has not seen was confirmed: it goes on where it can."""
        high, low = OLDEST.search(details).groups()
        self._store(int(high, 16) << 32 | int(low, 16))

    # Policies: after every message

    def _prompt(self, stream):
        stream.ack(stream.last)

    def _lazy(self, stream):
        now = time.monotonic()
        if self._draining or now >= self._next_ack:
            stream.ack(stream.last)
            self._next_ack = now + self.rng.uniform(0.1, 1.5)

    def _middle(self, stream):
        if self._draining or self.same:
            stream.ack(stream.last)

    def _never(self, stream):
        if self._draining:
            stream.ack(stream.last)

    def _slow(self, stream):
        if not self._draining:
            self._wake.wait(self.rng.choice((0, 0.001, 0.001, 0.05)))
        stream.ack(stream.last)

    def _stutter(self, stream):
        if self._draining:
            stream.ack(stream.last)
        else:
            low = self.rng.randrange(stream.last + 1)
            stream.ack(stream.last, 0, low, stream.last)

    def _liar(self, stream):
        self._events += 1
        stream.ack(stream.last)
        if not self._draining and self._events % 400 == 399:
            self.lie(stream, self.rng.choice((1 << 32, 1 << 50, 1 << 63)))

    def _observer(self, stream):
        pass

    def _tired(self, stream):
        self._events += 1
        if self._draining or self._events < TIRED:
            stream.ack(stream.last)
        elif self._events == 2 * TIRED:
            stream.half_close()

    def lie(self, stream, by):
        stream.ack(min(stream.last + by, (1 << 64) - 1), lie=True)

    # What the stream tells

    def stream_placed(self):
        if self._settling:
            say("placed")

    def flag_seen(self, raw):
        at = raw.rindex(b'"tx":', 0, raw.rindex(FLAG))
        self._flag = int(raw[at + 5:raw.index(b",", at)])
        say("flag", self._flag, self._stream.last)

    # What the other end says

    def listen(self):
        for line in sys.stdin:
            getattr(self, "do_" + line.strip())()
        os._exit(0)

    def do_settle(self):
        self._settling = True
        if self._stream is not None and self._stream.placed:
            say("placed")

    def do_drain(self):
        self._draining = True
        self._wake.set()
        stream = self._stream
        if stream is not None and stream.last:
            stream.ack(stream.last)

    def do_lie(self):
        self.lie(self._stream, 1)

    def do_leave(self):
        self.leaving = True
        self._wake.set()
        stream = self._stream
        if stream is not None:
            stream.cancel()

    def run(self):
        number = 0
        while not self.leaving:
            number += 1
            path = os.path.join(
                self.spec["dir"], "{name}-{life}-{n}.stream".format(
                    **self.spec, n=number))
            self._stream = Stream(self, path)
            self._events = 0
            code, details = self._stream.run()
            say("ended", code)
            if code == "OUT_OF_RANGE":
                self._refused(details)
            self._wake.wait(self.rng.uniform(0.02, 0.2))
            if self._wake.is_set():
                time.sleep(0.05)


def main():
    consumer = Consumer(json.loads(sys.argv[1]))
    threading.Thread(target=consumer.listen, daemon=True).start()
    consumer.run()
    say("left")
    os._exit(0)


if __name__ == "__main__":
    main()
