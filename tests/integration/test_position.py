"""Where a stream starts, and what moves it: after_lsn, exact, progress."""

import time

import grpc
import pytest

from database import lsn_text
from waiting import until

pytest_plugins = ["subscriber"]


def three(db, subscribe, walstream, **fields):
    """Three transactions, of rows 1-3, 4-6 and 7-9, and who holds them."""
    stream = subscribe(walstream, **fields)
    for first in (1, 4, 7):
        db.fill(first, first + 2)
    return stream, stream.transactions(3)


def started_at(stream, lsn):
    assert lsn_text(stream.started.start_lsn) == lsn_text(lsn)
    return stream


def test_after_end(db, server, subscribe):
    """After E: what follows that transaction, nothing of it."""
    walstream = server()
    _, found = three(db, subscribe, walstream)
    for n in range(3):
        after = found[n].commit.end_lsn
        late = started_at(subscribe(walstream, after_lsn=after), after)
        assert late.transactions(2 - n) == found[n + 1:]
    db.fill(10, 12)
    late.transactions(1)
    assert late.ids() == [10, 11, 12]
    assert db.confirmed() <= found[0].begin.pg_lsn


def test_after_commit_lsn(db, server, subscribe):
    """After C: that transaction again, whole."""
    walstream = server()
    _, found = three(db, subscribe, walstream)
    for n in range(3):
        after = found[n].begin.commit_lsn
        late = started_at(subscribe(walstream, after_lsn=after), after)
        assert late.transactions(3 - n) == found[n:]


def test_after_restart(db, server, subscribe):
    """A stored position is good after a restart of walstream, too."""
    walstream = server()
    _, found = three(db, subscribe, walstream)
    walstream.kill()
    walstream = server()
    after = found[0].commit.end_lsn
    late = started_at(subscribe(walstream, after_lsn=after), after)
    assert late.transactions(2) == found[1:]


def test_after_out_of_memory(db, server, subscribe):
    """Also when it lies before what is still in memory."""
    walstream = server("--buffer-size", "256KiB")
    stream = subscribe(walstream)
    for i in range(1, 2001, 100):
        db.fill(i, i + 99, 1000)
    found = stream.transactions(20)
    after = found[3].commit.end_lsn
    late = started_at(subscribe(walstream, after_lsn=after), after)
    assert late.transactions(16) == found[4:]
    db.fill(2001, 2001)
    stream.transactions(21)
    assert late.transactions(17)[16] == stream.transactions(21)[20]


def test_below_confirmed(db, server, subscribe):
    """Below confirmed a stream starts at confirmed, and is told so."""
    walstream = server()
    stream, found = three(db, subscribe, walstream)
    confirmed = found[1].commit.end_lsn
    stream.ack(confirmed)
    db.wait_confirmed_is(confirmed)
    for after in (1, found[0].commit.end_lsn, found[1].begin.commit_lsn):
        late = subscribe(walstream, after_lsn=after)
        started_at(late, confirmed)
        assert late.transactions(1) == found[2:]


def test_exact_older_than_its_name_remembers(db, server, subscribe):
    """An exact client that was set back says so by after_lsn: its name's
    newer position must not make it skip what is in between."""
    walstream = server()
    stream, found = three(db, subscribe, walstream)
    del stream  # attached, and acknowledges nothing: confirmed stays
    first = subscribe(walstream, consumer="copy", exact=True,
                      progress_interval_ms=20)
    first.ack(first.transactions(3)[2].commit.pg_lsn)
    until(lambda: first.messages[-1].op == "progress", 10,
          "progress, which comes when all is acknowledged")
    first.close()
    walstream.wait_log("session.closed")
    after = found[0].commit.end_lsn
    again = subscribe(walstream, consumer="copy", exact=True, after_lsn=after)
    started_at(again, after)
    assert again.transactions(2) == found[1:]


def test_exact_below_confirmed(db, server, subscribe):
    """With exact that is OUT_OF_RANGE, naming the oldest position."""
    walstream = server()
    stream, found = three(db, subscribe, walstream)
    confirmed = found[1].commit.end_lsn
    stream.ack(confirmed)
    db.wait_confirmed_is(confirmed)
    asked = found[0].commit.end_lsn
    late = subscribe(walstream, wait=False, exact=True, after_lsn=asked)
    assert late.ended() == grpc.StatusCode.OUT_OF_RANGE
    assert lsn_text(confirmed) in late.details
    assert lsn_text(asked) in late.details and late.messages == []
    late = subscribe(walstream, exact=True, after_lsn=confirmed)
    assert late.transactions(1) == found[2:]
    db.fill(10, 10)
    stream.transactions(4)


@pytest.mark.parametrize("above, exact", [
    (1 << 20, False), (1 << 32, True), ((1 << 64) - 1, False)],
    ids=["soon", "future", "largest"])
def test_after_the_end_of_wal(quick, server, subscribe, above, exact):
    """A position PostgreSQL has not reached confirms nothing and hides
    nothing: the slot stays where it was."""
    db = quick
    walstream = server()
    start = db.confirmed()
    after = above if above > 1 << 32 else start + above
    stream = subscribe(walstream, wait=False, after_lsn=after, exact=exact)
    until(lambda: stream.code or stream.metadata is not None, 10,
          "an answer")
    db.fill(1, 3)
    end = db.unrelated_wal()
    if stream.open():
        db.settle()
    assert db.confirmed() <= end, \
        f"confirmed is {lsn_text(db.confirmed())}, WAL ends at {lsn_text(end)}"
    stream.close()
    late = subscribe(walstream)
    late.expect(3)
    assert late.ids() == [1, 2, 3]


