"""Fixtures: a PostgreSQL, a database, a walstream, and examples that run."""

import place  # first: it says where the helpers are

import pytest

import readme
from build import build
from daemon import Walstream
from program import Program
from suite import db as fresh_db
from suite import pg, pytest_configure


@pytest.fixture
def db(fresh_db):
    """With `publication`, for all tables."""
    fresh_db.sql("CREATE PUBLICATION publication FOR ALL TABLES")
    return fresh_db


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
