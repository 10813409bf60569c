"""The program in an empty root directory, as an unprivileged user."""

import json
import os

import pytest

import place
from conftest import each_arch
from emptyroot import NOBODY
from proc import Server, fails, run
from roles import PASSWORD

SETTLED = ["--host", "127.0.0.1", "--port", "0", "--drain", "1"]


@pytest.fixture
def scram(db):
    return db.conninfo(user="auth_scram", password=PASSWORD)


@pytest.fixture
def server(db, root, scram):
    """`start`, from in there, on a permanent slot."""
    one = Server("-c", scram, "start", "--publication", "pub", "--slot",
                 db.slot, "--temporary", "false", *SETTLED)
    if root.arch != place.NATIVE:
        one.longest_turn *= 10  # emulated
    yield one.wait_listening()
    one.finish()


@each_arch
def test_version(root):
    """It runs where there is no other file, no /dev and no /proc."""
    emulator = [] if root.arch == place.NATIVE else ["the emulator"]
    assert len(root.files()) == len(["walstream", *emulator])
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("walstream ")


@each_arch
def test_list(root, scram):
    """SCRAM-SHA-256: digests and random numbers without a device."""
    done = run("-c", scram, "list")
    assert done.returncode == 0, done.stderr


def test_wrong_password(db, root):
    """A connection that is refused is refused in there as well."""
    fails("-c", db.conninfo(user="auth_scram", password="wrong"), "list",
          naming=["auth_scram"], code=1)


@each_arch
def test_start_and_tail(db, server):
    """What is committed comes out at a tail, which is in there, too."""
    key = db.one("SELECT coalesce(max(id), 0) + 1 FROM t")
    db.fill(key, key + 2)
    done = run("tail", server.address, "--count", "3", "--ack")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line)["payload"]["id"]
            for line in done.stdout.splitlines()]
    assert rows == [key, key + 1, key + 2]


def test_confined(root, server):
    """The process is where these tests say it is."""
    proc = f"/proc/{server.pid}"
    assert os.readlink(f"{proc}/root") == str(root.root)
    with open(f"{proc}/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    assert fields["Uid"].split() == [str(NOBODY)] * 4
    assert fields["Groups"].split() == []
    assert int(fields["CapEff"], 16) == 0


def test_relro(root, server):
    """What is to be read-only once relocated is so while it runs."""
    del root
    with open(f"/proc/{server.pid}/maps", encoding="ascii") as maps:
        lines = [line.split() for line in maps if line.endswith("/walstream\n")]
    flags = [line[1] for line in lines]
    # headers, code, constants, RELRO, data
    assert flags == ["r--p", "r-xp", "r--p", "r--p", "rw-p"], lines
