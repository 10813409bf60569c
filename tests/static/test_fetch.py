"""Where the sources come from: cache, distribution, upstream, by their hash."""

import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import threading

import pytest

import place

def pins():
    """The SHA-256 of each archive by its name."""
    with open(place.REPOSITORY / "vendor/pins", encoding="ascii") as lines:
        rows = [line.split() for line in lines if line.startswith("archive")]
    return {name: digest for _, digest, name in rows}


PINS = pins()
PATCHES = [name for name in PINS if ".debian.tar." in name]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(cache, upstream=None, path=None, network=True):
    """Runs vendor/fetch; its status and all it said."""
    env = {name: value for name, value in os.environ.items()
           if name != "WALSTREAM_UPSTREAM"}
    env["WALSTREAM_SOURCES"] = str(cache)
    if upstream is not None:
        env["WALSTREAM_UPSTREAM"] = upstream
    if path is not None:
        env["PATH"] = f"{path}:{env['PATH']}"
    command = [] if network else ["unshare", "--net"]
    done = subprocess.run(
        [*command, place.REPOSITORY / "vendor/fetch"], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
        check=False)
    return done.returncode, done.stdout


@pytest.fixture(scope="session")
def archives(tmp_path_factory):
    """All archives, from wherever this machine can get them."""
    cache = tmp_path_factory.mktemp("archives")
    have = os.environ.get("WALSTREAM_SOURCES",
                          place.REPOSITORY / "build/sources")
    if os.path.isdir(have):
        shutil.copytree(have, cache, dirs_exist_ok=True)
    status, said = fetch(cache)
    assert status == 0, said
    return cache


@pytest.fixture
def no_distribution(tmp_path):
    """A PATH on which apt-get has nothing to offer."""
    fake = tmp_path / "bin/apt-get"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'E: nothing here'\nexit 100\n")
    fake.chmod(0o755)
    return fake.parent


@pytest.fixture
def upstream(archives, tmp_path):
    """A local web server in place of upstream: its files, its URL, its log."""
    files = tmp_path / "upstream"
    shutil.copytree(archives, files)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path.lstrip("/"))

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield files, f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_pins():
    """Each of them is pinned; nghttp2 with its patches."""
    assert len(PINS) >= 5
    assert [name for name in PATCHES if name.startswith("nghttp2_")]


def test_distribution_first(tmp_path, upstream):
    """What the distribution has is not asked for anywhere else."""
    _, url, asked = upstream
    status, said = fetch(tmp_path / "cache", upstream=url)
    assert status == 0, said
    for name, digest in PINS.items():
        assert sha256(tmp_path / "cache" / name) == digest
        assert f"{name}: from the distribution\n" in said
    assert not asked


def test_upstream_second(tmp_path, upstream, no_distribution):
    """Where there is no distribution, all of them come from upstream."""
    _, url, asked = upstream
    status, said = fetch(tmp_path / "cache", upstream=url,
                         path=no_distribution)
    assert status == 0, said
    assert sorted(asked) == sorted(PINS)
    for name, digest in PINS.items():
        assert sha256(tmp_path / "cache" / name) == digest


def test_cache(archives):
    """With all of them in the cache no network is needed."""
    assert fetch(archives, network=False) == (0, "")


@pytest.mark.parametrize("name", PINS)
def test_wrong_upstream(tmp_path, upstream, no_distribution, name):
    """An archive with another hash is refused and does not get in."""
    files, url, _ = upstream
    with open(files / name, "r+b") as file:
        file.seek(100)
        file.write(b"other")
    status, said = fetch(tmp_path / "cache", upstream=url,
                         path=no_distribution)
    assert status == 1
    assert name in said and PINS[name] in said and sha256(files / name) in said
    have = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert have == sorted(set(PINS) - {name})


def test_wrong_cache(tmp_path, archives):
    """Nor is one of the cache, and it is not replaced behind one's back."""
    cache = tmp_path / "cache"
    shutil.copytree(archives, cache)
    name = next(iter(PINS))
    (cache / name).write_bytes(b"other")
    status, said = fetch(cache)
    assert status == 1
    assert name in said and PINS[name] in said and str(cache) in said
    assert (cache / name).read_bytes() == b"other"


@pytest.mark.parametrize("name", PATCHES)
def test_no_patches(tmp_path, archives, no_distribution, name):
    """Without the patches there is no build: which, and what to do."""
    cache = tmp_path / "cache"
    shutil.copytree(archives, cache)
    (cache / name).unlink()
    status, said = fetch(cache, path=no_distribution)
    assert status == 1
    for word in (name, PINS[name], "security patches", str(cache), "pin"):
        assert word in said


def test_nothing(tmp_path):
    """Cut off, with an empty cache: every archive is named."""
    status, said = fetch(tmp_path / "cache", network=False)
    assert status == 1
    for name, digest in PINS.items():
        assert f"{name} (SHA-256 {digest}) is not to be had" in said
