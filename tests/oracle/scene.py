"""All that a run has going: PostgreSQL, the proxies, walstream, the writers,
the sampler, and the clients of the present round."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import tempfile
import threading
import time

import psycopg

import place
import stubs
import workload
from child import Child
from cluster import Cluster
from daemon import SLOT, Daemon
from fleet import MOST, REQUIRED, Fleet
from load import Log, Session
from referee import Referee
from sampler import Sampler
from validators import Violation

WRITERS = 4
MAIN_WRITER = 99  # whose transactions are ours
# Of walstream: as far as it has them, what keeps a run short.
OPTIONS = {"shutdown-grace": 1, "drain": 1}
BUFFERS = ("256KiB", "1MiB", "4MiB")


def has_option(binary, name):
    import subprocess
    text = subprocess.run([binary, "start", "--help"], capture_output=True,
                          text=True, timeout=10, check=False).stdout
    return f"--{name} " in text


class Scene:
    def __init__(self, config):
        self.config = config
        self.rng = random.Random(config.seed)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="walstream-oracle-"))
        self.most = MOST
        self._timers = {}
        self._lock = threading.Lock()
        self._ends = contextlib.ExitStack()
        self.fleet = None
        self.disturbances = []
        self.problems = []
        self.notes = []
        self._round = 0
        self._tx = MAIN_WRITER * workload.WRITER_TXS
        self.settled = 0  # confirmed when the last round ended
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        (self.dir / "stubs").mkdir()
        stubs.generate(self.dir / "stubs")
        binary = str(self.dir / "walstream")
        shutil.copy2(self.config.walstream, binary)
        self._errors = open(self.dir / "helpers.err", "ab")
        self.cluster = Cluster()
        self._ends.callback(self._remove_cluster)
        self.tap = Child("tap.py", str(self.cluster.port), self._errors)
        self._ends.callback(self.tap.end)
        self.daemon = Daemon(binary, self.cluster.conninfo(
            port=self.tap.call("ports")), self.dir / "walstream.log")
        self._ends.callback(self.daemon.stop)
        self._new_options(binary)
        self.daemon.start()
        self.sampler = Sampler(self.cluster, self.daemon)
        self._ends.callback(self.sampler.stop)
        self.load = Child("load.py", json.dumps(
            {"conninfo": self.cluster.conninfo(
                application_name="oracle-load"),
             "seed": self.config.seed, "writers": WRITERS,
             "rate": self.config.rate, "giant": self.config.giant}),
            self._errors)
        self._ends.callback(self.load.end)
        self.referee = Referee(self.cluster)
        self._session = Session(self.cluster.conninfo(
            application_name="oracle-load"))

    def _remove_cluster(self):
        if self.config.keep:
            self.cluster.stop("immediate")
            print(f"kept: {self.dir}, PostgreSQL's: {self.cluster.dir}")
        else:
            self.cluster.remove()

    def close(self):
        self.calm(tap=False)
        if self.fleet is not None:
            self.fleet.abandon()
        self._ends.close()
        if not self.config.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    # walstream's options, drawn for every round

    def _new_options(self, binary=None):
        if binary is not None:
            self._supported = {name: value for name, value in OPTIONS.items()
                               if has_option(binary, name)}
            self._can_require = has_option(binary, "require-consumer")
        daemon = self.daemon
        daemon.options = {"buffer-size": self.rng.choice(BUFFERS),
                          **self._supported}
        required = self._can_require and self.rng.random() < 0.4
        daemon.required = (REQUIRED,) if required else ()

    # A round

    def begin_round(self):
        self._round += 1
        self.round_dir = self.dir / f"round{self._round}"
        self.round_dir.mkdir()
        self.disturbances, self.problems, self.notes = [], [], []
        self.cluster.ends.clear()
        self.tap.call("log", str(self.round_dir / "tap.log"))
        self.sampler.log(self.round_dir / "samples.log")
        self.log_path = str(self.round_dir / "load.log")
        self._log = Log(self.log_path)
        self.began = time.monotonic()
        if self._round > 1:
            self._new_options()
            self.daemon.renew()
        del self.daemon.lives[:-1]
        self.floor = self._confirmed()
        self.fleet = Fleet(
            self.rng, lambda link: self.tap.call("link", link,
                                                 self.daemon.port),
            self.dir / "stubs", self.round_dir, self.note,
            self.config.subscriptions)
        self._empty_tables()
        self.load.ask(f"round {self.log_path}")

    def _empty_tables(self):
        self.load.ask("forget")
        self.commit([["trunc", name] for name in ("t", "u", "side")])

    def commit(self, steps):
        """A transaction of our own; returns its number."""
        for _ in range(5):  # the connection may be an old one
            self._tx += 1
            if self._session.run(self._log, self._tx, steps):
                return self._tx
        raise RuntimeError(f"transaction {self._tx} did not commit")

    def flag(self):
        return self.commit(workload.flag(
            MAIN_WRITER * workload.WRITER_IDS + self._tx))

    def query(self, sql, *params):
        with self.cluster.admin() as conn:
            return conn.execute(sql, params).fetchone()[0]

    def _confirmed(self):
        return int(self.query(
            "SELECT (confirmed_flush_lsn - '0/0')::bigint"
            " FROM pg_replication_slots WHERE slot_name = %s", SLOT))

    confirmed = _confirmed

    def wal_end(self):
        return int(self.query(
            "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"))

    # What happened, for the evidence

    def note(self, what, **fields):
        words = " ".join(f"{name}={value}" for name, value in fields.items())
        line = (time.monotonic(), f"{what} {words}".strip())
        self.notes.append(line)
        with open(self.round_dir / "notes.log", "a", encoding="utf-8") as log:
            print(f"{line[0]:.6f} {line[1]}", file=log)

    def problem(self, rule, text, more=""):
        self.problems.append(Violation(rule, text, more.splitlines()))

    # Disturbances, and their end

    def disturb(self, what, seconds):
        now = time.monotonic()
        self.disturbances.append((now, now + seconds, what))

    @contextlib.contextmanager
    def disturbed(self, what):
        since = time.monotonic()
        try:
            yield lambda: time.monotonic() - since
        finally:
            self.disturbances.append((since, time.monotonic() + 1, what))

    def later(self, seconds, function):
        timer = threading.Timer(seconds, lambda: self._due(timer))
        with self._lock:
            self._timers[timer] = function
        timer.daemon = True
        timer.start()

    def _due(self, timer):
        with self._lock:
            function = self._timers.pop(timer, None)
        if function is not None:
            function()

    def resume_all(self):
        """Ends at once what would have ended later."""
        with self._lock:
            timers = dict(self._timers)
        for timer in timers:
            timer.cancel()
            self._due(timer)

    def calm(self, tap=True):
        self.resume_all()
        if tap:
            self.tap.call("calm")

    def healthy(self):
        """Everything is up again."""
        self.cluster.wait_up()
        self.daemon.wait_listening()
        for child in (self.tap, self.load):
            if not child.alive():
                raise RuntimeError(f"{child.name} has ended:\n"
                                   + (self.dir / "helpers.err").read_text())

    def checkpoint(self):
        """Lets PostgreSQL write the slot to disk sooner: what is confirmed
        then never comes again."""
        with contextlib.suppress(psycopg.Error):
            with self.cluster.admin() as conn:
                conn.execute("CHECKPOINT")
