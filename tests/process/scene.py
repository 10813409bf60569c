"""A short life of walstream, from start to SIGTERM, that is played under a
fault, and what has to be true of it whatever the fault was.

Two consumers attach: a Session without a name, and a Subscribe stream, in
batches, of the consumer b, which is required. Both acknowledge; b all but the
last transaction, so that one must be in the slot at the end in any case. There
are a health check and a call that is refused, too.
"""

import json
import os
import signal
import socket
import threading
import time

import grpc

import proc
from client import METHOD, OPTIONS
from pgserver import free_port
from subscriber import SUBSCRIBE
from waiting import SCALE

# The rows of each transaction; the last is never acknowledged by b.
TRANSACTIONS = ((1, 2), (3,), (4, 5, 6), (7,))
EARLY = 2  # so many are committed before walstream starts
ALL = TRANSACTIONS[-1][-1]
KEPT = TRANSACTIONS[-1][0]  # and later
REFUSED = "/plugin.PluginService/Nothing"
CHECK = "/grpc.health.v1.Health/Check"

LOADER = "error while loading shared libraries"  # its words, and status 127

# How a play went.
DONE, NO_START, UNFINISHED = "done", "no start", "unfinished"


def value(number):
    return f"v{number}-" + "x" * (number * 20)


class Broken(AssertionError):
    """Something that must hold did not."""


class Consumer:
    """Attaches over and over until it has, and has acknowledged, what it is to
    have. wrong: what it saw that must not be."""

    def __init__(self, stubs, address, subscribe, last_ack):
        self.pb2 = stubs.pb2
        self.address = address
        self.subscribe = subscribe
        self.last_ack = last_ack
        self.top = 0    # the highest row that came
        self.acked = 0  # and that was acknowledged,
        self.lsn = 0    # by this
        self.ends = []  # (code, details) of each stream
        self.wrong = []
        self.over = threading.Event()
        self._call = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def done(self):
        return self.top == ALL and self.acked == self.last_ack

    def close(self):
        self.over.set()
        call = self._call
        if call is not None:
            call.cancel()
        self._thread.join(10)

    def _run(self):
        while not self.over.is_set():
            with grpc.insecure_channel(self.address, OPTIONS) as channel:
                try:
                    self._stream(channel)
                    self.ends.append((grpc.StatusCode.OK, ""))
                except grpc.RpcError as why:
                    self.ends.append((why.code(), why.details()))
                except Broken as why:
                    self.wrong.append(str(why))
                    return
            self.over.wait(0.02)

    def _ack(self, queue, lsn, number):
        if number <= self.last_ack:
            queue.append(self.pb2.ClientMessage(
                ack=self.pb2.ClientAck(pg_lsn=lsn)))
            self.acked = max(self.acked, number)
            self.lsn = max(self.lsn, lsn)

    def _stream(self, channel):
        queue, stop = [], threading.Event()

        def requests():
            while not stop.is_set():
                if queue:
                    yield queue.pop(0)
                else:
                    stop.wait(0.005)

        if self.subscribe:
            queue.append(self.pb2.ClientMessage(start=self.pb2.Start(
                consumer="b", batch=True, relations=True,
                tables=["public.*"], exact=True)))
        self._call = channel.stream_stream(
            SUBSCRIBE if self.subscribe else METHOD,
            request_serializer=self.pb2.ClientMessage.SerializeToString,
            response_deserializer=self.pb2.ServerMessage.FromString)(
                requests())
        try:
            self._read(queue)
        finally:
            stop.set()
            self._call.cancel()

    def _read(self, queue):
        before = None
        for message in self._call:
            batch = message.WhichOneof("msg") == "batch"
            for one in message.batch.messages if batch else [message]:
                before = self._take(one, queue, before)

    def _take(self, one, queue, before):
        """before: the row before this one on this stream."""
        op = one.WhichOneof("msg")
        if op in ("started", "relation", "begin", "progress"):
            return before
        body = getattr(one, op)
        if op == "commit":
            self._ack(queue, body.pg_lsn, before)
            return before
        if op != "insert":
            raise Broken(f"{op} was never done: {one}")
        row = json.loads(body.json_payload)
        number = row["id"]
        if row != {"id": number, "v": value(number)} or \
                (body.schema, body.table) != ("public", "t"):
            raise Broken(f"altered: {str(one)[:500]}")
        if before is not None and number != before + 1:
            raise Broken(f"row {number} after {before}")
        if before is None and self.subscribe and number > self.acked + 1:
            raise Broken(f"row {number} first, {self.acked} acknowledged")
        self.top = max(self.top, number)
        if not self.subscribe:
            last = [t[-1] for t in TRANSACTIONS]
            if number in last:
                self._ack(queue, body.pg_lsn, number)
        return number


def unary(address, method, deserialize, request=b""):
    """Calls, and returns the code; one that never comes is none."""
    with grpc.insecure_channel(address, OPTIONS) as channel:
        try:
            channel.unary_unary(method, response_deserializer=deserialize)(
                request, timeout=5 * SCALE)
            return grpc.StatusCode.OK
        except grpc.RpcError as why:
            return why.code()


