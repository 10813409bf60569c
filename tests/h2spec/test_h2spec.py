"""h2spec's cases, all suites and the strict ones too: each is a test, for the
port in the clear and for the one with TLS.

h2spec sends GET / without a content type, which gRPC refuses; so it is the
answer to a request that is none of ours that is held against RFC 9113 and
RFC 7541. A case that h2spec skips has proved nothing, so it has not passed.
"""

import pytest

import spec
from conftest import PORTS

CASES = spec.cases()


def rows():
    for port in PORTS:
        for case, title in CASES:
            section, number = case
            yield pytest.param(
                port, case, title, id=f"{port}-{section}-{number}")


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
