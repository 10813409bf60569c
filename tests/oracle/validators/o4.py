"""O4: each stream has whole transactions in commit order, without a gap, and
nothing of what was rolled back.

The reading has done it message by message, with pg_lsn, commit_lsn, seq, xid
and the payload byte for byte. What is left: a stream that was there to the
end has everything.
"""

from validators import Violation


def check(history):
    for one in history.streams:
        wrong = one.reading.wrong
        if wrong is not None and wrong[0] == "o4":
            yield Violation("o4", f"{one}: {wrong[1]}", wrong[2])
        elif wrong is None:
            yield from incomplete(history, one)


def incomplete(history, one):
    if one.placed is None or one.placed > history.quiet_from:
        return
    if one.left is None or one.left < history.quiet_until:
        return
    reading, view = one.reading, one.view
    due = one.claim if reading.next is None else reading.next
    if due is not None and due < len(view.transactions):
        yield Violation(
            "o4", f"{one} was there to the end and was not sent"
            f" {view.transactions[due]} and what follows", reading.lately())
