"""What answers on a port where PostgreSQL should be."""

import contextlib
import socket
import struct
import threading


def error(sqlstate, message):
    """An ErrorResponse."""
    body = b"SFATAL\0VFATAL\0C%s\0M%s\0\0" % (sqlstate.encode(),
                                             message.encode())
    return b"E" + struct.pack(">I", len(body) + 4) + body


STARTING = error("57P03", "the database system is starting up")
FULL = error("53300", "sorry, too many clients already")
WRONG = error("28P01", "password authentication failed")


class FakePg:
    """Answers each startup packet with the same bytes, and closes; None: says
    nothing, for ever. `count` connections came."""

    def __init__(self, answer, address="127.0.0.1"):
        self.answer = answer
        self.count = 0
        self._held = []
        self._socket = socket.create_server((address, 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                conn = self._socket.accept()[0]
            except OSError:
                return
            self.count += 1
            if self.answer is None:
                self._held.append(conn)
                continue
            with conn, contextlib.suppress(OSError):
                conn.settimeout(30)
                self._answer(conn)

    def _answer(self, conn):
        """TLS is refused first, if it is asked for."""
        start = conn.recv(65536)
        if start[4:8] == struct.pack(">I", 80877103):
            conn.sendall(b"N")
            start = conn.recv(65536)
        if start:
            conn.sendall(self.answer)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(30)
        for conn in self._held:
            conn.close()
