"""h2spec's cases, all suites and the strict ones too: each is a test, for the
port in the clear and for the one with TLS.

h2spec sends GET / without a content type, which gRPC refuses; so it is the
answer to a request that is none of ours that is held against RFC 9113 and
RFC 7541. A case that h2spec skips has proved nothing, so it has not passed.
"""

import pytest

import spec
from conftest import PORTS
from fakecheck import owed

CASES = spec.cases()

# What walstream does not do yet: an answer with DATA to what is no gRPC call,
# and an error for a stream id that was skipped.
NO_DATA = "the answer to a GET has no body"
OWED = {
    ("generic/2", 2): NO_DATA,
    ("generic/2", 3): NO_DATA,
    ("http2/5.1.1", 2): "a stream identifier below the last one is ignored",
    ("http2/5.1.2", 1): NO_DATA,
    ("http2/6.5.3", 1): NO_DATA,
    ("http2/6.9.1", 1): NO_DATA,
    ("http2/6.9.2", 1): NO_DATA,
    ("http2/6.9.2", 2): NO_DATA,
}


def owing(case):
    return [owed(OWED[case])] if case in OWED else []


def rows():
    for port in PORTS:
        for case, title in CASES:
            section, number = case
            yield pytest.param(
                port, case, title, id=f"{port}-{section}-{number}",
                marks=owing(case))


@pytest.mark.parametrize("port, case, title", rows())
def test_case(answers, port, case, title):
    kind, text = answers(port)[case]
    assert kind == "passed", f"{title}: {kind}\n{text}"


@pytest.mark.parametrize("port", PORTS)
def test_complete(answers, port):
    """It was asked every case there is, and there are as many as there were
    when this was written, or more."""
    assert set(answers(port)) == {case for case, _ in CASES}
    assert len(CASES) >= 146
