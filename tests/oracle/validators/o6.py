"""O6: after any fault delivery resumes at or before the first unacknowledged
transaction; a duplicate appears only after a fault, with the same identity and
content.

A stream starts at what is confirmed, or where its client says, or where a
consumer of that name was. Not later: then something is missing. Not earlier:
then something comes again that had been confirmed. Within a stream nothing
comes twice; and since every stream is held against the one record of what was
committed, what comes again on another one is the same.
"""

from validators import Violation

INFINITE = float("inf")


def check(history):
    for one in history.streams:
        if one.reading.wrong is not None and one.reading.wrong[0] == "o6":
            yield Violation("o6", f"{one}: {one.reading.wrong[1]}",
                            one.reading.wrong[2])
        elif one.started is not None:
            yield from where_it_says(history, one)
        elif one.reading.first is not None:
            yield from where_it_began(history, one)


def remembered(history, one):
    """Up to where walstream may remember that a consumer of this name has
    been served: what it acknowledged, and what is no event for it."""
    if not one.consumer:
        return 0
    # Of the next process may be what came late of the one before.
    lives = one.life, history.life_at(one.opened)
    before = [other for other in history.streams
              if other.consumer == one.consumer and other.life in lives
              and other.opened < one.opened and other.claim is not None]
    if not before:
        return 0
    acked = max(other.acked(one.opened) for other in before)
    place = one.view.first_after(acked)
    # What it was never sent it may have been served past as well.
    claims = [other.claim for other in before if other.view is one.view]
    return one.view.commit_of(max([place, *claims[-1:]]))


def highest_start(history, one):
    seen = one.first_event or one.placed or one.opened
    return max(history.reported(seen + 1), one.start.get("after_lsn") or 0,
               remembered(history, one))


def lowest_start(history, one):
    told = history.reported_by(one.life, one.opened) if one.life else 0
    return max(told, one.start.get("after_lsn") or 0)


def where_it_says(history, one):
    """Subscribe: started.start_lsn is right, and it starts there."""
    start = one.started.start_lsn
    if start > highest_start(history, one):
        yield late(history, one, f"it says it starts at {start:X}")
    if start < lowest_start(history, one):
        yield Violation("o6", f"{one} starts at {start:X}; confirmed, or asked"
                        f" for, was {lowest_start(history, one):X}",
                        history.story(one.opened - 3, one.opened))
    if one.exact and one.start.get("after_lsn") and start > max(
            one.start["after_lsn"], remembered(history, one)):
        yield Violation("o6", f"{one} starts at {start:X} though it is exact",
                        [])
    due = one.view.first_at(start)
    if one.reading.first is not None and one.reading.first != due:
        yield Violation(
            "o6", f"{one} says it starts at {start:X}, so"
            f" {one.view.transactions[due]} is due first; it was"
            f" {one.view.transactions[one.reading.first]}",
            one.reading.lately())


def where_it_began(history, one):
    """Session: told by the first transaction it was sent."""
    first = one.view.transactions[one.reading.first]
    highest = highest_start(history, one)
    due = one.view.first_at(highest)
    if one.reading.first > due:
        yield late(history, one, f"its first was {first}, while"
                   f" {one.view.transactions[due]} was due")
    if first.commit_lsn < lowest_start(history, one):
        yield Violation("o6", f"{one} was sent {first} again, though"
                        f" {lowest_start(history, one):X} was confirmed",
                        history.story(one.opened - 3, one.opened))


def late(history, one, text):
    highest = highest_start(history, one)
    lines = [line for line in history.tap.lines
             if line.split()[3] in ("status", "start")
             and abs(float(line.split()[0]) - one.opened) < 1.5]
    return Violation("o6", f"{one} missed something: {text}; confirmed was"
                     f" {highest:X}", lines[-6:]
                     + history.story(one.opened - 3, one.opened))
