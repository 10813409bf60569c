"""Fixtures for tests that abuse a walstream. A module that uses them has
pytest_plugins = ["benches"], and may have OPTIONS, of its walstream.
"""

import contextlib

import pytest

from bystander import Bench


@pytest.fixture(scope="module")
def benches(pg, stubs, request):
    """One for the module; another when a test has spoilt it."""
    options = getattr(request.module, "OPTIONS", ())
    made = []

    def get():
        if made and made[-1].walstream.child.poll() is not None:
            with contextlib.suppress(AssertionError):
                made.pop().close()
        if not made:
            made.append(Bench(pg, stubs, options))
        return made[-1]

    yield get
    for one in made:
        one.close()


@pytest.fixture
def bench(benches):
    return benches()
