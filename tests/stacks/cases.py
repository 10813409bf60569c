"""Parameters of the tests: stacks and transports by name."""

import pytest

from table import STACKS, TRANSPORTS


def by_name(name):
    return next(one for one in TRANSPORTS if one.name == name)


each_stack = pytest.mark.parametrize(
    "stack", STACKS, ids=[stack.name for stack in STACKS])

each_transport = pytest.mark.parametrize("transport", [
    pytest.param(one, id=one.name) for one in TRANSPORTS])


def over(*names):
    """Some transports only."""
    return pytest.mark.parametrize("transport", [
        pytest.param(by_name(name), id=name)
        for name in names])
