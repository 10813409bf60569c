"""Fixtures: images built from the Dockerfile, a database, containers."""

import os
import re

import place  # first: it says where the helpers are

import pytest
from psycopg.sql import SQL, Literal

import builder
import share
import tools
from container import Container
from network import Network, forward, resolve
from pgserver import PgServer
from waiting import until

PASSWORD = "p \"w'd\\ $$x"  # what an operator might choose
# How the postgres image lets other containers in.
HBA = "local all all trust\nhost all all all scram-sha-256\n"

images = {}


def pytest_configure(config):
    share.pytest_configure(config)
    missing = builder.programs()
    if os.geteuid() != 0 or missing:
        pytest.exit("tests/image needs root, and tests/tools/deps image; "
                    f"missing: {' '.join(missing) or 'root'}", 2)
    place.KEPT.mkdir(parents=True, exist_ok=True)


def built(arch):
    if arch not in images:
        images[arch] = builder.build(arch)
    return images[arch]


@pytest.fixture(scope="session", params=["amd64", "arm64"])
def image(request):
    return built(request.param)


@pytest.fixture(scope="session")
def native():
    return built(builder.NATIVE)


@pytest.fixture(scope="session")
def composition():
    """docker-compose.yml, normalized, with a password of the operator's."""
    return tools.composition({"POSTGRES_PASSWORD": PASSWORD})


@pytest.fixture(scope="session")
def pg(composition):
    """A PostgreSQL as the compose file starts it, but for its port."""
    command = composition["services"]["db"]["command"]
    assert command[0] == "postgres"
    settings = dict(re.fullmatch(r"(\w+)=(.*)", word).groups()
                    for word in command[1:] if word != "-c")
    server = PgServer(hba=HBA, **settings)
    try:
        with server.connect("postgres") as admin:
            admin.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
            admin.execute("CREATE PUBLICATION publication FOR ALL TABLES")
            admin.execute(SQL("ALTER ROLE postgres PASSWORD {}").format(
                Literal(PASSWORD)))
        yield server
    finally:
        server.remove()


@pytest.fixture
def sql(pg):
    """Runs one statement; returns its rows."""
    with pg.connect("postgres") as connection:
        connection.execute("TRUNCATE t")

        def run(query, params=None):
            cursor = connection.execute(query, params)
            return cursor.fetchall() if cursor.description else None

        yield run


@pytest.fixture
def password():
    """The environment that walstream gets it by."""
    return {"PGPASSWORD": PASSWORD}


@pytest.fixture
def plain_role(sql):
    """A role with what walstream needs and no more, password secret."""
    sql("CREATE ROLE plain LOGIN REPLICATION PASSWORD 'secret'")
    yield "plain"
    until(lambda: not sql("SELECT 1 FROM pg_stat_activity"
                          " WHERE usename = 'plain'"), 30, "plain to leave")
    sql("DROP ROLE plain")


@pytest.fixture
def bare():
    """A network with nobody in it."""
    network = Network()
    yield network
    network.close()


@pytest.fixture
def network(bare, pg):
    """A network in which the database is db:5432, by DNS."""
    resolve(bare, {"db": "127.0.0.1"})
    forward(bare, 5432, ("127.0.0.1", pg.port))
    return bare


@pytest.fixture
def launch():
    """Starts containers, and removes them."""
    started = []

    def start(*args, **options):
        started.append(Container(*args, **options))
        return started[-1]

    yield start
    for one in started:
        one.remove()
