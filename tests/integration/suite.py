"""What the conftests share: hooks and fixtures to be imported there."""

import importlib
import itertools
import re
import sys
import types

import grpc_tools
import pytest
from grpc_tools import protoc

from database import Database
from pgserver import PgServer
from proc import REPOSITORY
from share import pytest_configure  # noqa: F401, for conftests

numbers = itertools.count(1)


def make_stubs(out, *files, **modules):
    """Generates them from proto/ into out; the modules, by these names."""
    well_known = grpc_tools.__path__[0] + "/_proto"
    status = protoc.main([
        "protoc", f"-I{REPOSITORY / 'proto'}", f"-I{well_known}",
        f"--python_out={out}", f"--grpc_python_out={out}", *files])
    assert status == 0, "protoc failed"
    sys.path.insert(0, str(out))
    return types.SimpleNamespace(
        **{name: importlib.import_module(module)
           for name, module in modules.items()})


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """Of the service, generated now."""
    return make_stubs(tmp_path_factory.mktemp("stubs"), "plugin.proto",
                      pb2="plugin_pb2", pb2_grpc="plugin_pb2_grpc")


@pytest.fixture(scope="session")
def pg():
    server = PgServer()
    yield server
    server.remove()


@pytest.fixture
def db(pg, request):
    """This test's database."""
    title = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40]
    database = Database(pg, f"d{next(numbers)}_{title.strip('_')}")
    yield database
    database.drop()


def finish_all(started):
    """At the end of a test: every process ends well, or all that did not are
    told of."""
    problems = []
    for one in started:
        try:
            one.finish()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)
