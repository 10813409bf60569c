"""A proxy that keeps what passes, or passes it on in pieces; and a script that
plays again what a server said."""

import socket
import struct
import threading

from fakepg import Gone


class Link:
    """Between a client and 127.0.0.1:target.

    deliver: how bytes are passed on, a function of a socket and them.
    recorded: of each connection the pairs (direction, bytes) in order, the
    direction being "up" or "down".
    """

    def __init__(self, target, deliver=socket.socket.sendall):
        self.recorded = []
        self._target = target
        self._deliver = deliver
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            kept = []
            self.recorded.append(kept)
            for one in near, far:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for args in ((near, far, "up", kept), (far, near, "down", kept)):
                threading.Thread(target=self._pump, args=args,
                                 daemon=True).start()

    def _pump(self, source, sink, direction, kept):
        try:
            while data := source.recv(65536):
                kept.append((direction, data))
                self._deliver(sink, data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other pump, or the end, closed it

    def close(self):
        for one in self._sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


def turns(recorded):
    """What the server said after each message of the client, from a record of
    one connection; all from the beginning of a COPY on is the last one."""
    said, got = [], b""
    for direction, data in recorded:
        if direction == "down":
            said[-1] += data
            continue
        if said and said[-1][:1] == b"W":
            continue
        got += data
        while len(got) >= 5:
            length = struct.unpack_from(">I", got, 1 if said else 0)[0]
            if len(got) < length + (1 if said else 0):
                break
            got = got[length + (1 if said else 0):]
            said.append(b"")
    return said


def replay(said):
    """A script that says it again, and then no more."""
    def script(c):
        c.begin()
        c.send(said[0])
        for data in said[1:]:
            c.message()
            c.send(data)
        c.hold()
    return script


def cut(script, after):
    """The script, but the connection is cut after so many bytes."""
    def shorter(c):
        c.limit = after
        if after == 0:
            raise Gone
        script(c)
    return shorter
