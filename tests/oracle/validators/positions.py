"""What walstream told PostgreSQL, against what members of the quorum had."""

from fleet import REQUIRED


def told(history):
    """(time, lsn, line number) of every change of what is confirmed: status
    updates and START_REPLICATION."""
    before = None
    for at, _, lsn, number in sorted(history.tap.statuses
                                     + history.tap.starts):
        if lsn != before:
            yield at, lsn, number
        before = lsn


def acked_lsns(history):
    if not hasattr(history, "_acked_lsns"):
        history._acked_lsns = {lsn for one in history.streams
                               if one.votes() for _, lsn in one.acks}
    return history._acked_lsns


def is_acked(history, lsn):
    """Is this the value of some ack?"""
    return lsn in acked_lsns(history)


def limit(one, at):
    """How far confirmed may be, by this member."""
    acked = one.acked(at)
    if one.exact:
        return max(acked, one.started.start_lsn)
    return one.view.commit_of(max(one.claim, one.view.first_after(acked)))


def members(history, at):
    """Who is certainly in the quorum."""
    for one in history.streams:
        if (one.claim is not None and one.votes() and one.placed is not None
                and one.placed <= at < one.until):
            if not one.exact or one.started is not None:
                yield one


def overrun(history, at, lsn):
    """(who, limit) of a member that confirmed has passed, or None."""
    for one in members(history, at):
        if lsn > limit(one, at):
            return one, limit(one, at)
    return required(history, at, lsn)


def required(history, at, lsn):
    """As overrun(), for the consumer that is waited for when away, too."""
    life = history.life_at(at)
    if life is None or REQUIRED not in life.required:
        return None
    lives = [one for one in history.streams if one.consumer == REQUIRED]
    acked = max((one.acked(at) for one in lives), default=0)
    view = history.view
    place = max(view.first_after(acked), view.first_at(history.floor))
    if lsn > view.commit_of(place):
        return (lives[-1] if lives else None), view.commit_of(place)
    return None


def describe(overrun, at, lsn):
    one, most = overrun
    return (f"at {at:.6f} walstream confirmed {lsn:X}, but"
            f" {one or REQUIRED} has not acknowledged what commits at"
            f" {most:X} (its last ack {one.acked(at) if one else 0:X})")


def evidence(history, overrun, number):
    one, most = overrun
    lines = list(history.tap.around(number))
    if one is None:
        return lines
    lines += [f"{when:.6f} {one.name} ack {lsn:X}"
              for when, lsn in one.acks[-4:]]
    lines.append(f"{one.name}: placed {one.placed}, events {one.first_event}"
                 f" to {one.last_event}, until {one.until}, ended {one.ended}"
                 f" {one.code} {one.details}")
    place = one.view.first_at(most)
    lines += [str(tx) for tx in one.view.transactions[place:place + 1]]
    return lines + history.story(one.placed or 0, one.until)
