"""Connecting with walstream and with psql, which have to agree."""

import itertools
import subprocess

from proc import complaints, environment, fails, run
from waiting import SCALE

HOST = "db.test"  # whom the certificates are for

numbers = itertools.count(1)


def words(**settings):
    """A connection string; what is None is left out."""
    return " ".join(f"{name}='{quoted(value)}'"
                    for name, value in settings.items() if value is not None)


def quoted(value):
    return str(value).replace("\\", "\\\\").replace("'", "\\'")


def psql(connection, env=None):
    """libpq's opinion; there is no terminal to ask at."""
    return subprocess.run(
        ["psql", "-X", "-w", "-c", "SELECT", connection],
        env=environment(env), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=30 * SCALE, start_new_session=True, check=False)


def works(connection, env=None, libpq=True):
    """list can be run; psql agrees unless libpq (15) is known not to."""
    done = run("-c", connection, "list", env=env, timeout=30)
    assert done.returncode == 0, done.stderr
    assert not complaints(done.stderr)
    if libpq is not None:
        other = psql(connection, env)
        assert (other.returncode == 0) == libpq, other.stderr
    return done.stderr


def refused(connection, *naming, env=None, libpq=False):
    """list fails in one line that has these words; psql fails as well,
    unless libpq is known not to, or None: not to know the option."""
    said = fails("-c", connection, "list", naming=naming, code=1, env=env)
    if libpq is not None:
        other = psql(connection, env)
        assert (other.returncode == 0) == libpq, \
            f"walstream: {said}\npsql: {other.stderr or 'works'}"
    return said
