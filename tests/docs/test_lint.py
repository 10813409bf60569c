"""The pages are good mdoc, and lead somewhere."""

import re
import subprocess

import pytest

from page import MAN, Page

PAGES = sorted(path.name for path in MAN.iterdir())
# Whether the pages of others are installed depends on the machine, so
# mandoc's own check of references is not asked; these are known to exist.
OTHERS = {"flock 2", "pg_recvlogical 1", "pg_upgrade 1", "psql 1",
          "sd_notify 3", "sd_watchdog_enabled 3", "systemd.service 5"}


def test_pages():
    assert PAGES == ["walstream-protocol.7", "walstream.1"]


@pytest.mark.parametrize("name", PAGES)
def test_lint(name):
    """mandoc finds nothing, matters of style included."""
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "all", MAN / name],
                          text=True, capture_output=True, check=False)
    found = [line for line in done.stdout.splitlines()
             if "referenced manual not found" not in line]
    assert found == []


@pytest.mark.parametrize("name", PAGES)
def test_references(name):
    """A page that is referred to, and a section, are there."""
    page = Page(name)
    ours = {re.sub(r"\.(\d)$", r" \1", other) for other in PAGES}
    assert set(page.root.words("Xr")) <= OTHERS | ours
    headings = page.sections.keys() | Page.parts(page.root, "Ss").keys()
    assert set(page.root.words("Sx")) <= headings


@pytest.mark.parametrize("name", PAGES)
def test_ascii(name):
    """What every terminal shows."""
    assert (MAN / name).read_text(encoding="utf-8").isascii()
