"""The manual pages, and what the integration tests have."""

import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent / "integration"))

import pytest  # noqa: E402

from page import Page  # noqa: E402
from pgserver import PgServer  # noqa: E402


def pytest_configure(config):
    """End with teardown when terminated, too."""
    del config
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def manual():
    return Page("walstream.1")


@pytest.fixture(scope="session")
def protocol():
    return Page("walstream-protocol.7")


@pytest.fixture(scope="session")
def pg():
    """The database that the pages talk of."""
    server = PgServer(hba="host app me 127.0.0.1/32 scram-sha-256\n")
    try:
        with server.connect("postgres") as admin:
            admin.execute("CREATE DATABASE app")
        with server.connect("app") as admin:
            admin.execute("CREATE TABLE orders (id int PRIMARY KEY,"
                          " item text)")
        yield server
    finally:
        server.remove()
