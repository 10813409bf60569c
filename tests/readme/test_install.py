"""What make install puts where, and the systemd unit."""

import json
import stat
import subprocess

import pytest

from conftest import REPOSITORY

FILES = {
    "bin/walstream": 0o755,
    "share/man/man1/walstream.1": 0o644,
    "share/man/man7/walstream-protocol.7": 0o644,
    "share/bash-completion/completions/walstream": 0o644,
    "share/zsh/site-functions/_walstream": 0o644,
    "lib/systemd/system/walstream@.service": 0o644,
}
# systemd-analyze security: 0 is best, 10 worst.
EXPOSURE = 1.5


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    to = tmp_path_factory.mktemp("root")
    subprocess.run(["make", "-s", "install", f"DESTDIR={to}", "PREFIX=/usr"],
                   cwd=REPOSITORY, check=True)
    return to


def test_files(root):
    """These and no others, with these modes."""
    found = {str(path.relative_to(root / "usr")):
             stat.S_IMODE(path.stat().st_mode)
             for path in root.rglob("*") if path.is_file()}
    assert found == FILES


def test_unit_is_valid(root, tmp_path):
    """systemd finds nothing to complain about, the program's path included,
    which is made to be true here."""
    unit = (root / "usr/lib/systemd/system/walstream@.service").read_text()
    here = tmp_path / "walstream@.service"
    here.write_text(unit.replace("=/usr/bin/", f"={root}/usr/bin/"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", here],
        capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_unit_is_hardened(root):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--json=short",
         f"--threshold={int(EXPOSURE * 10)}", f"--root={root}",
         "walstream@test.service"],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + json.dumps(
        [row["name"] for row in json.loads(done.stdout)
         if not row["set"]], indent=1)
