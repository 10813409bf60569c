"""P17: --max-event. An event that is a byte larger ends streams, says so, and is
not lost."""

import grpc

pytest_plugins = ["subscriber"]

LIMIT = 64 * 1024
OPTIONS = ("--max-event", "64KiB")
TEXT = 65000  # a little less than an event of LIMIT has


def insert(db, key, length):
    db.sql(f"INSERT INTO t VALUES ({key}, repeat('x', {length}))")


def size(stubs, row):
    """Of the message that it was, bytes."""
    return stubs.pb2.ServerMessage(insert=row).ByteSize()


def test_limit(db, server, subscribe, stubs):
    walstream = server(*OPTIONS)
    stream = subscribe(walstream)
    insert(db, 1, TEXT)
    row, = stream.transactions(1)[0].events
    longest = TEXT + LIMIT - size(stubs, row)
    insert(db, 2, longest)
    last = stream.transactions(2)[1]
    assert size(stubs, last.events[0]) == LIMIT
    stream.ack(last.commit.pg_lsn)
    db.wait_confirmed_is(last.commit.pg_lsn)

    insert(db, 3, longest + 1)
    db.fill(4, 6)
    end = db.unrelated_wal()
    assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
    assert f"t has {LIMIT + 1} bytes, more than --max-event allows" \
        in stream.details
    assert "max-event" in walstream.wait_log("server.streams_ended")[0]
    late = subscribe(walstream, wait=False)
    assert late.ended() == grpc.StatusCode.FAILED_PRECONDITION
    assert db.confirmed() == last.commit.pg_lsn < end
    late.close()
    walstream.stop()

    stream = subscribe(server())
    stream.transactions(2)
    assert stream.ids() == [3, 4, 5, 6]


def test_message(db, server, subscribe):
    """A logical message is bounded as rows are."""
    stream = subscribe(server(*OPTIONS, "--messages"), messages=["*"])
    db.sql("SELECT pg_logical_emit_message(true, 'small', repeat('x', 60000))")
    stream.wait_of("message")
    db.sql("SELECT pg_logical_emit_message(true, 'large', repeat('x', 66000))")
    assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
    assert "an event of large has 660" in stream.details