def test_temporary_slot(db, server, subscribe):
    """On a temporary slot after_lsn counts as far as memory goes."""
    walstream = server(temporary=True)
    stream, found = three(db, subscribe, walstream)
    after = found[0].commit.end_lsn
    late = started_at(subscribe(walstream, after_lsn=after), after)
    assert late.transactions(2) == found[1:]
    assert stream.open()


def test_temporary_slot_exact(db, server, subscribe):
    """What a fresh temporary slot no longer has is refused with exact."""
    walstream = server(temporary=True)
    stream, found = three(db, subscribe, walstream)
    stream.close()
    walstream.wait_log("slot.created", 2)
    after = found[0].commit.end_lsn
    late = subscribe(walstream, wait=False, exact=True, after_lsn=after)
    assert late.ended() == grpc.StatusCode.OUT_OF_RANGE
    late = subscribe(walstream, after_lsn=after)
    assert late.started.start_lsn >= found[2].commit.end_lsn
    db.fill(10, 10)
    late.transactions(1)
    assert late.ids() == [10]


def test_progress(quick, server, subscribe):
    """progress comes while nothing is outstanding, and follows the WAL."""
    db = quick
    stream = subscribe(server(), progress_interval_ms=100)
    first = stream.wait_of("progress", 3)
    assert stream.messages[0].op == "started"
    assert [p.pg_lsn for p in first] == sorted(p.pg_lsn for p in first)
    assert first[0].pg_lsn >= stream.started.start_lsn
    end = db.unrelated_wal()
    until(lambda: stream.of("progress")[-1].pg_lsn >= end, 15,
          "progress to follow")
    db.fill(1, 3)
    found, = stream.transactions(1)
    seen = len(stream.of("progress"))
    time.sleep(0.5)
    assert len(stream.of("progress")) == seen
    stream.ack_last()
    later = stream.wait_of("progress", seen + 2)[seen:]
    assert later[0].pg_lsn >= found.commit.end_lsn
    stream.ack_last()
    db.fill(4, 4)
    stream.transactions(2)


def test_progress_of_an_observer(quick, server, subscribe):
    """One that acknowledges nothing has nothing outstanding."""
    stream = subscribe(server(), observer=True, progress_interval_ms=50)
    quick.fill(1, 3)
    end = stream.transactions(1)[0].commit.pg_lsn
    until(lambda: stream.of("progress") and
          stream.of("progress")[-1].pg_lsn >= end, 15, "progress to follow")


def test_progress_interval(db, server, subscribe):
    """It comes no more often than asked, and not at all unasked."""
    walstream = server()
    often = subscribe(walstream, progress_interval_ms=200)
    silent = subscribe(walstream)
    began = len(often.wait_of("progress", 2))
    time.sleep(1)
    count = len(often.of("progress")) - began
    assert 1 <= count <= 6
    assert [m.op for m in silent.messages] == ["started"]


def test_exact_moves_by_acks(quick, server, subscribe):
    """An exact stream stands where it acknowledged, idle or not."""
    db = quick
    stream = subscribe(server(), exact=True, progress_interval_ms=100)
    start = stream.started.start_lsn
    stream.wait_of("progress")
    end = db.settle()
    assert db.confirmed() == start
    later = [p for p in stream.of("progress") if p.pg_lsn > start]
    assert len(later) <= 1, "the first is not acknowledged yet"
    until(lambda: stream.ack_last() >= end, 15, "progress to follow")
    db.wait_confirmed(end)
    before = db.confirmed()
    db.fill(1, 3)
    found, = stream.transactions(1)
    db.settle()
    assert before <= db.confirmed() <= found.begin.pg_lsn
    confirmed = stream.ack_last()
    assert confirmed == found.commit.pg_lsn
    db.wait_confirmed_is(confirmed)
    db.settle()
    assert db.confirmed() == confirmed


def test_exact_filtered(quick, server, subscribe):
    """Also when nothing passes its filter: progress is its only ack."""
    db = quick
    walstream = server()
    stream = subscribe(walstream, exact=True, progress_interval_ms=100,
                       tables=["nothing"])
    other = subscribe(walstream, ack_commits=True)
    start = stream.started.start_lsn
    db.fill(1, 100)
    found, = other.transactions(1)
    db.settle()
    assert db.confirmed() == start
    until(lambda: stream.ack_last() >= found.commit.end_lsn, 15,
          "progress behind what was filtered")
    db.wait_confirmed(found.commit.end_lsn)


def test_exact_batched(db, server, subscribe):
    """exact, batches and progress together."""
    stream = subscribe(server(), exact=True, batch=True, ack_commits=True,
                       progress_interval_ms=100)
    for i in range(1, 100):
        db.fill(i, i)
    last = stream.transactions(99)[-1].commit
    db.wait_confirmed(last.end_lsn)
    seen = len(stream.of("progress"))
    stream.wait_of("progress", seen + 3)
    db.fill(100, 100)
    stream.transactions(100)
    assert stream.ids() == list(range(1, 101))
