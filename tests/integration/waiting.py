"""Bounded waiting: every wait of the suite goes through until()."""

import os
import time

SANITIZED = bool(os.environ.get("WALSTREAM_SANITIZE"))
SCALE = 3 if SANITIZED else 1


def until(condition, timeout=10, what="a condition"):
    """Returns the first true value of condition(); fails, naming what."""
    limit = timeout * SCALE
    deadline = time.monotonic() + limit
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise AssertionError(f"waited {limit} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
