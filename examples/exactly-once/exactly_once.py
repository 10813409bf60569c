"""Keeps the tables of another PostgreSQL the same, exactly once.

Each transaction of the source becomes one transaction of the target, which
also stores the position it comes from. Whatever is killed, and whenever: the
target's own position says where to go on.
"""

import argparse
import contextlib
import random
import signal
import sys
import time
from collections.abc import Iterator

import grpc
import psycopg

from plugin_pb2 import Start
from stream import StreamEnded, Subscription
from target import Diverged, PositionMoved, Target

# Any other status asks for a human: walstream's README says what each means.
TRY_AGAIN = {
    grpc.StatusCode.OK,
    grpc.StatusCode.UNAVAILABLE,  # walstream or PostgreSQL cannot be reached
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # we were slow and held others up
    grpc.StatusCode.INTERNAL,  # these two: the connection broke
    grpc.StatusCode.CANCELLED,
}
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 10.0  # seconds, before trying again


class Backoff:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._delay = SHORTEST_DELAY

    def sleep(self) -> None:
        time.sleep(self._delay * random.uniform(0.5, 1))
        self._delay = min(2 * self._delay, LONGEST_DELAY)


class Interrupts:
    """Makes SIGINT and SIGTERM a KeyboardInterrupt: at once, but one that
    comes while held() only at its end. A second one does not wait."""

    def __init__(self) -> None:
        self._held = self._came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if not self._held or self._came:
            raise KeyboardInterrupt
        self._came = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise KeyboardInterrupt


def follow(options: argparse.Namespace, interrupts: Interrupts,
           backoff: Backoff) -> None:
    """Applies transactions until walstream or the target is lost."""
    with psycopg.connect(options.target, autocommit=True) as connection:
        target = Target(connection, options.consumer)
        start = Start(
            consumer=options.consumer,
            after_lsn=target.lsn,
            system_identifier=target.system_identifier,
            exact=True,  # never skip what this database has not seen
            relations=True)  # says which columns are the key
        with Subscription(options.address, start) as subscription:
            target.begin(subscription.started())
            backoff.reset()
            for transaction in subscription:
                with interrupts.held():
                    target.apply(transaction)
                    # Committed in the target, and only now given up in the
                    # source. If this ack is lost nothing happens: the next
                    # start skips what the target has.
                    subscription.acknowledge(transaction)


def follow_for_ever(options: argparse.Namespace,
                    interrupts: Interrupts) -> None:
    """Whether a COMMIT that was cut off took place only the target knows, so
    after any failure both connections are made anew."""
    backoff = Backoff()
    while True:
        try:
            follow(options, interrupts, backoff)
        except StreamEnded as end:
            if end.code not in TRY_AGAIN:
                raise
            reason = str(end)
        except (psycopg.OperationalError, PositionMoved) as error:
            reason = f"target: {error}"
        print(f"trying again: {reason}", file=sys.stderr)
        backoff.sleep()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", nargs="?", default="127.0.0.1:50051",
                        metavar="HOST:PORT", help="(%(default)s)")
    parser.add_argument("--target", default="", metavar="CONNINFO",
                        help="the database to keep the same")
    parser.add_argument("--consumer", default="exactly-once", metavar="NAME",
                        help="(%(default)s)")
    try:
        follow_for_ever(parser.parse_args(), Interrupts())
    except KeyboardInterrupt:
        pass
    except (StreamEnded, Diverged, psycopg.Error) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
