"""O2: confirmed takes only positions that clients acknowledged, or a
keepalive's wal_end while no transaction is open, queued or unacknowledged.

(A stream with a filter is served, without an ack, what is not for it; so the
end of a transaction may be confirmed, too.)
"""

import bisect

from validators import Violation, positions


def check(history):
    yield from unacknowledged(history)
    yield from unknown(history)
    yield from unclaimed(history)


def unacknowledged(history):
    for at, lsn, number in positions.told(history):
        overrun = positions.overrun(history, at, lsn)
        if overrun is not None and not positions.is_acked(history, lsn):
            yield Violation("o2", positions.describe(overrun, at, lsn)
                            + ": not even by another client",
                            positions.evidence(history, overrun, number))


def unknown(history):
    """Values that came from nowhere."""
    known = positions.acked_lsns(history) | set(history.view.ends)
    known |= set(history.view.commits) | {history.floor}
    known |= {one.start.get("after_lsn") for one in history.streams}
    known |= {lsn for _, _, lsn in history.slots}
    keepalives = {}
    for at, _, wal_end, _ in history.tap.keepalives:
        keepalives.setdefault(wal_end, at)
    for at, lsn, number in positions.told(history):
        if lsn not in known and keepalives.get(lsn, at + 1) > at + 0.1:
            yield Violation("o2", f"at {at:.6f} walstream confirmed {lsn:X},"
                            " which nobody acknowledged and no keepalive had",
                            history.tap.around(number))


def first_acks(history):
    """For each transaction when a member of the quorum had acknowledged it
    whole for the first time."""
    when = [float("inf")] * len(history.view.transactions)
    for one in history.streams:
        if one.reading.first is None or not one.votes():
            continue
        place = one.reading.first
        for at, lsn in zip(one._ack_times, one._ack_lsns):
            until = min(one.view.first_after(lsn), one.reading.next)
            for i in range(place, until):
                index = one.view.transactions[i].index
                when[index] = min(when[index], at)
            place = max(place, until)
    return when


def unclaimed(history):
    """Transactions that are confirmed though nobody has acknowledged them."""
    when = first_acks(history)
    top = history.floor
    for at, lsn, number in positions.told(history):
        for index in range(history.view.first_at(top),
                           bisect.bisect_left(history.view.commits, lsn)):
            one = history.view.transactions[index]
            if when[index] > at and not not_for(history, one, at):
                yield Violation(
                    "o2", f"at {at:.6f} walstream confirmed {lsn:X}, and with"
                    f" it {one}, which nobody has acknowledged",
                    history.tap.around(number) + history.story(at - 5, at))
                break
        top = max(top, lsn)


def not_for(history, transaction, at):
    """May a member have been served past it, because of its filter, or
    because it had it already?"""
    for one in history.streams:
        if not one.votes() or one.opened > at:
            continue
        over = max((t for t in (one.ended, one.dead, one.left)
                    if t is not None), default=float("inf"))
        if over + 15 < at:
            continue
        place = one.view.place(transaction)
        if place is None or (one.claim is not None and place < one.claim):
            return True
    return False
