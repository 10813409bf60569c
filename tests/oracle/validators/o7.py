"""O7: memory stays within the configured bound.

That is --buffer-size for events, and beside it what the program, its largest
event and each connection take.
"""

from validators import Violation

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
PROGRAM = 12 << 20  # libraries, one event several times over, a COPY chunk
CLIENT = 1 << 20    # HTTP/2 state and what waits for the socket


def size(text):
    return int(text[:-3]) * UNITS[text[-3:]]


def check(history):
    most = history.most_streams
    for life in history.lives:
        seen = [(rss, at) for at, pid, rss in history.memory
                if pid == life.pid]
        if not seen:
            continue
        bound = size(life.buffer_size) + PROGRAM + most * CLIENT
        rss, at = max(seen)
        if rss > bound:
            yield Violation(
                "o7", f"walstream {life.pid} had {rss >> 10} KiB at {at:.3f};"
                f" --buffer-size {life.buffer_size} and {most} streams allow"
                f" {bound >> 10} KiB", history.story(at - 5, at))
