"""Who may not come: every stack says so, and walstream counts no session."""

import pytest

from cases import each_stack, over

DEADLINE_EXCEEDED, PERMISSION_DENIED = 4, 7
UNAVAILABLE, UNAUTHENTICATED = 14, 16

# What is different from a good call, and the code.
CERTIFICATES = {
    "none": {"cert": None, "key": None},
    "foreign": {"cert": "other.cert", "key": "other.key"},
}
TOKENS = {"none": None, "wrong": "a-token-of-other-tests",
          "cut": "a-token-of-these-test"}


@each_stack
@over("tls", "mtls")
def test_wrong_ca(db, serve, call, stack, transport, pki):
    """The client does not trust walstream."""
    walstream = serve(transport)
    one = call(stack, walstream, "session", deadline_ms=10000,
               **pki.fill({"ca": "other.ca"}))
    code, message = one.status()
    assert code == UNAVAILABLE, message
    assert db.walsender() is None


@each_stack
@over("mtls")
@pytest.mark.parametrize("shown", CERTIFICATES)
def test_certificate(db, serve, call, stack, transport, pki, shown):
    """walstream does not trust the client."""
    walstream = serve(transport)
    other = {name: value and pki.fill({name: value})[name]
             for name, value in CERTIFICATES[shown].items()}
    one = call(stack, walstream, "session", deadline_ms=10000, **other)
    code, message = one.status()
    assert code == UNAVAILABLE, message
    assert db.walsender() is None


@each_stack
@over("token")
@pytest.mark.parametrize("shown", TOKENS)
def test_token(db, serve, call, stack, transport, shown):
    walstream = serve(transport)
    one = call(stack, walstream, "session", token=TOKENS[shown])
    code, message = one.status()
    assert code == UNAUTHENTICATED, message
    assert db.walsender() is None


@each_stack
@over("tls")
def test_plain_to_tls(db, serve, call, stack, transport):
    """A client without TLS at a port with it is told so with a GOAWAY. grpc-js
    shows its code, others that they cannot connect; newer versions of what is
    under grpcio try again for as long as the call may take."""
    walstream = serve(transport)
    one = call(stack, walstream, "session", ca=None, deadline_ms=5000)
    code, message = one.status()
    expected = {"python": DEADLINE_EXCEEDED, "cpp": UNAVAILABLE,
                "go": UNAVAILABLE, "node": PERMISSION_DENIED}
    assert code == expected[stack.name], message
    assert db.walsender() is None
