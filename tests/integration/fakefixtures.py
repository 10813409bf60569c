"""Fixtures for tests with a fake PostgreSQL; no real one is started."""

import pathlib
import tempfile

import pytest

import client as clients
import proc
from fakecheck import make_certificate, start_args
from fakepg import Fake
from suite import finish_all


@pytest.fixture(scope="session")
def place():
    """A directory with a name that tests/static/in-chroot shows to the
    program."""
    with tempfile.TemporaryDirectory(prefix="walstream-pg-") as name:
        yield pathlib.Path(name)


@pytest.fixture
def fake(place):
    """Makes servers that play the scripts they are given."""
    made = []

    def make(*scripts, unix=False):
        one = Fake(*scripts, unix=str(place) if unix else None)
        made.append(one)
        return one

    yield make
    problems = []
    for one in made:
        try:
            one.close()
        except Exception as problem:  # of a script
            problems.append(problem)
    if problems:
        raise problems[0]


@pytest.fixture
def start(fake):
    """Starts walstream on a fake server, and waits until it listens."""
    del fake  # it ends after those who talk to it
    started = []

    def run(server, *options, env=None, **conninfo):
        connection = server if isinstance(server, str) \
            else server.conninfo(**conninfo)
        one = proc.Server("-c", connection, *start_args(*options), env=env)
        started.append(one)
        return one.wait_listening()

    yield run
    finish_all(started)


@pytest.fixture
def attach(stubs, start):
    """Opens a session on a walstream, and waits until it is in place."""
    del start
    opened = []

    def one(to, wait=True):
        opened.append(clients.Client(stubs, to.address))
        return opened[-1].attached(30) if wait else opened[-1]

    yield one
    for stream in opened:
        stream.close()


@pytest.fixture(scope="session")
def certificate(place):
    """Of 127.0.0.1, signed by itself: the paths of it and of its key."""
    return make_certificate(place, "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1")
