"""A server that answers SSLRequest, or speaks TLS at once, and remembers what
it was told; it never lets anybody in."""

import socket
import ssl
import threading

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class FakeServer:
    """answer: what it says to SSLRequest; b"S" is followed by the handshake,
    b"" by the end.
    direct: there is no SSLRequest. alpn: the protocols it has.

    names: the host name of each handshake, or None. came: what each client
    sent after the handshake, or instead of it.
    """

    def __init__(self, pair, answer=b"S", direct=False, alpn=()):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.cert, pair.key)
        self._context.sni_callback = self._named
        self._context.set_alpn_protocols(list(alpn))
        self._answer, self._direct = answer, direct
        self.names, self.came = [], []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _named(self, _socket, name, _context):
        self.names.append(name)

    def _serve(self):
        while True:
            client, _ = self._listener.accept()
            with client:
                client.settimeout(30)
                if client.recv(1, socket.MSG_PEEK) == b"":
                    return
                try:
                    self._talk(client)
                except OSError:
                    pass  # the client went

    def _talk(self, client):
        if not self._direct:
            assert client.recv(8, socket.MSG_WAITALL) == SSL_REQUEST
            client.sendall(self._answer)
            if not self._answer:
                return
            if self._answer != b"S":
                self._remember(client)
                return
        with self._context.wrap_socket(client, server_side=True) as channel:
            self._remember(channel)

    def _remember(self, client):
        self.came.append(b"")
        self.came[-1] = client.recv(10000)

    def close(self):
        """An empty connection ends it."""
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join(60)
        self._listener.close()
