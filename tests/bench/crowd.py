"""Many sessions, each on a connection of its own, that cost next to nothing:
what comes is counted in the kernel and thrown away there."""

import select
import socket

import metrics
from rawframes import (INITIAL_WINDOW_SIZE, LARGEST, PREFACE, SESSION,
                       credit, headers, request_headers, settings)
from waiting import until

import hpack

PIECE = 1 << 20
# No PINGs, to which nobody here would answer.
OPTIONS = ("--keepalive-time", "0", "--max-connections", "20000",
           "--max-connections-per-address", "0", "--max-streams", "0",
           "--metrics-listen", "127.0.0.1:0")


def hello():
    """All that a client says at first; half-closed it holds nothing up."""
    block = hpack.Encoder().encode(request_headers({":path": SESSION}))
    return (PREFACE + settings({INITIAL_WINDOW_SIZE: LARGEST})
            + credit(0, LARGEST - 65535) + headers(1, block, end=True))


class Crowd:
    """Within it, a context, they are connected and in place."""

    def __init__(self, server, count):
        self.server, self.count = server, count
        self._sockets = []
        self._poll = select.epoll()
        self._by_number = {}
        self._buffer = bytearray(PIECE)
        self._greeted = set()

    def __enter__(self):
        first = hello()
        for i in range(self.count):
            one = socket.create_connection(("127.0.0.1", self.server.port),
                                           30)
            self._sockets.append(one)
            one.sendall(first)
            one.setblocking(False)
            self._by_number[one.fileno()] = one
            self._poll.register(one, select.EPOLLIN)
            if i % 100 == 99:
                self.take(0)
        until(self._in_place, 120,
              lambda: f"{self.attached()} of {self.count} to be in place")
        return self

    def _in_place(self):
        while self.take(0):
            pass
        return self.attached() == self.count

    def __exit__(self, *what):
        for one in self._sockets:
            one.close()
        self._poll.close()

    def attached(self):
        return metrics.scrape(self.server)["walstream_streams"]["live"]

    def take(self, timeout):
        """Takes what has come; was it anything?"""
        ready = self._poll.poll(timeout)
        for number, _ in ready:
            one = self._by_number[number]
            if number not in self._greeted:
                self._greeted.add(number)
                one.send(settings(is_ack=True))
            if not one.recv_into(self._buffer, PIECE, socket.MSG_TRUNC):
                raise RuntimeError("a session is gone:\n"
                                   + self.server.text())
        return bool(ready)
