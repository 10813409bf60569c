"""The integration tests' fixtures, and a scene that is played under faults."""

import importlib.util
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
INTEGRATION = HERE.parent / "integration"
sys.path.insert(1, str(INTEGRATION))

import pytest  # noqa: E402

from proc import REPOSITORY  # noqa: E402
from scene import Scene  # noqa: E402

# Theirs is a conftest.py as well, so it has to be loaded by its path.
_spec = importlib.util.spec_from_file_location(
    "integration_fixtures", INTEGRATION / "conftest.py")
fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fixtures)
pytest_configure = fixtures.pytest_configure
stubs, pg, db = fixtures.stubs, fixtures.pg, fixtures.db
server, client, stream = fixtures.server, fixtures.client, fixtures.stream


def pytest_addoption(parser):
    parser.addoption("--sweep", nargs="?", const="1-", metavar="FROM-TO",
                     help="all faults, not only a dose of them; or those with"
                     " these numbers, from 1 on")
    parser.addoption("--seed", type=int, default=1,
                     help="what draws the dose")


@pytest.fixture
def sweep(request):
    """None: a dose will do. Otherwise the numbers of the first and the last
    fault to be tried, the last being None: all."""
    text = request.config.getoption("--sweep")
    if text is None:
        return None
    first, _, last = text.partition("-")
    return int(first), int(last) if last else None


@pytest.fixture
def seed(request):
    return request.config.getoption("--seed")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """shim.c, to be preloaded."""
    path = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["cc", "-std=c11", "-O2", "-fPIC", "-shared", "-o", path,
                    HERE / "shim.c"], check=True)
    return str(path)


@pytest.fixture(scope="session")
def failing(tmp_path_factory):
    """A walstream with AddressSanitizer whose own allocations can fail."""
    out = "build/failing"
    obj = tmp_path_factory.mktemp("failing") / "shim.o"
    names = "malloc", "calloc", "realloc", "strdup", "strndup"
    wrap = " ".join(f"-Wl,--wrap={name}" for name in names)
    subprocess.run(["cc", "-std=c11", "-O2", "-fPIE", "-DSHIM_WRAP", "-c",
                    "-o", obj, HERE / "shim.c"], check=True)
    subprocess.run(["make", "-s", "-C", REPOSITORY, "SANITIZE=1",
                    f"OUT={out}", f"LDFLAGS={wrap} {obj}",
                    f"{out}/walstream"], check=True)
    os.utime(REPOSITORY / out / "walstream")
    return str(REPOSITORY / out / "walstream")


@pytest.fixture
def scene(db, stubs):
    """The scene, to be played again and again."""
    return Scene(db, stubs)
