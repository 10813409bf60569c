"""Fixtures: one walstream for each kind of port, asked everything once."""

import place  # first: it says where the helpers are

import pytest

import certs
import spec
from database import Database
from proc import Server
from suite import pg, pytest_configure


@pytest.fixture(scope="session")
def db(pg):
    database = Database(pg, "h2spec")
    yield database
    database.drop()


@pytest.fixture(scope="session")
def answers(db, tmp_path_factory):
    """Asks a port of a kind, once; returns what spec.run does."""
    known = {}

    def ask(kind):
        if kind not in known:
            known[kind] = PORTS[kind](db, tmp_path_factory.mktemp(kind))
        return known[kind]

    return ask


def judge(db, where, server_options, options):
    """A walstream lives through all of them, and serves at the end."""
    one = Server("-c", db.conninfo(), "start", "--publication", "pub",
                 "--slot", db.slot, "--temporary", "false", "--host",
                 "127.0.0.1", "--port", "0", "--drain", "0", *server_options)
    try:
        one.wait_listening()
        return spec.run(one.port, where, *options)
    finally:
        one.finish()


def over_h2c(db, where):
    return judge(db, where, [], [])


def over_tls(db, where):
    authority = certs.Authority(where, "authority")
    pair = authority.issue("localhost", "DNS:localhost,IP:127.0.0.1")
    options = ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
    return judge(db, where, options, ["--tls", "--insecure"])


PORTS = {"h2c": over_h2c, "tls": over_tls}
