"""The examples of both pages, run.

The host db is a throwaway PostgreSQL, and 50051 and 50052 are free ports;
otherwise they are run as they are printed, in one shell.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest
from grpc_tools import protoc

from page import REPOSITORY
from pgserver import free_port
from proc import Server, binary, environment
from waiting import SCALE, until

MARK = "\x01done "


def steps(page):
    """(command, output) for each command of the examples."""
    found = []
    for lines in page.displays(page.sections["EXAMPLES"]):
        for line in "\n".join(lines).replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def shape(output):
    """Output, less what is different every time."""
    output = re.sub(r"\b[0-9A-F]+/[0-9A-F]+\b", "LSN", output)
    output = re.sub(r"\d+(\.\d+)?", "N", output)
    return [" ".join(line.split()) for line in output.splitlines()]


class Shell:
    """One bash, which is given commands as they are typed."""

    def __init__(self, place, env):
        self.errors = place / "errors"
        with open(self.errors, "wb") as errors:
            self.child = subprocess.Popen(
                ["bash", "--norc"], env=env, cwd=place, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)

    def type(self, command):
        """Runs it; its status and output."""
        self.child.stdin.write(f"{command}\nprintf '{MARK}%d\\n' $?\n")
        self.child.stdin.flush()
        out = ""
        for line in self.child.stdout:
            if line.startswith(MARK):
                return int(line[len(MARK):]), out
            out += line
        raise AssertionError(f"the shell ended: {self.said()}")

    def said(self):
        return self.errors.read_text(encoding="utf-8")

    def end(self):
        if self.child.poll() is None:
            self.type("kill $(jobs -p); wait")
            self.child.stdin.close()
            self.child.wait(20 * SCALE)
        self.child.stdout.close()


@pytest.fixture
def shell(pg, tmp_path):
    """walstream and psql are what a reader would have."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "walstream").symlink_to(binary())
    psql = shutil.which("psql", path=f"{pg.bindir}:{os.environ['PATH']}")
    (programs / "psql").write_text(
        f'#!/bin/sh\nexec {psql} -X -h {pg.dir} -p {pg.port}'
        ' -U postgres "$@"\n', encoding="utf-8")
    (programs / "psql").chmod(0o755)
    one = Shell(tmp_path, environment({
        "PATH": f"{programs}:{os.environ['PATH']}", "HOST": "127.0.0.1",
        "LC_ALL": "C"}))
    yield one
    one.end()


def test_walstream(manual, pg, shell):
    """Each command succeeds, and prints what the page says."""
    ports = {"50051": str(free_port()), "50052": str(free_port())}
    shell.type(f"export PORT={ports['50051']}")
    examples = steps(manual)
    assert len(examples) > 15
    for command, output in examples:
        for port, free in ports.items():
            command = command.replace(port, free)
        command = command.replace("host=db", f"host=127.0.0.1 port={pg.port}")
        started = re.search(r"^(PORT=\d+ )?walstream start .*&$", command)
        status, out = shell.type(command)
        assert status == 0, f"{command}: {shell.said()}"
        assert shape(out) == shape("\n".join(output)), command
        if started:
            asking = f"{started[1] or ''}walstream health"
            until(lambda: shell.type(asking)[0] == 0, 10,
                  lambda: f"{command}: {shell.said()}")
    assert "_walstream" in shell.type("complete -p walstream")[1]


def test_client(protocol, pg, tmp_path):
    """The Python client prints a change, and acknowledges it."""
    protoc.main(["protoc", f"-I{REPOSITORY / 'proto'}",
                 f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}",
                 "plugin.proto"])
    with pg.connect("app") as admin:
        admin.execute("CREATE TABLE client (id int PRIMARY KEY)")
        admin.execute("CREATE PUBLICATION client FOR TABLE client")
        server = Server("-c", f"host={pg.dir} port={pg.port} user=postgres"
                        " dbname=app", "start", "client", "client", "-t",
                        "false", "-h", "127.0.0.1", "-p", "0")
        try:
            server.wait_listening()
            check_client(protocol, admin, server, tmp_path)
        finally:
            server.finish()
            admin.execute("SELECT pg_drop_replication_slot('client')")


def check_client(protocol, admin, server, place):
    lines, = protocol.displays(protocol.sections["EXAMPLES"])
    code = "\n".join(lines).replace("127.0.0.1:50051", server.address)
    (place / "client.py").write_text(code, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-u", "client.py"], cwd=place,
                          stdout=subprocess.PIPE, text=True) as client:
        try:
            admin.execute("INSERT INTO client VALUES (7)")
            assert client.stdout.readline() == 'insert client {"id":7}\n'
            end = admin.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
            until(lambda: admin.execute(
                "SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots"
                " WHERE slot_name = 'client'", (end,)).fetchone()[0], 10,
                  "the slot to be confirmed")
        finally:
            client.kill()
