"""Named consumers, and those that are required."""

import grpc
import pytest

from database import lsn_text
from waiting import until

pytest_plugins = ["subscriber"]


@pytest.fixture(params=["subscribe", "session"])
def consume(request, subscribe, named):
    """Opens a stream of a consumer by either way of naming it."""
    def attach(to, name, **options):
        if request.param == "subscribe":
            return subscribe(to, consumer=name, **options)
        return named(to, name, **options)
    return attach


def fill(db, stream, *firsts):
    """Commits three rows from each first on; waits until stream has them."""
    before = len(stream.events)
    for first in firsts:
        db.fill(first, first + 2)
    stream.expect(before + 3 * len(firsts))


def ack(stream, row):
    """Acknowledges the row event of that place; returns its pg_lsn."""
    lsn = stream.events[row].pg_lsn
    stream.ack(lsn)
    return lsn


def leave(walstream, stream):
    """Closes a stream; waits until walstream knows."""
    count = len(walstream.logged("session.closed"))
    stream.close()
    walstream.wait_log("session.closed", count + 1)


def held(db, lsn):
    """Confirmed is no higher than lsn, all reports being in."""
    db.settle()
    assert db.confirmed() <= lsn, \
        f"{lsn_text(db.confirmed())} is above {lsn_text(lsn)}"


def test_resumes(db, server, consume):
    """Who comes back goes on behind its own last ack."""
    walstream = server()
    stream = consume(walstream, "a")
    fill(db, stream, 1, 4, 7)
    lsn = ack(stream, 5)
    db.wait_confirmed_is(lsn)
    leave(walstream, stream)
    stream = consume(walstream, "a")
    db.fill(10, 12)
    stream.expect(6)
    assert stream.ids() == list(range(7, 13))


def test_resumes_above_confirmed(db, server, subscribe):
    """Also while another stream holds confirmed back."""
    walstream = server()
    slow = subscribe(walstream)
    stream = subscribe(walstream, consumer="a")
    fill(db, stream, 1, 4, 7)
    slow.expect(9)
    ack(stream, 5)
    db.wait_confirmed_is(ack(slow, 2))
    leave(walstream, stream)
    stream = subscribe(walstream, consumer="a")
    stream.expect(3)
    other = subscribe(walstream, consumer="b")
    other.expect(6)
    db.fill(10, 12)
    assert slow.expect(12) and stream.expect(6) and other.expect(9)
    assert stream.ids() == list(range(7, 13))
    assert other.ids() == list(range(4, 13))


def test_resumes_in_a_transaction(db, server, subscribe):
    """An ack within a transaction brings that one again, whole."""
    walstream = server()
    stream = subscribe(walstream, consumer="a")
    fill(db, stream, 1, 4)
    db.wait_confirmed_is(ack(stream, 4))
    leave(walstream, stream)
    stream = subscribe(walstream, consumer="a")
    stream.expect(3)
    assert stream.ids() == [4, 5, 6]


def test_resumes_out_of_memory(db, server, subscribe):
    """Also when what follows its ack is no longer in memory."""
    walstream = server("--buffer-size", "256KiB")
    slow = subscribe(walstream)
    stream = subscribe(walstream, consumer="a")
    for i in range(1, 2001, 100):
        db.fill(i, i + 99, 1000)
    stream.expect(2000)
    slow.expect(2000)
    ack(stream, 499)
    db.wait_confirmed_is(ack(slow, 99))
    leave(walstream, stream)
    stream = subscribe(walstream, consumer="a")
    db.fill(2001, 2001)
    stream.expect(1501)
    assert stream.ids() == list(range(501, 2002))
    slow.expect(2001)
    assert slow.ids() == list(range(1, 2002))


def test_below_confirmed(db, server, subscribe):
    """Who is not required, and away, does not hold confirmed; started says
    where it goes on, and exact refuses that."""
    walstream = server()
    stream = subscribe(walstream, consumer="a")
    other = subscribe(walstream)
    fill(db, stream, 1, 4, 7)
    other.expect(9)
    confirmed = ack(other, 5)
    db.wait_confirmed_is(ack(stream, 2))
    leave(walstream, stream)
    db.wait_confirmed_is(confirmed)
    refused = subscribe(walstream, wait=False, consumer="a", exact=True)
    assert refused.ended() == grpc.StatusCode.OUT_OF_RANGE
    assert lsn_text(confirmed) in refused.details
    stream = subscribe(walstream, consumer="a")
    assert stream.started.start_lsn == confirmed
    stream.expect(3)
    assert stream.ids() == [7, 8, 9]


