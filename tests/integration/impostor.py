"""Somebody who is not the PostgreSQL he pretends to be."""

import base64
import hashlib
import hmac
import socket
import struct
import threading

OK, CLEARTEXT, MD5, SASL, CONTINUE, FINAL = 0, 3, 5, 10, 11, 12
SSL_REQUEST = 80877103

PLAIN = b"SCRAM-SHA-256\0\0"
PLUS = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"


class Gone(Exception):
    """The client has hung up."""


class Impostor:
    """Takes one connection and says what `script(self)` makes it say.

    heard is all that the client sent after its startup packet, let_in whether
    it went on as if it were logged in.
    """

    def __init__(self, script):
        self.heard = b""
        self.let_in = False
        self._script = script
        self._conn = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(30)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with self._listener:
            self._conn, _ = self._listener.accept()
        with self._conn:
            self._conn.settimeout(30)
            try:
                self._startup()
                self._script(self)
                self._conn.sendall(b"Z" + struct.pack("!I", 5) + b"I")
                self.let_in = self.message()[0] == b"Q"
            except (Gone, ConnectionError):
                pass

    def _read(self, n):
        data = b""
        while len(data) < n:
            more = self._conn.recv(n - len(data))
            if not more:
                raise Gone
            data += more
        return data

    def _startup(self):
        while True:
            length, code = struct.unpack("!II", self._read(8))
            self._read(length - 8)
            if code != SSL_REQUEST:
                return
            self._conn.sendall(b"N")

    def message(self):
        """The client's next message: type and body."""
        head = self._read(5)
        body = self._read(struct.unpack("!I", head[1:])[0] - 4)
        self.heard += head + body
        return head[:1], body

    def say(self, code, data=b""):
        self._conn.sendall(
            b"R" + struct.pack("!II", len(data) + 8, code) + data)

    def ask(self, code, data=b""):
        """What the client answers to it."""
        self.say(code, data)
        kind, body = self.message()
        assert kind == b"p", kind
        return body

    def finish(self):
        self._thread.join(30)
        assert not self._thread.is_alive(), "the client has not hung up"


class Scram:
    """The server's half of SCRAM-SHA-256."""

    def __init__(self, who, mechanisms=PLAIN, salt=b"salt", iterations=4096):
        self.who, self.salt, self.iterations = who, salt, iterations
        answer = who.ask(SASL, mechanisms)
        self.mechanism, rest = answer.split(b"\0", 1)
        self.gs2, _, self.bare = rest[4:].partition(b",,")
        self.nonce = self.bare.partition(b"r=")[2]

    def challenge(self, text=None):
        """Sends the server-first-message."""
        self.first = text or b"r=%sxyz,s=%s,i=%d" % (
            self.nonce, base64.b64encode(self.salt), self.iterations)
        self.proof = self.who.ask(CONTINUE, self.first)

    def signature(self, password):
        """What one who knows it sends last."""
        salted = hashlib.pbkdf2_hmac("sha256", password, self.salt,
                                     self.iterations)
        key = hmac.digest(salted, b"Server Key", "sha256")
        said = b",".join([self.bare, self.first,
                          self.proof.partition(b",p=")[0]])
        return b"v=" + base64.b64encode(hmac.digest(key, said, "sha256"))
