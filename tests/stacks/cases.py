"""Parameters of the tests: stacks and transports by name, and what is owed."""

import pytest

from fakecheck import owed
from table import STACKS, TRANSPORTS

# Transports that walstream does not have yet, and why.
LATE = {
    "token": "no tokens yet",
}


def marks(transport):
    late = LATE.get(transport.name)
    return [owed(late)] if late else []


def by_name(name):
    return next(one for one in TRANSPORTS if one.name == name)


each_stack = pytest.mark.parametrize(
    "stack", STACKS, ids=[stack.name for stack in STACKS])

each_transport = pytest.mark.parametrize("transport", [
    pytest.param(one, id=one.name, marks=marks(one)) for one in TRANSPORTS])


def over(*names):
    """Some transports only."""
    return pytest.mark.parametrize("transport", [
        pytest.param(by_name(name), id=name, marks=marks(by_name(name)))
        for name in names])
