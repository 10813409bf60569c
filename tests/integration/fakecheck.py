"""What the tests with a fake PostgreSQL ask of walstream."""

import re
import subprocess

import pytest

import proc
from fakewal import BASE
from waiting import SANITIZED

SECRET = "s3cret-of-the-user"
LONGEST = 1200  # characters of a line that is read by somebody


def owed(reason):
    """The test says what is right, and walstream does not do it yet. When it
    does, the test fails until this mark is taken away."""
    return pytest.mark.xfail(reason=reason, strict=True)


def table(row, cases, late=None):
    """Parametrizes a test by the names of the cases, behind that of the row;
    late: which of them are owed, and why."""
    late = late or {}
    return pytest.mark.parametrize("name", [
        pytest.param(name, id=f"{row}_{name}" if row else name,
                     marks=[owed(late[name])] if name in late else [])
        for name in cases])


def make_certificate(place, *key):
    cert, secret = str(place / "cert.pem"), str(place / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj",
         "/CN=fake", "-addext", "subjectAltName=IP:127.0.0.1", "-newkey",
         *key, "-keyout", secret, "-out", cert],
        check=True, capture_output=True)
    return cert, secret


def start_args(*options):
    return ["start", "--publication", "pub", "--slot", "slot", "--host",
            "127.0.0.1", "--port", "0", "--temporary", "false", "--drain",
            "0", *options]


def check_line(line):
    """One that may be shown to anybody, on any terminal."""
    assert line.isprintable(), f"not printable: {line!r}"
    assert "\N{REPLACEMENT CHARACTER}" not in line, f"not UTF-8: {line!r}"
    assert len(line) <= LONGEST, f"{len(line)} characters: {line[:300]}..."
    assert SECRET not in line, f"the password is in: {line}"
    return line


def refused(server, *naming, command=("list",), code=1, **conninfo):
    """The command fails with one line that names all of that."""
    line = proc.fails("-c", server.conninfo(**conninfo), *command,
                      naming=naming, code=code)
    return check_line(line)


def lost(walstream, *naming, count=1):
    """The line about the count-th loss of the connection."""
    line = walstream.wait_log("pg.lost", count, 30)[count - 1]
    check_line(line)
    for word in naming:
        assert word in line, f"{word!r} is not named in: {line}"
    assert re.search(r"; trying again in \d+ ms$", line), line
    return line


def nothing_confirmed(connection):
    """Nothing was, on this connection."""
    moved = [s for s in connection.statuses if s.flush != BASE]
    assert not moved, f"confirmed: {moved}"


def check_memory(walstream):
    """It has never had much more than it has at rest."""
    if not SANITIZED:
        assert walstream.status("VmHWM") < 64 << 20
