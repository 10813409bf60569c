"""grpc.health.v1.Health, and `walstream health`, which asks it."""

import contextlib
import socket
import threading
import time

import grpc
import pytest

from client import channel
from proc import fails, run
from rawframes import message
from rawh2 import RawClient
from waiting import SANITIZED, SCALE, until

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"


@pytest.fixture
def check(stubs):
    """Asks a server for its health; returns the name of the status."""
    @contextlib.contextmanager
    def stub(to):
        with channel(to.address) as on:
            yield stubs.health_grpc.HealthStub(on)

    def ask(to, service=""):
        with stub(to) as health:
            answer = health.Check(
                stubs.health.HealthCheckRequest(service=service), timeout=10)
        return stubs.health.HealthCheckResponse.ServingStatus.Name(
            answer.status)

    return ask


def health(to, *options):
    done = run("health", to.address, *options)
    return done.returncode, done.stdout


@pytest.mark.parametrize("service", ["", "plugin.PluginService"])
def test_serving(server, check, service):
    """A walstream that listens can serve, with nobody attached."""
    assert check(server(), service) == "SERVING"


def test_unknown_service(server, check):
    """NOT_FOUND, as the protocol says."""
    walstream = server()
    with pytest.raises(grpc.RpcError) as failed:
        check(walstream, "no.such.Service")
    assert failed.value.code() == grpc.StatusCode.NOT_FOUND
    assert "no.such.Service" in failed.value.details()


def test_while_streaming(db, server, client, check):
    """Attached streams make no difference."""
    walstream = server()
    attached = client(walstream)
    db.sql("INSERT INTO t VALUES (1, 'x')")
    attached.wait_for(1)
    assert check(walstream) == "SERVING"


def test_locked_out(db, role, server, client, check):
    """NOT_SERVING while PostgreSQL refuses; SERVING when it lets us in."""
    walstream = server(connection=db.conninfo(user=role))
    client(walstream)
    with db.locked_out(role):
        walstream.wait_log("pg.lost")
        assert check(walstream) == "NOT_SERVING"
        assert health(walstream) == (1, "NOT_SERVING\n")
    until(lambda: check(walstream) == "SERVING", 20, "SERVING")
    assert health(walstream) == (0, "SERVING\n")


def test_pair(db, server, client, check):
    """Of a hot standby pair only the one that has the slot can serve: a load
    balancer finds it."""
    first = server()
    stream = client(first)
    second = server(shared=True)
    until(lambda: check(second) == "NOT_SERVING", 10, "NOT_SERVING")
    assert check(first) == "SERVING"
    stream.close()
    until(lambda: check(second) == "SERVING", 10, "SERVING")


def test_slot_dropped_while_nobody_is_attached(db, server, check):
    """It is noticed without a client."""
    walstream = server()
    db.sql("SELECT pg_drop_replication_slot(%s)", (db.slot,))
    line = walstream.wait_log("pg.lost")[0]
    assert "vanished" in line
    assert check(walstream) == "NOT_SERVING"


def test_lost_slot(db, role, server, client, check):
    """NOT_SERVING while the slot is gone: nobody makes another."""
    walstream = server(connection=db.conninfo(user=role))
    attached = client(walstream)
    with db.locked_out(role):
        db.sql("SELECT pg_drop_replication_slot(%s)", (db.slot,))
    attached.ended()
    assert attached.code == grpc.StatusCode.DATA_LOSS
    assert check(walstream) == "NOT_SERVING"


def test_draining(db, server, client, check):
    """From SIGTERM on a connection that is still there hears NOT_SERVING."""
    walstream = server(drain="10")
    attached = client(walstream)
    with channel(walstream.address) as on:
        ask = on.unary_unary(CHECK)
        assert ask(b"", timeout=10) == b"\x08\x01"
        db.sql("INSERT INTO t VALUES (1, 'x')")
        attached.wait_for(1)
        walstream.child.terminate()
        walstream.wait_log("server.stopping")
        assert ask(b"", timeout=10) == b"\x08\x02"
    attached.ack(attached.events[-1].pg_lsn)
    assert walstream.wait() == 0


@pytest.mark.parametrize("requests, code", [
    ([], grpc.StatusCode.UNIMPLEMENTED),
    ([b"", b""], grpc.StatusCode.UNIMPLEMENTED),
    ([b"\x0a\x05x"], grpc.StatusCode.INTERNAL),
], ids=["none", "two", "malformed"])
def test_bad_requests(server, requests, code):
    """A unary method takes exactly one message, and a good one."""
    with channel(server().address) as on:
        with pytest.raises(grpc.RpcError) as failed:
            list(on.stream_stream(CHECK)(iter(requests), timeout=10))
    assert failed.value.code() == code


class Watcher:
    """A Watch and what it was told, by name."""

    def __init__(self, stubs, on, service=""):
        self.told, self.code = [], None
        self._name = stubs.health.HealthCheckResponse.ServingStatus.Name
        self._call = stubs.health_grpc.HealthStub(on).Watch(
            stubs.health.HealthCheckRequest(service=service))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            for answer in self._call:
                self.told.append(self._name(answer.status))
            self.code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            self.code = error.code()

    def wait_for(self, *told):
        until(lambda: len(self.told) >= len(told) or self.code, 20,
              lambda: f"{told}; {self.told}, {self.code}")
        assert self.told == list(told)

    def ended(self):
        until(lambda: self.code, 20, lambda: f"the end; {self.told}")
        return self.code

    def cancel(self):
        self._call.cancel()
        self._reader.join(10)


