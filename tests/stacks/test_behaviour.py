"""How streams go on and end, by every stack."""

import concurrent.futures
import time

import pytest

from cases import by_name, each_stack, over
from pings import PingCounter
from table import STACKS

CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE = 1, 4, 8, 14


@each_stack
@over("plain", "tls")
def test_half_close(db, serve, call, stack, transport):
    """It becomes an observer: it still gets everything, and nobody waits for
    its acks."""
    walstream = serve(transport)
    observer = call(stack, walstream, "session").attached()
    observer.tell("close")
    db.fill(1, 10)
    observer.rows(10)
    one = call(stack, walstream, "session").attached()
    db.fill(11, 20)
    last = observer.rows(20)[-1][1]
    assert one.rows(20)[-1][1] == last
    assert db.confirmed() < last
    one.ack(last)
    db.wait_confirmed(last)
    assert not observer.over()


@each_stack
@over("plain", "tls")
def test_deadline(db, serve, call, stack, transport, released):
    walstream = serve(transport)
    one = call(stack, walstream, "session", deadline_ms=3000).attached()
    db.fill(1, 10)
    one.rows(10)
    assert one.status()[0] == DEADLINE_EXCEEDED, one.state()
    released()


@each_stack
@over("plain", "tls")
def test_cancel(db, serve, call, stack, transport, released):
    """In the middle of much; what is not acknowledged comes again."""
    walstream = serve(transport)
    one = call(stack, walstream, "session").attached()
    db.fill(1, 20000, size=200)
    one.wait_of("insert")
    one.tell("cancel")
    assert one.status()[0] == CANCELLED, one.state()
    released()
    again = call(stack, walstream, "session").attached()
    assert [row["id"] for _, _, row in again.rows(20000)] == \
        list(range(1, 20001))


@each_stack
@over("plain", "tls")
def test_large(db, serve, call, stack, transport):
    """A row of 20 MB to those who take any. By default the stacks refuse more
    than 4 MiB, which ends their stream and hurts nobody else."""
    walstream = serve(transport)
    any_size = call(stack, walstream, "session").attached()
    default = call(stack, walstream, "session", max_message=0).attached()
    db.fill(1, 1, size=20_000_000)
    _, lsn, row = any_size.rows(1)[0]
    assert row["v"] == "x" * 20_000_000
    code, message = default.status()
    assert code == RESOURCE_EXHAUSTED, message
    any_size.ack(lsn)
    db.wait_confirmed(lsn)


@each_stack
@over("plain", "tls")
def test_shutdown(db, serve, call, stack, transport):
    """UNAVAILABLE: a client knows it may try again."""
    walstream = serve(transport)
    one = call(stack, walstream, "session").attached()
    db.fill(1, 10)
    one.rows(10)
    assert walstream.stop() == 0
    assert one.status()[0] == UNAVAILABLE, one.state()


@each_stack
@over("plain", "tls")
def test_shutdown_drains(db, serve, call, stack, transport):
    """The acks that come while it shuts down count."""
    walstream = serve(transport, drain="20")
    one = call(stack, walstream, "session").attached()
    db.fill(1, 10)
    last = one.rows(10)[-1][1]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ended = pool.submit(walstream.stop)
        walstream.wait_log("server.stopping")
        one.ack(last)
        assert ended.result() == 0
    assert one.status()[0] == UNAVAILABLE, one.state()
    assert db.confirmed() >= last


@each_stack
@over("plain", "tls")
def test_connection_age(db, serve, call, stack, transport):
    """GOAWAY, in two steps: a stream may go on for the grace, then it ends
    with UNAVAILABLE."""
    walstream = serve(transport, "--max-connection-age", "2",
                      "--max-connection-age-grace", "2")
    one = call(stack, walstream, "session").attached()
    start = time.monotonic()
    db.fill(1, 10)
    one.rows(10)
    assert one.status()[0] == UNAVAILABLE, one.state()
    assert time.monotonic() - start > 2
    again = call(stack, walstream, "session").attached()
    assert len(again.rows(10)) == 10


@over("plain", "tls")
def test_keepalive(db, serve, call, transport):
    """Pings every 10 s on a stream that is idle, the shortest that grpc-go
    knows, are no abuse: the stream lives. All stacks at once."""
    walstream = serve(transport)
    with PingCounter(walstream.port) as counter:
        calls = []
        for stack in STACKS:
            at = f"127.0.0.1:{counter.open()}"
            calls.append(call(stack, walstream, "session", at=at,
                              keepalive_s=10).attached())
        time.sleep(35)
        for one in calls:
            assert not one.over(), one.state()
        db.fill(1, 10)
        for one in calls:
            one.rows(10)
        if transport is by_name("plain"):
            assert min(counter.pings) >= 3, counter.pings
