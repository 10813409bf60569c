"""O10: whatever stops delivery is visible: a gRPC status that says what it is,
a log line, an exit code. And nothing stops without a cause.
"""

from validators import Violation

NEAR = 1.5  # s between a cause and what is seen of it

# What a broken connection may look like to a client.
BROKEN = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED",
          "RESOURCE_EXHAUSTED")


def check(history):
    for one in history.streams:
        if one.ended is not None:
            why = unexplained(history, one)
            if why:
                yield Violation(
                    "o10", f"{one} ended at {one.ended:.6f} with {one.code}"
                    f" {one.details!r}: {why}",
                    history.story(one.ended - 3, one.ended))
        elif one.dead is None:
            yield Violation("o10", f"{one} never ended", [])
    yield from exits(history)
    yield from history.problems


def unexplained(history, one):
    """None, or why this end is not as it should be."""
    if one.left is not None:
        return None
    if one.cut is not None and one.code in BROKEN:
        return None
    rule = ENDS.get(one.code)
    return "no such end is expected" if rule is None else rule(history, one)


def _unavailable(history, one):
    for life in history.lives:
        for at in (life.told and life.told[0], life.until, life.since):
            if at is not None and one.opened - NEAR <= at <= one.ended + NEAR:
                return None
    if history.disturbed(one.opened - NEAR, one.ended, ("walstream",)):
        return None
    return "walstream was there all the time"


def _invalid(_history, one):
    return None if one.lies else "it had acknowledged nothing wrong"


def _aborted(history, one):
    newer = any(other.consumer == one.consumer and other.opened > one.opened
                for other in history.streams)
    return None if one.consumer and newer else "no newer one replaced it"


def _out_of_range(history, one):
    after = one.start.get("after_lsn") or 0
    if one.exact and after < history.reported(one.ended + NEAR):
        return None
    return f"what it asked for, {after:X}, was not confirmed"


ENDS = {
    "UNAVAILABLE": _unavailable,
    "INVALID_ARGUMENT": _invalid,
    "ABORTED": _aborted,
    "OUT_OF_RANGE": _out_of_range,
}


def exits(history):
    """walstream ends when told to, with 0; by itself only when PostgreSQL
    cannot be reached as it starts, with 1."""
    for life in history.lives:
        if life.until is None or life.until < history.began:
            continue
        if life.killed or (life.told is not None and life.code == 0):
            continue
        if life.code == 1 and life.listening_at is None:
            continue
        if life.told is not None and life.listening_at is None and \
                life.told[0] < life.since + NEAR and life.code == -life.told[1]:
            continue  # so early that it had not got to its signals
        how = "by itself" if life.told is None else "when told to end"
        yield Violation("o10", f"{life.log_line()} {how}",
                        history.daemon_log.splitlines()[-15:])
