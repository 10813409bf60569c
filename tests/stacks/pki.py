"""The certificates and tokens of these tests."""

import certs


class Pki:
    """Files by the names that table.py has; "other." are an authority that
    nobody trusts and what it signed. `token` is the token itself."""

    def __init__(self, where):
        ours, other = (certs.Authority(where, n) for n in ("ours", "other"))
        here = "DNS:localhost,IP:127.0.0.1"
        server = ours.issue("server", here)
        client = ours.issue("client", "DNS:client")
        stranger = other.issue("client", "DNS:client")
        self.token = "a-token-of-these-tests"
        tokens = where / "tokens"
        tokens.write_text(self.token + "\n", encoding="ascii")
        tokens.chmod(0o600)
        self._values = {
            "ca": ours.cert, "other.ca": other.cert,
            "server.cert": server.cert, "server.key": server.key,
            "client.cert": client.cert, "client.key": client.key,
            "other.cert": stranger.cert, "other.key": stranger.key,
            "tokens": tokens, "token": self.token,
        }

    def fill(self, names):
        """The dictionary with names replaced by what they stand for."""
        return {key: str(self._values[name]) for key, name in names.items()}
