"""Fixtures: one PostgreSQL, one database with every type, one stream."""

import os
import random
import time

import place  # first: it says where the helpers are

import pytest

from catalogue import Catalogue
from database import Database
from generators import Generators
from literals import CONTROLS, EVERY_KIND
from pgserver import PgServer
from proc import Server
from suite import finish_all, pytest_configure, stubs
from table import SESSION
from tally import total

EXTENSIONS = ("hstore", "citext", "ltree", "cube", "intarray")

SEED = int(os.environ.get("WALSTREAM_SEED", "1"))

versions = []
began = time.monotonic()


def pytest_terminal_summary(terminalreporter):
    """What was compared, in one line."""
    say = terminalreporter.write_line
    if total.only_null:
        say("fidelity: only NULL of " + ", ".join(sorted(total.only_null)))
    for version in versions:
        say(f"fidelity: PostgreSQL {version}: {len(total.types)} types,"
            f" {total.rows} rows, {total.values} values,"
            f" {total.differences.total()} differences,"
            f" seed {SEED}, {time.monotonic() - began:.0f} s")


@pytest.fixture(scope="session")
def pg():
    server = PgServer(shared_buffers="512MB", max_locks_per_transaction="256")
    yield server
    server.remove()


def noise():
    """What random texts are cut from: every sort of character."""
    pool = [*CONTROLS * 3, *"\"\"\\\\{}[](),;:|'/ <>&$=" * 8,
            *"abcXYZ0189eE+-." * 12, *random.sample(EVERY_KIND, 800)]
    random.shuffle(pool)
    return "".join(pool)


@pytest.fixture(scope="session")
def db(pg):
    """A database that has the extensions and our own types."""
    random.seed(SEED)
    database = Database(pg, "fidelity")
    for name in EXTENSIONS:
        database.sql(f"CREATE EXTENSION {name}")
    for script in ("usertypes.sql", "helpers.sql"):
        database.sql((place.HERE / script).read_text(encoding="utf-8"))
    versions.append(database.one("SHOW server_version").split()[0])
    yield database
    database.drop()


@pytest.fixture(scope="session")
def conn(db):
    """A session as the payload is defined by, its random numbers seeded."""
    with db.connect() as session:
        for setting in SESSION:
            session.execute(setting)
        session.execute("SELECT setseed(1.0 / %s)", (SEED,))
        session.execute("SELECT set_config('fidelity.noise', %s, false)",
                        (noise(),))
        yield session


@pytest.fixture(scope="session")
def catalogue(conn):
    return Catalogue(conn)


@pytest.fixture(scope="session")
def generators(conn, catalogue):
    return Generators(conn, catalogue)


@pytest.fixture(scope="session")
def launch(db):
    """Starts a walstream."""
    started = []

    def start(slot, temporary):
        one = Server(
            "-c", db.conninfo(), "start", "--publication", "pub", "--slot",
            slot, "--host", "127.0.0.1", "--port", "0", "--temporary",
            temporary, "--drain", "1", "--buffer-size", "256MiB",
            "--slow-client-timeout", "600")
        one.longest_turn = 30000  # a row of 100 MB is made in one
        started.append(one)
        return one.wait_listening()

    yield start
    finish_all(started)


@pytest.fixture(scope="session")
def walstream(launch, db):
    """On a permanent slot."""
    return launch(db.slot, "false")
