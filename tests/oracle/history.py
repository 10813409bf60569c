"""What a round left behind, read back: what the validators judge."""

import bisect
import json
import os

import kinds
import stubs
import streamlog
from reading import Reading
from view import Views

FOREVER = float("inf")


class Stream:
    """One call of one client.

    claims: [from, until): while it is certainly attached, as far as this is
    known from outside: from when its client had its headers to the first
    thing that could have ended it.
    """

    def __init__(self, path, pb2):
        self.path = path
        self.name = os.path.basename(path)
        self._pb2 = pb2
        self.opened = self.placed = self.half_closed = None
        self.left = self.ended = self.first_lie = None
        self.code, self.details = None, ""
        self.acks = []      # (time, lsn)
        self.lies = []      # (time, lsn)
        self.messages = 0
        self.first_event = self.last_event = None  # times
        self.started = None
        self.life = None    # of walstream
        self.dead = None    # when its process was killed
        self.cut = None     # when its connection was
        self.until = None
        self._scan()

    def _scan(self):
        for kind, at, body in streamlog.read(self.path):
            if kind == streamlog.EVENT:
                self._saw(at, body)
            elif kind == streamlog.ACK:
                self.acks.append((at, streamlog.LSN.unpack(body)[0]))
            elif kind == streamlog.LIE:
                self.lies.append((at, streamlog.LSN.unpack(body)[0]))
            elif kind == streamlog.OPEN:
                self.opened, self.spec = at, json.loads(body)
            elif kind == streamlog.PLACED:
                self.placed = at
            elif kind == streamlog.HALF_CLOSED:
                self.half_closed = at
            elif kind == streamlog.LEFT:
                self.left = at
            elif kind == streamlog.ENDED:
                self.ended = at
                end = json.loads(body)
                self.code, self.details = end["code"], end["details"]

    def _saw(self, at, body):
        self.messages += 1
        if self.first_event is None:
            self.first_event = at
            message = self._pb2.ServerMessage.FromString(body)
            if message.WhichOneof("msg") == "started":
                self.started = message.started
        self.last_event = at

    def delivered(self):
        """Yields (time, kind, message) of what it was sent, batches undone."""
        for kind, at, body in streamlog.read(self.path):
            if kind != streamlog.EVENT:
                continue
            message = self._pb2.ServerMessage.FromString(body)
            what = message.WhichOneof("msg")
            if what == "batch":
                for one in message.batch.messages:
                    inner = one.WhichOneof("msg")
                    yield at, inner, getattr(one, inner)
            elif what is not None:
                yield at, what, getattr(message, what)

    # What it is

    @property
    def client(self):
        return self.spec["name"]

    @property
    def start(self):
        return self.spec.get("start") or {}

    @property
    def subscribe(self):
        return self.spec["method"] == "Subscribe"

    @property
    def consumer(self):
        return kinds.consumer_name(self.spec)

    @property
    def exact(self):
        return bool(self.start.get("exact"))

    def votes(self):
        return kinds.votes(self.spec)

    # What it acknowledged

    def settle_acks(self):
        """acked(t) as a step function."""
        self._ack_times, self._ack_lsns, top = [], [], 0
        for at, lsn in self.acks:
            if lsn > top:
                top = lsn
                self._ack_times.append(at)
                self._ack_lsns.append(lsn)

    def acked(self, at=FOREVER):
        """The highest ack before a moment; 0 when there was none."""
        i = bisect.bisect_right(self._ack_times, at)
        return self._ack_lsns[i - 1] if i else 0

    def __str__(self):
        return (f"{self.name} ({self.spec['method']} {self.spec['policy']}"
                f" {self.start or ''})")


