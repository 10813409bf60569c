"""O5: an ack above what the stream was sent moves nothing and ends the stream;
0, repeated and falling acks have no effect.

That nothing moves is O1's and O2's to see: they do not count such acks.
"""

from validators import Violation

IN_TIME = 6  # s, beyond everything that stops walstream for a while


def check(history):
    for one in history.streams:
        if one.lies:
            yield from refused(history, one)
        elif one.code == "INVALID_ARGUMENT":
            yield Violation("o5", f"{one} acknowledged nothing that it was not"
                            f" sent, and ended with {one.details!r}",
                            [f"{at:.6f} ack {lsn:X}" for at, lsn
                             in one.acks[-6:]])


def refused(history, one):
    at, lsn = one.lies[0]
    if one.code == "INVALID_ARGUMENT":
        return
    ended = min(t for t in (one.ended, one.dead, one.left, one.cut,
                            one.life.until, history.quiet_until)
                if t is not None)
    if ended - at > IN_TIME and not history.disturbed(
            at, ended, ("client stalled", "client stopped")):
        yield Violation("o5", f"{one} acknowledged {lsn:X} at {at:.6f}, far"
                        f" above what it was sent, and went on until"
                        f" {ended:.6f} ({one.code})", [])
