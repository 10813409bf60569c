"""Fixtures: one PostgreSQL for the session, one database for each test."""

import importlib
import itertools
import re
import signal
import sys
import types

import grpc_tools
import pytest
from grpc_tools import protoc

import client as clients
import roles
from database import Database
from pgserver import PgServer
from proc import REPOSITORY, Server
from waiting import until

numbers = itertools.count(1)


def pytest_configure(config):
    """End with teardown when terminated, too."""
    del config
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """Generated from proto/, now."""
    out = tmp_path_factory.mktemp("stubs")
    proto = REPOSITORY / "proto"
    well_known = grpc_tools.__path__[0] + "/_proto"
    status = protoc.main([
        "protoc", f"-I{proto}", f"-I{well_known}", f"--python_out={out}",
        f"--grpc_python_out={out}", "plugin.proto", "health.proto",
        "reflection.proto"])
    assert status == 0, "protoc failed"
    sys.path.insert(0, str(out))
    return types.SimpleNamespace(
        pb2=importlib.import_module("plugin_pb2"),
        pb2_grpc=importlib.import_module("plugin_pb2_grpc"),
        reflection=importlib.import_module("reflection_pb2"),
        health=importlib.import_module("health_pb2"),
        health_grpc=importlib.import_module("health_pb2_grpc"))


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
def db(pg, request):
    """This test's database."""
    title = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40]
    database = Database(pg, f"d{next(numbers)}_{title.strip('_')}")
    yield database
    database.drop()


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
    problems = []
    for one in started:
        try:
            one.finish()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


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
