"""One round: clients, load and faults, then quiet, then judgement."""

import time

import faults
import kinds
from fleet import REQUIRED
from history import History
from validators import Violation, check

SETTLE = 40  # s until every client has a stream again
CATCH_UP = 60  # s until every client has everything
FLAGS = 3      # tries in that time
CONFIRM = 12  # s until the slot is where everybody is
QUIET = 1.2   # s for the strict half of O9


class Result:
    def __init__(self):
        self.faults = {}
        self.events = self.transactions = self.rows = self.streams = 0
        self.memory = 0  # bytes, the most that walstream had
        self.violations = []


class Round:
    def __init__(self, scene, count, table, before):
        self._scene = scene
        self._count = count
        self._functions, self._weights = table
        self._before = before  # transactions of rounds before that may come again
        self.result = Result()
        self.transactions = []
        self._since = time.monotonic()

    def run(self):
        scene = self._scene
        scene.begin_round()
        self._first_clients()
        self._took("begun")
        for _ in range(self._count):
            self._pause()
            self._fault()
        self._took("faults")
        quiet_from = self._quiesce()
        quiet_until = time.monotonic()
        self._took("quiet")
        scene.fleet.close()
        self._judge(quiet_from, quiet_until)
        self._took("judged")
        scene.fleet = None
        return self.result

    def _took(self, what):
        now = time.monotonic()
        if self._scene.config.verbose:
            print(f"    {what}: {now - self._since:.1f} s", flush=True)
        self._since = now

    # Faults

    def _first_clients(self):
        scene = self._scene
        if scene.daemon.required:
            scene.fleet.join(kinds.REQUIRED, REQUIRED)
        scene.fleet.join(kinds.PLAIN)
        for _ in range(scene.rng.randint(1, 3)):
            scene.fleet.join()

    def _pause(self):
        """Until the next fault; meanwhile clients come back and leave."""
        scene = self._scene
        until = time.monotonic() + min(
            scene.rng.expovariate(1 / scene.config.pace), 4)
        while True:
            scene.fleet.tick()
            scene.daemon.listening()
            scene.daemon.check()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def _fault(self):
        scene = self._scene
        for _ in range(50):
            function, = scene.rng.choices(self._functions, self._weights)
            done = function(scene, scene.rng)
            if done is not None:
                break
        else:
            return
        name = function.__name__
        scene.note(name, did=done)
        self.result.faults[name] = self.result.faults.get(name, 0) + 1
        if scene.config.verbose:
            print(f"    {name}: {done}", flush=True)

    # Quiet

    def _quiesce(self):
        """Everything is delivered, and confirmed. Returns since when nothing
        was disturbed and nobody was behind."""
        scene = self._scene
        scene.calm()
        scene.note("calm")
        scene.healthy()
        self._need(scene.fleet.settle(SETTLE), "a stream in place", SETTLE)
        if scene.load.ask("pause", 100) != "pause":
            raise RuntimeError("the writers do not pause")
        time.sleep(0.2)
        self._need(scene.fleet.settle(SETTLE), "a stream in place", SETTLE)
        self._need(self._flag(), "everything that was committed", CATCH_UP)
        quiet_from = time.monotonic()
        scene.checkpoint()
        self._confirm()
        time.sleep(QUIET)
        self._lie()
        return quiet_from

    def _flag(self):
        """Who does not get what is committed now. Somebody whose stream ended
        unseen a moment ago may begin behind a flag, but not behind all."""
        for _ in range(FLAGS):
            flag = self._scene.flag()
            self._scene.note("flag", tx=flag)
            late = self._scene.fleet.wait_flag(flag, CATCH_UP / FLAGS)
            if not late:
                break
        return late

    def _need(self, late, what, seconds):
        scene = self._scene
        for client in late:
            scene.problem(
                "o10", f"{client.name} ({client.spec['policy']}) has waited"
                f" {seconds} s for {what}, in silence (streams ended with"
                f" {client.codes[-3:]})", scene.daemon.tail())

    def _confirm(self):
        """Everybody has acknowledged everything: the slot follows, also past
        WAL that is for nobody."""
        scene = self._scene
        scene.query("INSERT INTO noise (v) SELECT repeat('n', 50)"
                    " FROM generate_series(1, 50) RETURNING 1")
        end = scene.wal_end()
        deadline = time.monotonic() + CONFIRM
        while scene.confirmed() < end:
            if time.monotonic() > deadline:
                scene.problem(
                    "o2", "everything is acknowledged and quiet, and the slot"
                    f" stays at {scene.confirmed():X}, below {end:X}, for"
                    f" {CONFIRM} s", scene.daemon.tail())
                return
            time.sleep(0.02)

    def _lie(self):
        client, code = self._scene.fleet.lie()
        if client is not None and code != "INVALID_ARGUMENT":
            self._scene.problem(
                "o5", f"{client.name} acknowledged one more than it was sent,"
                f" in quiet; its stream ended with {code}")

    # Judgement

    def _judge(self, quiet_from, quiet_until):
        scene, result = self._scene, self.result
        scene.tap.call("flush")
        scene.sampler.flush()
        self.transactions = scene.referee.judge(scene.log_path)
        known = self._before + self.transactions
        for index, one in enumerate(known):
            one.index = index
        history = History(scene, known, quiet_from, quiet_until)
        result.violations = check(history)
        result.memory = max((rss for _, _, rss in history.memory), default=0)
        result.streams = len(history.streams)
        result.events = sum(one.reading.rows for one in history.streams)
        result.transactions = len(self.transactions)
        result.rows = sum(one.count for one in self.transactions)


def failed(error):
    """A run that could not go on, as a result."""
    result = Result()
    first, *more = str(error).splitlines()
    result.violations = [Violation("o10", first, more)]
    return result
