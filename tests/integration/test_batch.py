"""Batch: many events in one message."""

import pytest

pytest_plugins = ["subscriber"]

HEAD = 64  # what a Batch adds to one message, amply


def varied(db):
    """Transactions of 1 to 1,000 rows of 1 to 3,000 bytes; their number."""
    first = 1
    sizes = [(1, 1), (3, 3000), (1000, 10), (2, 2000), (1, 1), (300, 100)]
    for rows, size in sizes:
        db.fill(first, first + rows - 1, size)
        first += rows
    db.transaction("UPDATE t SET v = 'u' WHERE id < 5", "DELETE FROM t",
                   "TRUNCATE t")
    return len(sizes) + 1


@pytest.mark.parametrize("most", [0, 1, 700, 5000, 100000, 0xFFFFFFFF])
def test_contents(db, server, subscribe, most):
    """Batches hold what the stream without them does, in the same order."""
    walstream = server()
    plain = subscribe(walstream)
    batched = subscribe(walstream, batch=True, max_batch_bytes=most)
    count = varied(db)
    plain.transactions(count)
    batched.transactions(count)
    assert batched.messages[1:] == plain.messages[1:]  # started
    late = subscribe(walstream, batch=True, max_batch_bytes=most)
    late.transactions(count)
    assert late.messages[1:] == plain.messages[1:]
    for stream in batched, late:
        check_sizes(stream, most or 262144)
    if most == 1:
        assert {n for _, n in late.batches} == {1}
    if most == 0xFFFFFFFF:
        assert late.batches[0][1] > 1000
    assert plain.batches == []


def check_sizes(stream, most):
    assert stream.batches and all(n > 0 for _, n in stream.batches)
    for size, n in stream.batches:
        assert size <= most or n == 1
    assert sum(n for _, n in stream.batches) == len(stream.messages) - 1


def test_filled(db, server, subscribe):
    """What is there is put together: batches are as full as they may be."""
    walstream = server()
    holder = subscribe(walstream)
    db.fill(1, 10000, 50)
    holder.expect(10000)
    stream = subscribe(walstream, batch=True, max_batch_bytes=20000)
    stream.transactions(1)
    sizes = [size for size, _ in stream.batches]
    assert min(sizes[:-1]) > 20000 - 300 and max(sizes) <= 20000


def test_larger_event(db, server, subscribe):
    """An event larger than max_batch_bytes goes alone."""
    stream = subscribe(server(), batch=True, max_batch_bytes=1000)
    db.transaction("INSERT INTO t VALUES (1, 'a'), (2, repeat('b', 500000)),"
                   " (3, 'c')")
    stream.transactions(1)
    assert stream.ids() == [1, 2, 3]
    large = [(size, n) for size, n in stream.batches if size > 1000]
    assert len(large) == 1 and large[0][1] == 1
    assert large[0][0] < 500000 + 300 + HEAD


def test_large_transaction(db, server, subscribe):
    """A transaction of 100,000 rows, in batches much smaller than it."""
    stream = subscribe(server("--buffer-size", "1MiB"), batch=True)
    db.fill(1, 100000)
    found, = stream.transactions(1, 60)
    assert found.commit.event_count == 100000
    assert [e.seq for e in found.events] == list(range(1, 100001))
    assert stream.ids() == list(range(1, 100001))
    check_sizes(stream, 262144)
    assert len(stream.batches) > 20
    db.wait_confirmed(stream.ack_last())


def test_filtered(db, server, subscribe):
    """Filters and batches together."""
    db.publish("other")
    walstream = server()
    wanted = {"tables": ["*.other"], "operations": ["INSERT"]}
    plain = subscribe(walstream, **wanted)
    batched = subscribe(walstream, batch=True, max_batch_bytes=500, **wanted)
    for i in range(1, 30):
        db.transaction(f"INSERT INTO t VALUES ({i})",
                       "INSERT INTO other (v) VALUES ('a'), ('b')",
                       "UPDATE other SET v = 'c'")
    plain.transactions(29)
    batched.transactions(29)
    assert batched.messages[1:] == plain.messages[1:]  # started


def test_ack_within(db, server, subscribe):
    """What came in a batch is acknowledged one by one."""
    walstream = server()
    holder = subscribe(walstream, observer=True)
    for i in range(1, 31, 3):
        db.fill(i, i + 2)
    holder.expect(30)
    stream = subscribe(walstream, batch=True)
    found = stream.transactions(10)
    stream.ack(found[3].commit.pg_lsn)
    db.wait_confirmed_is(found[3].commit.pg_lsn)
    stream.close()
    again = subscribe(walstream, batch=True).transactions(6)
    assert again == found[4:]


def test_cut_off(db, server, subscribe):
    """Batches after a lost connection repeat and leave out nothing."""
    stream = subscribe(server("--buffer-size", "256KiB"), held=True,
                       batch=True, max_batch_bytes=3000)
    db.fill(1, 15000, 1000)
    db.wait_stalled()
    pid = db.terminate_walsender()
    stream.release()
    db.wait_walsender(other_than=pid)
    db.fill(15001, 15001)
    stream.transactions(2)
    assert stream.ids() == list(range(1, 15002))
    check_sizes(stream, 3000)


def test_end_of_stream(db, server, subscribe):
    """A stream that ends while a batch is sent ends behind that batch."""
    walstream = server(drain="0")
    stream = subscribe(walstream, held=True, batch=True,
                       max_batch_bytes=1 << 20)
    db.fill(1, 3000, 1000)
    walstream.child.terminate()
    stream.release()
    stream.ended()
    assert walstream.wait(5) == 0
    assert stream.ids() == list(range(1, len(stream.events) + 1))