@pytest.fixture
def watch(stubs):
    """Watches a server's health."""
    with contextlib.ExitStack() as stack:
        def start(to, service=""):
            on = stack.enter_context(channel(to.address))
            one = Watcher(stubs, on, service)
            stack.callback(one.cancel)
            return one

        yield start


def test_watch(db, role, server, watch, client):
    """At once, and when it changes; nothing else, and no end."""
    walstream = server(connection=db.conninfo(user=role))
    one = watch(walstream)
    other = watch(walstream, "plugin.PluginService")
    one.wait_for("SERVING")
    other.wait_for("SERVING")
    client(walstream)
    with db.locked_out(role):
        one.wait_for("SERVING", "NOT_SERVING")
        watch(walstream).wait_for("NOT_SERVING")
    one.wait_for("SERVING", "NOT_SERVING", "SERVING")
    other.wait_for("SERVING", "NOT_SERVING", "SERVING")
    assert one.code is None


def test_watch_unknown_service(server, watch, check):
    """SERVICE_UNKNOWN as an answer; the stream stays."""
    walstream = server()
    one = watch(walstream, "no.such.Service")
    one.wait_for("SERVICE_UNKNOWN")
    assert check(walstream) == "SERVING"
    assert one.code is None and one.told == ["SERVICE_UNKNOWN"]


def test_watch_is_no_session(db, server, client, watch):
    """Replication ends with the last session, whoever watches."""
    walstream = server()
    one = watch(walstream)
    one.wait_for("SERVING")
    assert db.walsender() is None
    stream = client(walstream)
    assert db.walsender() is not None
    stream.close()
    until(lambda: db.walsender() is None, 20, "the end of replication")
    assert one.told == ["SERVING"]


def test_watch_and_shutdown(db, server, client, watch):
    """NOT_SERVING from SIGTERM on, UNAVAILABLE when the sessions have
    ended."""
    walstream = server(drain="60")
    stream = client(walstream)
    one = watch(walstream)
    one.wait_for("SERVING")
    db.sql("INSERT INTO t VALUES (1, 'x')")
    stream.wait_for(1)
    walstream.child.terminate()
    one.wait_for("SERVING", "NOT_SERVING")
    assert one.code is None  # an ack is waited for
    stream.ack_all()
    assert one.ended() == grpc.StatusCode.UNAVAILABLE
    assert one.told == ["SERVING", "NOT_SERVING"]
    assert walstream.wait() == 0


def test_watchers_delay_no_shutdown(server, watch):
    """With nobody but watchers it is over at once; all hear why."""
    walstream = server(drain="60")
    ones = [watch(walstream, service)
            for service in ("", "plugin.PluginService", "no.such.Service")]
    for one in ones:
        until(lambda one=one: one.told, 20, "the first status")
    started = time.monotonic()
    assert walstream.stop() == 0
    assert time.monotonic() - started < 5 * SCALE
    assert [one.ended() for one in ones] == [grpc.StatusCode.UNAVAILABLE] * 3
    assert ones[0].told == ones[1].told == ["SERVING", "NOT_SERVING"]
    assert ones[2].told == ["SERVICE_UNKNOWN"]


def test_many_watchers(server, check):
    """G43: thousands, a hundred at a time; what they cost is given back."""
    walstream = server()
    before = walstream.status("VmRSS")
    for _ in range(30):
        raw = RawClient(walstream.port)
        streams = [raw.request({":path": WATCH}) for _ in range(100)]
        for one in streams:
            raw.data(one, message(b""))
        raw.until(lambda raw=raw, streams=streams: all(
            len(raw.body.get(one, b"")) == 7 for one in streams), 30)
        raw.close()
    assert check(walstream) == "SERVING"
    if not SANITIZED:
        assert walstream.status("VmRSS") - before < 16 << 20


@pytest.mark.parametrize("requests, code", [
    ([], grpc.StatusCode.UNIMPLEMENTED),
    ([b"", b""], grpc.StatusCode.UNIMPLEMENTED),
    ([b"\x0a\x05x"], grpc.StatusCode.INTERNAL),
], ids=["none", "two", "malformed"])
def test_bad_watch(server, requests, code):
    with channel(server().address) as on:
        with pytest.raises(grpc.RpcError) as failed:
            list(on.stream_stream(WATCH)(iter(requests), timeout=10))
    assert failed.value.code() == code


def test_command(server):
    """walstream health says SERVING and exits 0."""
    walstream = server()
    assert health(walstream) == (0, "SERVING\n")


def test_command_reads_start_s_environment(server):
    """PORT and HOST mean what they mean to start; 0.0.0.0 is loopback."""
    port = str(server().port)
    for host in ("0.0.0.0", "::", "127.0.0.1"):
        done = run("health", env={"PORT": port, "HOST": host})
        assert (done.returncode, done.stdout) == (0, "SERVING\n")


def test_command_without_a_server():
    """Nobody listens: one line that names the address."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        fails("health", address, naming=[address, "refused"], code=1)


def test_command_does_not_wait_for_ever():
    """A listener that says nothing: --timeout ends it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        fails("health", address, "--timeout", "1", naming=["--timeout"],
              code=1)


def test_command_and_another_kind_of_server():
    """HTTP/1.1 answers: not a gRPC server."""
    def answer():
        with listener.accept()[0] as peer:
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        fails("health", f"127.0.0.1:{listener.getsockname()[1]}",
              naming=["HTTP/2"], code=1)
        thread.join()


@pytest.mark.parametrize("args", [
    ["a:b:c"], ["127.0.0.1:99999"], ["--timeout", "soon"], ["x", "y"]])
def test_command_asked_wrongly(args):
    fails("health", *args, code=2)
