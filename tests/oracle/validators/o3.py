"""O3: confirmed never falls within an epoch; here that is the whole run, since
neither the cluster nor its timeline nor the slot changes.

What walstream tells never falls while it runs. What the slot says never falls
but in a crash of PostgreSQL, which writes it to disk lazily; and it is never
above what walstream has told.
"""

from validators import Violation


def check(history):
    yield from told(history)
    yield from slot(history)
    yield from slot_above(history)


def told(history):
    life, top = None, 0
    for at, connection, lsn, number in sorted(history.tap.statuses
                                              + history.tap.starts):
        # The last words of a process are read when it is no more.
        now = history.life_at(history.tap.opens.get(connection, at))
        if now is not life:
            life, top = now, remembered(history, now, at)
        if lsn < top:
            yield Violation("o3", f"at {at:.6f} walstream told {lsn:X} after"
                            f" {top:X}", history.tap.around(number))
        top = max(top, lsn)


def remembered(history, life, at):
    """What the slot said before this process of walstream began."""
    if life is None:
        return 0
    before = [(when, lsn) for when, _, lsn in history.slots
              if when < life.since]
    if not before or crashed(history, before[-1][0], at):
        return 0
    return before[-1][1]


def crashed(history, since, until):
    return any(how == "crash" and since - 1 <= at <= until
               for at, how in history.cluster_ends)


def slot(history):
    last = None
    for at, connection, lsn in history.slots:
        if last is not None and lsn < last[2] and (
                connection == last[1]
                or not crashed(history, last[0], at)):
            yield Violation(
                "o3", f"confirmed_flush_lsn fell from {last[2]:X} at"
                f" {last[0]:.6f} to {lsn:X} at {at:.6f}",
                [f"ends of PostgreSQL: {history.cluster_ends}"])
        last = at, connection, lsn


def slot_above(history):
    for at, _, lsn in history.slots:
        if lsn > history.reported(at + 0.5):
            yield Violation(
                "o3", f"confirmed_flush_lsn is {lsn:X} at {at:.6f}; walstream"
                f" has told no more than {history.reported(at + 0.5):X}", [])
