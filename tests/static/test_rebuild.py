"""Two builds give the same bytes, and the second needs no network.

A whole build each: one or two minutes.
"""

import os
import shutil
import subprocess

import pytest

import place

TREE = ("Makefile", "src", "proto", "vendor")


@pytest.fixture(params=place.ARCHES)
def arch(request):
    return request.param


def build(tree, arch, sources, *command, **more):
    env = {**os.environ, "WALSTREAM_SOURCES": str(sources), **more}
    done = subprocess.run(
        [*command, "vendor/build", arch], cwd=tree, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    return (tree / f"build/static-{arch}/walstream").read_bytes()


def test_reproducible(arch, tmp_path):
    """Elsewhere, at another time, cut off, with other settings around it."""
    sources = os.path.abspath(os.environ.get(
        "WALSTREAM_SOURCES", place.REPOSITORY / "build/sources"))
    first = build(place.REPOSITORY, arch, sources)
    tree = tmp_path / "a/longer/way/to/the/tree"
    for name in TREE:
        copy = shutil.copytree if (place.REPOSITORY / name).is_dir() \
            else shutil.copy
        tree.mkdir(parents=True, exist_ok=True)
        copy(place.REPOSITORY / name, tree / name)
    second = build(tree, arch, sources, "unshare", "--net", CFLAGS="-O0",
                   CC="false", ARCH="other", MAKEFLAGS="-k", TZ="Asia/Tokyo",
                   LC_ALL="C.UTF-8", SOURCE_DATE_EPOCH="1")
    assert first == second