class TapLog:
    """What passed between walstream and PostgreSQL, and what broke."""

    def __init__(self, path):
        self.lines = []
        self.statuses = []    # (time, connection, flush, line number)
        self.starts = []      # (time, connection, lsn, line number)
        self.keepalives = []  # (time, connection, wal_end, reply)
        self.probes = []      # (time, connection)
        self.opens = {}       # connection -> time
        self.streaming = {}   # connection -> time
        self.closes = {}      # connection -> time
        self.cuts = {}        # link -> [time]
        self.late = []        # (time, seconds): what passed was seen late
        with open(path, encoding="utf-8") as log:
            for line in log:
                self._take(line.split())
                self.lines.append(line.rstrip("\n"))

    def _take(self, words):
        at, link, conn, what = float(words[0]), words[1], words[2], words[3]
        if what in ("cut", "lost", "unreachable"):
            self.cuts.setdefault(link, []).append(at)
        if what == "late":
            self.late.append((at, float(words[4])))
        if link != "pg":
            return
        if what == "status":
            self.statuses.append((at, conn, int(words[5], 16),
                                  len(self.lines)))
        elif what == "start":
            self.starts.append((at, conn, int(words[4], 16), len(self.lines)))
        elif what == "keepalive":
            self.keepalives.append((at, conn, int(words[4], 16),
                                    words[5] == "1"))
        elif what == "probe":
            self.probes.append((at, conn))
        elif what == "open":
            self.opens[conn] = at
        elif what == "streaming":
            self.streaming[conn] = at
        elif what in ("copydone", "cut", "lost", "close", "unreachable"):
            self.closes.setdefault(conn, at)

    def around(self, number, before=4, after=1):
        return self.lines[max(0, number - before):number + after + 1]

    def between(self, since, until, most=40):
        """The first lines of this stretch of time, and the last."""
        lines = [line for line in self.lines
                 if since <= float(line.split(maxsplit=1)[0]) <= until]
        if len(lines) <= most:
            return lines
        return lines[:most // 2] + ["..."] + lines[-most // 2:]


class History:
    """All of a round. transactions has those of the round before, too: they
    may come again when PostgreSQL and walstream both forgot."""

    def __init__(self, scene, transactions, quiet_from, quiet_until):
        self.directory = str(scene.round_dir)
        self.transactions = transactions
        self.lives = list(scene.daemon.lives)
        self.daemon_log = scene.daemon.tail(200)
        self.disturbances = scene.disturbances
        self.cluster_ends = list(scene.cluster.ends)
        self.notes = scene.notes
        self.problems = scene.problems
        self.most_streams = scene.most + 2
        self.began = scene.began
        self.floor = scene.floor  # confirmed when the round began
        # From then until then nothing was disturbed and nobody behind.
        self.quiet_from, self.quiet_until = quiet_from, quiet_until
        self._deaths = scene.fleet.deaths
        self.pb2 = stubs.load(scene.dir / "stubs")
        self.tap = TapLog(os.path.join(self.directory, "tap.log"))
        self._samples(os.path.join(self.directory, "samples.log"))
        self.views = Views(transactions)
        self.view = self.views.of({})
        self.streams = self._streams()
        self._attach()
        self._read()

    def _samples(self, path):
        self.slots, self.memory = [], []
        with open(path, encoding="utf-8") as log:
            for line in log:
                kind, *rest = line.split()
                if kind == "slot":
                    self.slots.append((float(rest[0]), int(rest[1]),
                                       int(rest[2], 16)))
                elif kind == "rss":
                    self.memory.append((float(rest[0]), int(rest[1]),
                                        int(rest[2])))

    def _streams(self):
        found = []
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".stream"):
                one = Stream(os.path.join(self.directory, name), self.pb2)
                if one.opened is not None:
                    one.settle_acks()
                    found.append(one)
        return sorted(found, key=lambda one: one.opened)

    # Who was attached when

    def _attach(self):
        for one in self.streams:
            for at, name, life in self._deaths:
                if (name, life) == (one.client, one.spec["life"]):
                    one.dead = at
            for at in self.tap.cuts.get(one.spec["link"], ()):
                if at >= one.opened and (one.ended is None
                                         or at <= one.ended):
                    one.cut = min(at, one.cut or FOREVER)
            one.life = self.life_at(one.placed or one.opened)
        for one in self.streams:
            one.until = self._until(one)

    def life_at(self, at):
        """The walstream that ran then, or the next."""
        for life in self.lives:
            if life.until is None or life.until >= at:
                return life
        return None

    def _until(self, one):
        moments = [one.dead, one.cut, one.left]
        if one.lies:
            moments.append(one.lies[0][0])
        if one.half_closed is not None:
            moments.append(one.half_closed)
        if one.consumer:
            moments += [other.opened for other in self.streams
                        if other.consumer == one.consumer
                        and other.opened > one.opened]
        known = min((at for at in moments if at is not None), default=FOREVER)
        return min(known, self._ended_by_server(one))

    @staticmethod
    def _ended_by_server(one):
        """A stream that walstream ends as it shuts down is not one that left:
        until the end of the process nobody else's acks may pass it."""
        life = one.life
        if life is not None and life.until is not None:
            if life.told is None or one.ended is None or \
                    one.ended >= life.told[0]:
                return life.until
        return one.ended if one.ended is not None else FOREVER

    def _read(self):
        for one in self.streams:
            one.view = self.views.of(one.start)
            one.reading = Reading(one, one.view).read()
            one.claim = self._claim(one)

    def _claim(self, one):
        """The place of the first transaction that is this stream's to
        acknowledge; None: nothing is known to be."""
        if one.started is not None:
            return one.view.first_at(one.started.start_lsn)
        if one.reading.first is not None:
            return one.reading.first
        if one.placed is None or (one.ended is not None and one.left is None):
            return None  # perhaps it never was in place
        return one.view.first_at(self.reported(one.placed + 0.3))

    # Positions

    def reported(self, at):
        """The highest position walstream has reported, or begun at, by then;
        at least what was confirmed when the round began."""
        if not hasattr(self, "_tops"):
            self._tops, top = [], self.floor
            for when, _, lsn, _ in sorted(self.tap.statuses
                                          + self.tap.starts):
                top = max(top, lsn)
                self._tops.append((when, top))
        i = bisect.bisect_right(self._tops, (at, FOREVER))
        return self._tops[i - 1][1] if i else self.floor

    def reported_by(self, life, at):
        """As reported(), but by this process alone; 0 at first."""
        return max((lsn for when, _, lsn, _ in self.tap.statuses
                    + self.tap.starts if life.since <= when <= at), default=0)

    def story(self, since, until):
        """What was done in this stretch of time, as evidence."""
        return [f"{at:.6f} {text}" for at, text in self.notes
                if (since or 0) <= at <= until + 0.5][-12:]

    def disturbed(self, since, until, prefixes=("",)):
        """What disturbed this stretch of time, or None."""
        for start, end, what in self.disturbances:
            if start < until and end > since and what.startswith(prefixes):
                return what
        return None
