"""docker-entrypoint-initdb.d, as the postgres image runs it."""

import os
import subprocess

import pytest

from pgserver import PgServer
from place import REPOSITORY

SCRIPT = REPOSITORY / "docker-entrypoint-initdb.d/create-publication.sh"
# What docker-entrypoint.sh does with a file that is not executable.
SOURCED = 'set -Eeo pipefail; before=$-; . "$0"; [ "$-" = "$before" ]'


@pytest.fixture(scope="module")
def initdb():
    """As during the image's initdb: no TCP, the Unix socket alone."""
    server = PgServer(listen_addresses="")
    with server.connect("postgres") as admin:
        admin.execute("CREATE ROLE app LOGIN SUPERUSER")
    yield server
    server.remove()


@pytest.fixture
def run(initdb, request):
    """Runs the script for a new database; gives its result and the name."""
    name = "app_" + request.node.name.split("[")[0]
    with initdb.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER app")
    env = {"PATH": f"{initdb.bindir}:{os.environ['PATH']}",
           "POSTGRES_USER": "app", "POSTGRES_DB": name,
           "PGHOST": initdb.dir, "PGPORT": str(initdb.port)}

    def start(*command):
        return subprocess.run(command, env=env, capture_output=True,
                              text=True, timeout=30, check=False)

    start.publications = lambda: publications(initdb, name)
    return start


def publications(server, database):
    with server.connect(database) as admin:
        return admin.execute(
            "SELECT pubname, puballtables, pubinsert, pubupdate, pubdelete,"
            " pubtruncate FROM pg_publication").fetchall()


def everything(name):
    return [(name, True, True, True, True, True)]


def test_executed(run):
    """It makes `publication`, for all tables and all that happens to them."""
    assert os.access(SCRIPT, os.X_OK)
    done = run(SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    assert run.publications() == everything("publication")


def test_sourced(run):
    """A checkout may have lost the mode; the shell's settings stay."""
    done = run("bash", "-c", SOURCED, SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    assert run.publications() == everything("publication")


def test_twice(run):
    """The image runs it once; a second time is an error, and harmless."""
    assert run(SCRIPT).returncode == 0
    done = run(SCRIPT)
    assert done.returncode != 0
    assert "already exists" in done.stderr
    assert run.publications() == everything("publication")


def test_fails_aloud(run):
    """Sourced or executed, initdb of the image stops with it."""
    for command in ((SCRIPT,), ("bash", "-c", SOURCED, SCRIPT)):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "POSTGRES_USER": "app",
                 "POSTGRES_DB": "nosuch", "PGHOST": "/nonexistent"})
        assert done.returncode != 0
        assert done.stderr
