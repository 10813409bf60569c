"""Fixtures: a PostgreSQL, and root directories with one program in them."""

import place  # first: it says where the helpers are

import pytest

import roles
from database import Database
from emptyroot import EmptyRoot
from pgserver import PgServer
from suite import pytest_configure

# The program may come by IPv6, and not by Unix socket: it cannot see one.
HBA = roles.HBA + "host all auth_scram ::1/128 scram-sha-256\n"


@pytest.fixture(scope="session")
def pg():
    server = PgServer(hba=HBA, listen_addresses="127.0.0.1,::1")
    try:
        with server.connect("postgres") as admin:
            roles.create(admin)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def db(pg):
    database = Database(pg, "static")
    yield database
    database.drop()


@pytest.fixture
def root(request, monkeypatch):
    """The helpers run the program of arch, this machine's, in it."""
    arch = getattr(request, "param", place.NATIVE)
    one = EmptyRoot(arch)
    monkeypatch.setenv("WALSTREAM", str(one.enter))
    yield one
    one.remove()


def each_arch(test):
    """Runs the test with the program of every architecture."""
    return pytest.mark.parametrize("root", place.ARCHES, indirect=True)(test)
