"""grpc.health.v1.Health/Check, and `walstream health`, which asks it."""

import contextlib
import socket
import threading

import grpc
import pytest

from client import channel
from proc import fails, run
from waiting import until

CHECK = "/grpc.health.v1.Health/Check"


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
