"""Session and Subscribe by every stack over every transport: all of it comes,
in order, and what is acknowledged is what PostgreSQL is told."""

import pytest

from cases import each_stack, each_transport

METHODS = ["session", "subscribe"]
TRANSACTIONS, SIZE = 10, 1000


def fill(db):
    for i in range(TRANSACTIONS):
        db.fill(i * SIZE + 1, (i + 1) * SIZE, size=50)


def check_shape(call):
    """begin, its rows, commit, of every transaction; started before all."""
    kinds = [line.split(" ", 1)[0] for line in call.lines]
    one = ["begin"] + ["insert"] * SIZE + ["commit"]
    assert kinds == ["headers", "started"] + one * TRANSACTIONS


@each_transport
@each_stack
@pytest.mark.parametrize("method", METHODS)
def test_rows(db, serve, call, stack, transport, method):
    db.watch()
    walstream = serve(transport)
    options = {"consumer": "c", "tables": "public.t"} \
        if method == "subscribe" else {}
    one = call(stack, walstream, method, **options)
    if method == "session":
        one.attached()
    else:
        one.wait_of("started")
    fill(db)
    rows = one.rows(TRANSACTIONS * SIZE)
    assert [(op, row) for op, _, row in rows] == [
        ("insert", {"id": i + 1, "v": "x" * 50})
        for i in range(TRANSACTIONS * SIZE)]
    lsns = [lsn for _, lsn, _ in rows]
    assert lsns == sorted(lsns)
    if method == "subscribe":
        one.wait_of("commit", count=TRANSACTIONS)
        check_shape(one)
    # Ends of the transactions, as PostgreSQL itself has them.
    ends = [end for _, end, _ in db.transactions()]
    assert lsns[SIZE - 1::SIZE] == ends
    assert db.confirmed() < ends[0]
    one.ack(ends[4])
    db.wait_confirmed_is(ends[4])
    one.ack(ends[-1])
    db.wait_confirmed(ends[-1])
    one.tell("cancel")
    assert one.status()[0] == 1  # CANCELLED
