"""The server's side of SCRAM-SHA-256 (RFC 5802), right or wrong at will."""

import base64
import hashlib
import hmac
import os

import fakepg

PLAIN, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"


def b64(data):
    return base64.b64encode(data).decode()


def _mac(key, text):
    return hmac.digest(key, text, "sha256")


class Scram:
    """One exchange on a Connection.

    first, final: are given the message as it should be and this, and return
    what is sent instead. binding: what the client has to bind to.
    """

    def __init__(self, password, mechanisms=(PLAIN,), first=None, final=None,
                 iterations=1, binding=b""):
        self.password = password.encode()
        self.mechanisms = mechanisms
        self.change_first = first or (lambda text, _: text)
        self.change_final = final or (lambda text, _: text)
        self.iterations = iterations
        self.binding = binding
        self.salt = os.urandom(16)
        self.mechanism = self.gs2 = self.nonce = self.client_nonce = None
        self.authenticated = False
        self._auth = ""

    def start(self, c):
        """Offers the mechanisms, and reads what the client begins with."""
        c.send(fakepg.auth_sasl(*self.mechanisms))
        body = c.expect("p")
        mechanism, rest = body.split(b"\0", 1)
        text = rest[4:].decode()
        self.mechanism = mechanism.decode()
        self.gs2, bare = text[:text.index(",,") + 2], text.split(",,", 1)[1]
        self.client_nonce = bare.split("r=", 1)[1]
        self.nonce = self.client_nonce + b64(os.urandom(18))
        self._auth = bare

    def server_first(self):
        text = f"r={self.nonce},s={b64(self.salt)},i={self.iterations}"
        return self.change_first(text, self)

    def server_final(self, client_final):
        """Checks the client's proof; what to send."""
        bare, proof = client_final.rsplit(",p=", 1)
        channel = b64(self.gs2.encode() + self.binding)
        right = f"c={channel},r={self.nonce}"
        assert bare == right, f"the client sent {bare}, not {right}"
        auth = ",".join([self._auth, bare]).encode()
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt,
                                     self.iterations)
        client_key = _mac(salted, b"Client Key")
        signature = _mac(hashlib.sha256(client_key).digest(), auth)
        made = bytes(a ^ b for a, b in zip(client_key, signature))
        self.authenticated = hmac.compare_digest(
            made, base64.b64decode(proof))
        right = "v=" + b64(_mac(_mac(salted, b"Server Key"), auth))
        return self.change_final(right, self)

    def go_on(self, c):
        """From the server's first message to its last, without the Ok."""
        first = self.server_first()
        self._auth += "," + first
        c.send(fakepg.auth_sasl_continue(first.encode("latin-1")))
        final = self.server_final(c.expect("p").decode())
        c.send(fakepg.auth_sasl_final(final.encode("latin-1")))

    def __call__(self, c):
        c.begin()
        self.start(c)
        self.go_on(c)
        c.send(fakepg.auth_ok())
        c.welcome()
