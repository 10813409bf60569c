"""The end of walstream, and PostgreSQL's beside it."""

import signal
import time

import grpc
import pytest


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signal(db, server, client, sig):
    """SIGTERM and SIGINT: UNAVAILABLE, acks reported, exit 0, in 5 s."""
    walstream = server()
    stream, idle = client(walstream), client(walstream)
    db.fill(1, 3)
    stream.expect(3)
    idle.expect(3)
    acked = stream.ack_all()
    idle.ack_all()
    time.sleep(0.3)  # for the acks to arrive; no need to be reported yet
    assert walstream.stop(sig, 5) == 0
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    assert idle.ended() == grpc.StatusCode.UNAVAILABLE
    assert db.confirmed() >= acked


def test_drain(db, server, client):
    """After SIGTERM acks still count, and walstream ends with the last."""
    walstream = server(drain="30")
    stream, other = client(walstream), client(walstream)
    db.fill(1, 3)
    stream.expect(3)
    other.expect(3)
    other.ack_all()
    walstream.child.send_signal(signal.SIGTERM)
    walstream.wait_log("server.stopping")
    acked = stream.ack_all()
    assert walstream.wait(5) == 0
    assert stream.ended() == other.ended() == grpc.StatusCode.UNAVAILABLE
    assert db.confirmed() >= acked


def test_drain_ends(db, server, client):
    """Acks that do not come are not waited for longer than --drain."""
    walstream = server(drain="1")
    stream = client(walstream)
    db.fill(1, 3)
    first = stream.expect(3)[0].pg_lsn
    begin = time.monotonic()
    assert walstream.stop(signal.SIGTERM, 5) == 0
    assert time.monotonic() - begin > 0.9
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    assert db.confirmed() < first


def test_signal_while_postgres_is_away(pg, db, server, client):
    """Also while PostgreSQL is not there."""
    walstream = server()
    stream = client(walstream)
    pg.stop("immediate")
    try:
        walstream.wait_log("pg.lost")
        assert walstream.stop(signal.SIGTERM, 5) == 0
        assert stream.ended() == grpc.StatusCode.UNAVAILABLE
    finally:
        pg.start()


def test_fast_shutdown(pg, db, stream):
    """A client with all acked does not hold up PostgreSQL's shutdown."""
    db.fill(1, 3)
    stream.expect(3)
    db.wait_confirmed(stream.ack_all())
    db.unrelated_wal()
    try:
        begin = time.monotonic()
        pg.stop("fast")
        assert time.monotonic() - begin < 3
    finally:
        pg.start()
    db.fill(4, 4)
    stream.expect(4, 30)


def test_fast_shutdown_unacked(pg, db, server, client):
    """A client that does not ack holds it up for --shutdown-grace at most."""
    stream = client(server("--shutdown-grace", "1"))
    db.fill(1, 3)
    stream.expect(3)
    try:
        pg.stop("fast", 8)
    finally:
        pg.start()
    db.fill(4, 4)
    stream.expect(4, 30)
    assert stream.ids() == [1, 2, 3, 4]
    db.wait_confirmed(stream.ack_all())
