"""The Dockerfile and .dockerignore as texts."""

import re

import builder
import tools
from place import REPOSITORY


def test_linter():
    """hadolint finds nothing."""
    assert tools.hadolint(builder.DOCKERFILE) == []


def test_linter_finds(tmp_path):
    """It would have: an untagged image, a shell's command, two of them."""
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nCMD walstream\nCMD walstream\n")
    found = {one["code"] for one in tools.hadolint(bad)}
    assert {"DL3006", "DL3025", "DL4003"} <= found


def test_ignored_findings_are_explained():
    """A comment stands above every exception."""
    lines = builder.DOCKERFILE.read_text(encoding="utf-8").splitlines()
    for before, line in zip([""] + lines, lines):
        if "hadolint ignore" in line:
            assert before.startswith("# "), line
    assert not list(REPOSITORY.glob(".hadolint.y*ml"))


def test_context():
    """Only sources are sent to the builder."""
    files = {name for name, entry in builder.context().items()
             if entry.isfile()}
    tops = {name.split("/")[0] for name in files}
    assert tops == {"LICENSE", "Makefile", "proto", "src", "tests", "vendor"}
    assert {name for name in files if name.startswith("tests/")} == {
        "tests/tools/deps"}
    assert not [name for name in files if name.endswith((".o", ".a"))]
    assert {"Makefile", "proto/plugin.proto", "src/main.c",
            "vendor/build"} <= files


def test_version():
    """The image says the version that the Makefile says."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    version = re.search(r"^VERSION = (\S+)$", makefile, re.MULTILINE)[1]
    dockerfile = builder.DOCKERFILE.read_text(encoding="utf-8")
    label = re.search(r'image\.version="(.*)"', dockerfile)[1]
    services = tools.composition()["services"]
    assert label == version
    assert services["walstream"]["image"] == f"walstream:{version}"