def cpu(pid):
    """Seconds of CPU time so far."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Scene:
    def __init__(self, db, stubs):
        self.db = db
        self.stubs = stubs
        self.log = ""
        self.port = None
        self.deaf = False
        db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
               (db.slot,))

    def play(self, wrapper=(), env=None, patience=10, cpu_limit=2.0,
             options=(), stop_after=None, program=None, host="127.0.0.1",
             stop_by=signal.SIGTERM, deaf=False):
        """One life. patience: for how long the streams may take. Returns DONE,
        NO_START or UNFINISHED; what never may be is an AssertionError.
        stop_after: the end comes so many seconds after it listens, by the
        signal stop_by. deaf: what it logs may be lost."""
        self._rewind()
        self._insert(TRANSACTIONS[:EARLY])
        self.deaf = deaf
        self.port = free_port()
        one = proc.Server(
            "-c", self.db.conninfo(host=host), "start", "--publication", "pub",
            "--slot", self.db.slot, "--host", "127.0.0.1", "--port", str(self.port),
            "--temporary", "false", "--drain", "0", "--require-consumer", "b",
            "--create-slot", "never", *options, env=env, wrapper=wrapper,
            program=program)
        try:
            return self._play(one, patience * SCALE, cpu_limit * SCALE,
                              stop_after, stop_by)
        finally:
            if one.child.poll() is None:
                one.child.kill()
                one.child.wait()
            one.reader.join(5)
            self.log = one.text()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _rewind(self):
        """The slot begins with what comes now."""
        deadline = time.monotonic() + 15
        while self.db.walsender() is not None:
            if time.monotonic() > deadline:
                raise AssertionError("the slot stays in use")
            time.sleep(0.01)
        self.db.sql("TRUNCATE t")
        self.db.sql("SELECT pg_replication_slot_advance(%s,"
                    " pg_current_wal_lsn())", (self.db.slot,))

    def _insert(self, transactions):
        for rows in transactions:
            self.db.transaction(*(
                f"INSERT INTO t VALUES ({n}, '{value(n)}')" for n in rows))

    def _play(self, one, patience, cpu_limit, stop_after, stop_by):
        if not self._listens(one):
            self._insert(TRANSACTIONS[EARLY:])
            self._judge(one, [], 0)
            return NO_START
        consumers = [Consumer(self.stubs, self.address, False, ALL),
                     Consumer(self.stubs, self.address, True, KEPT - 1)]
        begin = time.monotonic()
        asked = False
        try:
            self._insert(TRANSACTIONS[EARLY:])
            if stop_after is None:
                asked = self._ask(self.address)
            limit = begin + (patience if stop_after is None else stop_after)
            done = False
            while (stop_after is not None or not done) \
                    and time.monotonic() < limit and one.child.poll() is None:
                time.sleep(0.005)
                done = all(c.done() for c in consumers) and \
                    self.db.confirmed() >= consumers[1].lsn
            used = cpu(one.pid)
            # Who is refused comes again at once; strace makes that dear.
            cpu_limit += (time.monotonic() - begin) / 15
            if one.child.poll() is not None:
                raise AssertionError(
                    f"it ended by itself, with {one.child.returncode}:\n"
                    + one.text())
            # A client that is there to the end sees the shutdown.
            code = one.stop(stop_by, 12)
            if stop_by == signal.SIGKILL:
                code += signal.SIGKILL
        finally:
            for c in consumers:
                c.close()
        if used > cpu_limit:
            raise AssertionError(f"{used} s of CPU time:\n{one.text()}")
        self._judge(one, consumers, code)
        return DONE if asked and done else UNFINISHED

    def _listens(self, one):
        """Waits until it listens, or has ended as it should."""
        deadline = time.monotonic() + 20 * SCALE
        while not (one.logged("server.listening")
                   or self.deaf and self._accepts()):
            if one.child.poll() is not None:
                one.reader.join(5)
                code, said = one.child.returncode, proc.complaints(one.text())
                ended = code in (1, 2) or \
                    code == 127 and LOADER in "".join(said)
                if not ended or not (said or self.deaf):
                    raise AssertionError(f"no start, {code}:\n{one.text()}")
                return False
            if time.monotonic() > deadline:
                raise AssertionError(f"it never listened:\n{one.text()}")
            time.sleep(0.002)
        return True

    def _accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def _ask(self, address):
        """A health check, and a method that is none: are both answered as they
        should be, at the third try at the latest?"""
        answer = self.stubs.health.HealthCheckResponse.FromString
        calls = (CHECK, answer, grpc.StatusCode.OK), \
            (REFUSED, bytes, grpc.StatusCode.UNIMPLEMENTED)
        return all(any(unary(address, method, parse) == code
                       for _ in range(3)) for method, parse, code in calls)

    def _judge(self, one, consumers, code):
        one.reader.join(5)
        text = one.text()
        proc.check_reports(text)
        wrong = [w for c in consumers for w in c.wrong]
        if wrong:
            raise AssertionError(f"{wrong}\n{text}")
        if code != 0:
            raise AssertionError(f"exit status {code}:\n{text}")
        kept = self._in_slot()
        acked = consumers[1].acked if consumers else 0
        lost = [n for n in range(acked + 1, ALL + 1) if n not in kept]
        if lost:
            raise AssertionError(
                f"confirmed past {lost}: b had acknowledged {acked}, the slot"
                f" has {kept}\n{text}")

    def _in_slot(self):
        """The rows that the slot still has."""
        deadline = time.monotonic() + 15
        while self.db.walsender() is not None:
            if time.monotonic() > deadline:
                raise AssertionError("the slot stays in use")
            time.sleep(0.01)
        found = self.db.sql(
            "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL,"
            " NULL, 'proto_version', '1', 'publication_names', 'pub')",
            (self.db.slot,))
        # An Insert: its first column, a length and as many digits.
        return [int(data[13:13 + int.from_bytes(data[9:13], "big")])
                for (data,) in found if data[:1] == b"I"]