def test_replaced(quick, server, consume):
    """Of two streams of one name the newer stays; it leaves no gap."""
    db = quick
    walstream = server()
    old = consume(walstream, "a")
    other = consume(walstream, "b")
    fill(db, old, 1, 4, 7)
    other.expect(9)
    ack(other, 8)
    db.wait_confirmed_is(ack(old, 2))
    new = consume(walstream, "a")
    assert old.ended() == grpc.StatusCode.ABORTED
    assert '"a"' in old.details
    new.expect(6)
    assert new.ids() == [4, 5, 6, 7, 8, 9]
    fill(db, new, 10)
    other.expect(12)
    ack(other, 11)
    held(db, new.events[0].pg_lsn)
    db.wait_confirmed(ack(new, 8))


def test_replaced_under_load(db, server, subscribe):
    """Streams that replace one another see every row, in order."""
    walstream = server("--buffer-size", "256KiB")
    seen = []
    stream = subscribe(walstream, consumer="a")
    for n in range(10):
        for i in range(n * 30, n * 30 + 30, 3):
            db.fill(i, i + 2, 1000)
        stream.wait_for(3)
        whole = len(stream.events) // 3 * 3
        stream.ack(stream.events[whole - 1].pg_lsn)
        ids = stream.ids()[:whole]
        db.wait_confirmed_is(stream.events[whole - 1].pg_lsn)
        newer = subscribe(walstream, consumer="a", wait=n % 2 == 0)
        assert stream.ended() == grpc.StatusCode.ABORTED
        seen += ids
        stream = newer
    stream.wait_for(300 - len(seen))
    seen += stream.ids()
    assert seen == list(range(300))


def test_replaced_while_stalled(db, server, subscribe):
    """A stream that takes nothing any more does not hold up the newer one of
    its name, as when a client comes back after its network was cut."""
    walstream = server("--buffer-size", "256KiB")
    old = subscribe(walstream, consumer="a", held=True)
    db.fill(1, 15000, 1000)
    db.wait_stalled()
    new = subscribe(walstream, consumer="a")
    new.transactions(1)
    assert new.ids() == list(range(1, 15001))
    old.release()
    assert old.ended() in (
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED)  # cut off within an event


def test_long_name(db, server, consume):
    """A name may have 255 bytes; a longer one is refused."""
    walstream = server()
    stream = consume(walstream, "x" * 255)
    longer = consume(walstream, "x" * 256, wait=False)
    assert longer.ended(5) == grpc.StatusCode.INVALID_ARGUMENT
    db.fill(1, 1)
    stream.expect(1)


def test_names_are_apart(db, server, subscribe, named):
    """The name is the same on both methods; other names are others."""
    walstream = server()
    one = subscribe(walstream, consumer="a")
    two = named(walstream, "A")
    three = subscribe(walstream)
    four = named(walstream, "a")
    assert one.ended() == grpc.StatusCode.ABORTED
    db.fill(1, 1)
    for stream in two, three, four:
        stream.expect(1)
        assert stream.open()


def test_temporary_slot(db, server, subscribe):
    """On a temporary slot what is in memory is there to resume from."""
    walstream = server(temporary=True)
    other = subscribe(walstream)
    stream = subscribe(walstream, consumer="a")
    fill(db, stream, 1, 4)
    other.expect(6)
    ack(other, 2)
    db.wait_confirmed_is(ack(stream, 2))
    leave(walstream, stream)
    fill(db, other, 7)
    stream = subscribe(walstream, consumer="a")
    stream.expect(6)
    assert stream.ids() == [4, 5, 6, 7, 8, 9]
    late = subscribe(walstream)
    fill(db, late, 10)
    assert late.ids() == [10, 11, 12]


