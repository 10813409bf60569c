"""O9: a keepalive that asks for a reply is answered within 100 ms, and a status
update goes out at least every min(10 s, wal_sender_timeout / 3), also while
nothing is being read.

The proxy puts in keepalives of its own that ask. While the machine is busy
with everything else 100 ms may pass before a process gets its turn, so the
strict bound holds in the quiet stretch at the end of a round. A server that is
waiting for room does not see what it has not read: while some client is slow
only the second half is asked of it.
"""

import bisect

from cluster import SENDER_TIMEOUT
from validators import Violation

STRICT = 0.1
BUSY = 1.5
INTERVAL = min(10, SENDER_TIMEOUT / 3)
SLACK = 0.8
TURN = 0.06  # s: the sampler wakes every 50 ms
AFTER = 1  # s until things are as before a disturbance

# What keeps walstream, or the proxy, from sending a status update.
SILENT = ("walstream", "link", "PostgreSQL", "postmaster", "immediate", "fast")


def check(history):
    yield from answers(history)
    yield from intervals(history)


def by_connection(history):
    found = {}
    for at, connection, *_ in history.tap.statuses:
        found.setdefault(connection, []).append(at)
    return found


def over(history, connection):
    """When the connection, or the process at its end, was no more."""
    since = history.tap.opens.get(connection, 0)
    life = history.life_at(since)
    ends = [history.tap.closes.get(connection, float("inf"))]
    if life is not None:
        ends += [t for t in (life.until, life.told and life.told[0])
                 if t is not None]
    return min(ends)


def answers(history):
    statuses = by_connection(history)
    for at, connection in history.tap.probes:
        quiet = history.quiet_from <= at and at + STRICT < history.quiet_until
        most = STRICT if quiet else BUSY
        if at + most >= over(history, connection):
            continue
        mine = statuses.get(connection, [])
        i = bisect.bisect_left(mine, at)
        took = mine[i] - at if i < len(mine) else float("inf")
        if took - stalled(history, at, at + took) > most and (
                quiet or not history.disturbed(at - 2 * AFTER, at + most)) \
                and not held_up(history, at):
            yield Violation(
                "o9", f"a keepalive that asks, at {at:.6f}, was answered after"
                f" {took * 1000:.0f} ms", evidence(history, at, at + took))


def held_up(history, at):
    """May there have been no room?"""
    return any(one.spec["policy"] == "slow" and one.opened <= at + 2
               and (one.ended or at) >= at for one in history.streams) \
        and at < history.quiet_from


def stalled(history, since, until):
    """How long the machine let nobody run: the sampler did not get its turn
    either, or the proxy, which says when."""
    since, until = since - 2 * TURN, until + 2 * TURN
    times = [at for at, _, _ in history.memory if since <= at <= until]
    return max(sum(max(0, after - before - TURN)
                   for before, after in zip(times, times[1:])),
               sum(max(0, min(at, until) - max(at - late, since))
                   for at, late in history.tap.late))


def evidence(history, since, until):
    return (history.story(since - 3, until)
            + history.tap.between(since, until + 0.1)
            + history.daemon_log.splitlines()[-20:])


def intervals(history):
    for connection, times in by_connection(history).items():
        end = min(over(history, connection), history.quiet_until)
        times = [t for t in times if t < end] + [end]
        for before, after in zip(times, times[1:]):
            if after - before - stalled(history, after - SLACK, after) \
                    > INTERVAL + SLACK and not history.disturbed(
                        before - AFTER, after + AFTER, SILENT):
                yield Violation(
                    "o9", f"no status update on connection {connection} from"
                    f" {before:.6f} to {after:.6f}",
                    evidence(history, before, after))
