"""A forwarder that counts the PINGs clients send."""

import contextlib
import socket
import threading

PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
PING = 6


class FrameReader:
    """Finds the frames in what a client sends."""

    def __init__(self):
        self._rest = b""
        self._skip = PREFACE

    def feed(self, data):
        """(type, flags) of each frame whose head is complete now."""
        found = []
        self._rest += data
        while True:
            cut = min(self._skip, len(self._rest))
            self._rest, self._skip = self._rest[cut:], self._skip - cut
            if self._skip or len(self._rest) < 9:
                return found
            head, self._rest = self._rest[:9], self._rest[9:]
            self._skip = int.from_bytes(head[:3], "big")
            found.append((head[3], head[4]))


class PingCounter:
    """pings: how many came by each port that open() returned, in order. They
    can be seen in the clear only."""

    def __init__(self, port):
        self._port = port
        self._sockets = contextlib.ExitStack()
        self.pings = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._sockets.close()

    def open(self):
        """A port for one client."""
        listener = self._sockets.enter_context(
            socket.create_server(("127.0.0.1", 0)))
        self.pings.append(0)
        threading.Thread(target=self._serve, daemon=True,
                         args=(listener, len(self.pings) - 1)).start()
        return listener.getsockname()[1]

    def _serve(self, listener, number):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                for one in client, server:
                    self._sockets.callback(end, one)
                reader = FrameReader()

                def count(data, reader=reader):
                    self.pings[number] += reader.feed(data).count((PING, 0))

                for args in (client, server, count), (server, client, None):
                    threading.Thread(target=forward, args=args,
                                     daemon=True).start()


def end(one):
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def forward(source, to, see):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if see:
                see(data)
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
