"""A Subscribe stream that hands out transactions and forgets them."""

from subscriber import Subscriber

FULL = 2  # of enum Identity


class Feed(Subscriber):
    """Of one table; batched, and acknowledging every commit."""

    def __init__(self, stubs, server, table):
        super().__init__(stubs, server.address, tables=[f"public.{table}"],
                         ack_commits=True, batch=True,
                         max_batch_bytes=1 << 22)

    def __enter__(self):
        assert self.attached().started
        self._forget()
        return self

    def __exit__(self, *_):
        self.close()

    def _forget(self):
        for kept in (self.messages, self.events, self.batches):
            kept.clear()

    def take(self, count, timeout=120):
        """The row events of each of the next count transactions."""
        found = self.transactions(count, timeout)
        self._forget()
        return [one.events for one in found]
