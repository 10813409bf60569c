"""Fixtures: a PostgreSQL, a database, a walstream behind any transport, and
clients of it."""

import itertools

import place  # first: it says where the helpers are

import pytest

from call import Call
from pki import Pki
from proc import Server
from suite import db, finish_all, pg, pytest_configure
from waiting import until


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


class Walstream(Server):
    """One behind a transport; where it listens, as gRPC spells it."""

    def __init__(self, db, transport, path, pki, drain, options):
        where = ["--host", "127.0.0.1", "--port", "0"]
        if transport.name == "unix":
            where = ["--listen", f"unix:{path}"]
        words = itertools.chain.from_iterable(
            pki.fill(transport.options).items())
        super().__init__(
            "-c", db.conninfo(), "start", "--publication", "pub", "--slot",
            db.slot, "--temporary", "false", "--drain", drain, *where, *words,
            *options)
        self.transport = transport
        self.path = path

    def wait_listening(self):
        if self.transport.name != "unix":
            return super().wait_listening()
        self.wait_log("server.listening")
        return self

    @property
    def target(self):
        return (f"unix:{self.path}" if self.transport.name == "unix"
                else self.address)


@pytest.fixture
def serve(db, pki, tmp_path):
    """Starts a walstream behind a transport, and waits until it listens."""
    started = []

    def start(transport, *options, drain="1"):
        path = tmp_path / f"{len(started)}.sock"
        one = Walstream(db, transport, path, pki, drain, options)
        started.append(one)
        return one.wait_listening()

    yield start
    finish_all(started)


@pytest.fixture
def call(serve, pki):
    """Makes a call to a walstream by a stack. Options are words of the
    client; at: another address than the server's own."""
    del serve  # it ends after its clients
    made = []

    def make(stack, walstream, method, at=None, **options):
        words = pki.fill(walstream.transport.words)
        words.update(options)
        given = {name: value for name, value in words.items()
                 if value is not None}
        one = Call(stack, at or walstream.target, method, given)
        made.append(one)
        return one

    yield make
    for one in made:
        one.end()


@pytest.fixture
def released(db):
    """Waits until nobody holds the slot: walstream knows its client left."""
    return lambda: until(lambda: db.walsender() is None, 20,
                         "the slot to be released")
