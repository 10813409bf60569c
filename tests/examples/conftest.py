"""Fixtures: a PostgreSQL, a database, a walstream, and examples that run."""

import itertools
import re
import signal

import place  # first: it says where the helpers are

import pytest

import readme
from build import build
from database import Database
from daemon import Walstream
from pgserver import PgServer
from program import Program

numbers = itertools.count(1)


def pytest_configure(config):
    """End with teardown when terminated, too."""
    del config
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def pg():
    server = PgServer()
    yield server
    server.remove()


@pytest.fixture
def db(pg, request):
    """This test's database. It has `publication`, for all tables."""
    title = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40]
    database = Database(pg, f"d{next(numbers)}_{title.strip('_')}")
    database.sql("CREATE PUBLICATION publication FOR ALL TABLES")
    yield database
    database.drop()


@pytest.fixture
def walstream(db):
    """A walstream on a permanent slot of db."""
    one = Walstream(db)
    one.start()
    yield one
    one.finish()


@pytest.fixture
def launch(walstream):
    """Runs an example as its README says, with more words after that."""
    del walstream  # it ends after its clients
    started = []

    def start(name, *words, **options):
        copy = build(name)
        one = Program([*readme.run(name), *words], copy, **options)
        started.append(one)
        return one

    yield start
    for one in started:
        one.end()
