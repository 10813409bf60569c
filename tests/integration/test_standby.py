"""Two walstreams on one slot are a hot standby pair."""

import signal

import grpc
import pytest

from database import lsn_text
from waiting import SCALE, until

pytest_plugins = ["subscriber"]


@pytest.fixture
def pair(db, server, subscribe):
    """The one that streams, the other, and a client of each."""
    first = server()
    stream = subscribe(first)
    second = server(shared=True)
    waiting = subscribe(second, wait=False)
    second.wait_log("pg.lost")
    return first, second, stream, waiting


def end(first, how):
    if how == "stopped":
        assert first.stop() == 0
    else:
        first.kill()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_takes_over(db, pair, how):
    """The second takes over within seconds; its client, attached all the
    time, gets everything that is not confirmed."""
    first, second, stream, waiting = pair
    holder = db.walsender()
    assert f"PID {holder}" in second.logged("pg.lost")[0]
    for i in (1, 4, 7):
        db.fill(i, i + 2)
    confirmed = stream.transactions(3)[0].commit.pg_lsn
    stream.ack(confirmed)
    db.wait_confirmed_is(confirmed)
    assert waiting.open() and waiting.metadata is None
    end(first, how)
    waiting.attached(5 * SCALE)
    assert waiting.started.start_lsn == confirmed
    assert waiting.transactions(2) == stream.transactions(3)[1:]
    db.fill(10, 12)
    waiting.transactions(3)
    db.wait_confirmed(waiting.ack_last())


def test_waits_while_the_first_works(db, pair):
    """However much the first confirms, the second's clients wait; they have
    lost nothing."""
    first, second, stream, waiting = pair
    stream.ack_commits = True
    for i in range(1, 40):
        db.fill(i, i)
        db.wait_confirmed(stream.transactions(i)[-1].commit.end_lsn)
        assert waiting.open(), waiting.state()
    lines = len(second.logged("pg.lost"))
    second.wait_log("pg.lost", lines + 2)
    assert waiting.open(), waiting.state()
    assert second.logged("server.streams_ended") == []
    assert first.stop() == 0
    db.fill(40, 40)
    waiting.transactions(1)
    assert waiting.ids() == [40]


def test_nobody_at_the_second(db, server, subscribe):
    """A second that was ready all the time knows what the first confirmed:
    it says where it starts, and refuses an exact start below that."""
    first, second = server(), server(shared=True)
    stream = subscribe(first)
    start = stream.started.start_lsn
    db.fill(1, 3)
    db.fill(4, 6)
    confirmed = stream.transactions(2)[0].commit.pg_lsn
    stream.ack(confirmed)
    db.wait_confirmed_is(confirmed)
    first.kill()
    db.wait_inactive()
    late = subscribe(second, wait=False, exact=True, after_lsn=start)
    assert late.ended() == grpc.StatusCode.OUT_OF_RANGE
    late = subscribe(second)
    late.transactions(1)
    assert late.ids() == [4, 5, 6]
    assert lsn_text(late.started.start_lsn) == lsn_text(confirmed)
    assert db.confirmed() >= confirmed


def test_temporarily_away(db, pair):
    """The first comes back behind the second: now it is the one that waits,
    and it says what its stream has missed."""
    first, second, stream, waiting = pair
    db.fill(1, 3)
    stream.transactions(1)
    first.child.send_signal(signal.SIGSTOP)
    try:
        db.sql("SELECT pg_terminate_backend(%s)", (db.walsender(),))
        waiting.attached()
        waiting.transactions(1)
        db.wait_confirmed(waiting.ack_last())
        db.fill(4, 6)
        waiting.transactions(2)
        db.wait_confirmed(waiting.ack_last())
    finally:
        first.child.send_signal(signal.SIGCONT)
    assert stream.ended() == grpc.StatusCode.DATA_LOSS
    assert stream.ids() == [1, 2, 3]
    late = until(lambda: first.logged("pg.lost"), 10, "the loss in the log")
    assert late and waiting.open()
    db.fill(7, 9)
    waiting.transactions(3)
    assert second.logged("server.streams_ended") == []
