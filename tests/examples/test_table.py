"""Every example has its row, and every row its example."""

import subprocess

import pytest

import readme
from place import EXAMPLES, REPOSITORY
from table import TABLE

NAMES = [row.name for row in TABLE]


def test_complete():
    there = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert there == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_listed(name):
    """examples/README.md leads to it, and its own says what to type."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"]({name}/" in text
    assert readme.install(name) and readme.run(name)


def test_nothing_generated():
    """What installs and builds make is not for git."""
    done = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard", "examples"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    assert done.stdout == ""