def test_forgotten_with_walstream(db, server, subscribe):
    """A walstream that starts anew remembers nobody, and the slot all."""
    walstream = server()
    stream = subscribe(walstream, consumer="a")
    other = subscribe(walstream, consumer="b")
    fill(db, stream, 1, 4)
    other.expect(6)
    ack(stream, 5)
    db.wait_confirmed_is(ack(other, 2))
    assert walstream.stop() == 0
    stream = subscribe(server(), consumer="a")
    stream.expect(3)
    assert stream.ids() == [4, 5, 6]


# --require-consumer

def test_required_never_came(quick, server, subscribe):
    """Until a required consumer has acknowledged, nothing is confirmed."""
    db = quick
    walstream = server("--require-consumer", "a")
    start = db.confirmed()
    other = subscribe(walstream)
    fill(db, other, 1, 4)
    ack(other, 5)
    held(db, start)
    stream = subscribe(walstream, consumer="a")
    stream.expect(6)
    db.wait_confirmed_is(ack(stream, 2))
    db.wait_confirmed(ack(stream, 5))


def test_required_is_away(quick, server, subscribe):
    """Also while it is away, and others have acknowledged more."""
    db = quick
    walstream = server("--require-consumer", "a")
    stream, other = subscribe(walstream, consumer="a"), subscribe(walstream)
    fill(db, stream, 1, 4)
    other.expect(6)
    ack(other, 5)
    lsn = ack(stream, 2)
    db.wait_confirmed_is(lsn)
    leave(walstream, stream)
    fill(db, other, 7)
    ack(other, 8)
    held(db, lsn)
    leave(walstream, other)
    stream = subscribe(walstream, consumer="a")
    stream.expect(6)
    assert stream.ids() == [4, 5, 6, 7, 8, 9]
    db.wait_confirmed(ack(stream, 5))


def test_required_two(quick, server, subscribe):
    """The option is repeatable: each of them counts."""
    db = quick
    walstream = server("--require-consumer", "a", "--require-consumer=b")
    start = db.confirmed()
    a = subscribe(walstream, consumer="a")
    fill(db, a, 1, 4)
    ack(a, 5)
    held(db, start)
    b = subscribe(walstream, consumer="b")
    b.expect(6)
    db.wait_confirmed_is(ack(b, 2))
    leave(walstream, b)
    leave(walstream, a)
    c = subscribe(walstream)
    c.expect(3)
    ack(c, 2)
    held(db, b.events[2].pg_lsn)


@pytest.mark.parametrize("how", ["observer", "half-closed"])
def test_required_only_watches(quick, server, subscribe, how):
    """A required consumer that only watches has acknowledged nothing."""
    db = quick
    walstream = server("--require-consumer", "a")
    start = db.confirmed()
    stream = subscribe(walstream, consumer="a", observer=how == "observer")
    if how != "observer":
        stream.half_close()
    other = subscribe(walstream)
    fill(db, other, 1)
    stream.expect(3)
    ack(other, 2)
    held(db, max(start, other.events[0].pg_lsn))


def test_required_across_restarts(pg, quick, server, subscribe):
    """PostgreSQL restarts: what is required is still waited for."""
    db = quick
    walstream = server("--require-consumer", "a")
    stream, other = subscribe(walstream, consumer="a"), subscribe(walstream)
    fill(db, stream, 1, 4)
    other.expect(6)
    ack(other, 5)
    lsn = ack(stream, 2)
    db.wait_confirmed_is(lsn)
    leave(walstream, stream)
    pg.restart("immediate")
    fill(db, other, 7)
    ack(other, 8)
    held(db, lsn)
    stream = subscribe(walstream, consumer="a")
    stream.expect(6)
    assert stream.ids() == [4, 5, 6, 7, 8, 9]


def test_required_temporary(quick, server, subscribe):
    """On a temporary slot, too, it resumes while others stay attached."""
    db = quick
    walstream = server("--require-consumer", "a", temporary=True)
    stream, other = subscribe(walstream, consumer="a"), subscribe(walstream)
    fill(db, stream, 1, 4)
    other.expect(6)
    ack(other, 5)
    lsn = ack(stream, 2)
    db.wait_confirmed_is(lsn)
    leave(walstream, stream)
    fill(db, other, 7)
    ack(other, 8)
    held(db, lsn)
    stream = subscribe(walstream, consumer="a")
    until(lambda: len(stream.events) >= 6, 10, stream.state)
    assert stream.ids() == [4, 5, 6, 7, 8, 9]
