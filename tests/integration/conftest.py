"""Fixtures: one PostgreSQL for the session, one database for each test."""

import pytest

import client as clients
import roles
from pgserver import PgServer
from proc import Server
from rawh2 import RawClient
from suite import db, finish_all, make_stubs, pytest_configure
from waiting import until


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """Generated from proto/, now."""
    return make_stubs(
        tmp_path_factory.mktemp("stubs"), "plugin.proto", "health.proto",
        "reflection.proto", pb2="plugin_pb2", pb2_grpc="plugin_pb2_grpc",
        reflection="reflection_pb2", health="health_pb2",
        health_grpc="health_pb2_grpc")


@pytest.fixture(scope="session")
def pg():
    server = PgServer(hba=roles.HBA)
    try:
        with server.connect("postgres") as admin:
            roles.create(admin)
        yield server
    finally:
        server.remove()


@pytest.fixture
def role(db):
    """A role that may replicate, and can be locked out."""
    name = db.name + "_r"
    db.sql(f"CREATE ROLE {name} LOGIN REPLICATION")
    yield name
    db.sql(f"DROP ROLE {name}")


@pytest.fixture
def server(db):
    """Starts walstream on db and waits until it listens.

    Few tests acknowledge all they get, hence the short --drain.
    """
    started = []

    def start(*options, slot=None, publication="pub", temporary=False,
              connection=None, shared=False, drain="1", env=None, **process):
        if not shared:
            until(lambda: db.walsender() is None, 10,
                  "the slot to be free")
        one = Server(
            "-c", connection or db.conninfo(), "start", "--publication",
            publication, "--slot", slot or db.slot, "--host", "127.0.0.1",
            "--port", "0", "--temporary", str(temporary).lower(),
            "--drain", drain, *options, env=env, **process)
        started.append(one)
        return one.wait_listening()

    yield start
    finish_all(started)


@pytest.fixture
def client(stubs, server):
    """Opens a session on a server and waits until it is in place."""
    del server  # it ends after its clients
    opened = []

    def attach(to, wait=True, **options):
        one = clients.Client(stubs, getattr(to, "address", None), **options)
        opened.append(one)
        return one.attached() if wait else one

    yield attach
    for one in opened:
        one.close()


@pytest.fixture
def stream(server, client):
    """A client of a walstream on a permanent slot."""
    return client(server())


@pytest.fixture
def raw():
    """Opens raw connections; closes them."""
    opened = []

    def connect(to, **options):
        opened.append(RawClient(to.port, **options))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()
