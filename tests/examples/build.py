"""Copies of the examples in build/examples, installed as their READMEs say.

The tree stays as it is. What an install leaves in the copy is kept, and is
made again only when the example or the contract has changed.
"""

import fcntl
import fnmatch
import hashlib
import os
import shutil
import subprocess

import readme
from place import BUILD, COPIES, EXAMPLES, REPOSITORY

PATIENCE = 1200  # seconds for an install: downloads and compilers
PROTO = REPOSITORY / "proto" / "plugin.proto"


def generated():
    """The names in examples/.gitignore: what installs and builds make."""
    lines = (EXAMPLES / ".gitignore").read_text(encoding="ascii").split("\n")
    return [line.rstrip("/") for line in lines
            if line and not line.startswith("#")]


def sources(root):
    """The files under root that are not generated, relative to it."""
    skip = generated()

    def ours(name):
        return not any(fnmatch.fnmatch(name, pattern) for pattern in skip)

    for path, folders, names in os.walk(root):
        folders[:] = sorted(filter(ours, folders))
        for name in sorted(filter(ours, names)):
            yield os.path.relpath(os.path.join(path, name), root)


def digest(source):
    """Of everything an install depends on."""
    state = hashlib.sha256(PROTO.read_bytes())
    for name in sources(source):
        state.update(name.encode() + b"\0" + (source / name).read_bytes())
    return state.hexdigest()


def update(source, copy):
    """Makes the sources of the copy the same; leaves what is generated."""
    names = list(sources(source))
    for name in set(sources(copy)).difference(names):
        (copy / name).unlink()
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, copy / name)
    (BUILD / "proto").mkdir(exist_ok=True)
    shutil.copy2(PROTO, BUILD / "proto" / PROTO.name)


def execute(name, script, copy):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=copy,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        timeout=PATIENCE, check=False)
    assert done.returncode == 0, \
        f"{name}: what its README says to install exits" \
        f" {done.returncode}:\n{script}\n{done.stdout[-5000:]}"


def build(name):
    """Installs the example; returns the directory it is in."""
    source, copy = EXAMPLES / name, COPIES / name
    assert source.is_dir(), f"there is no examples/{name}"
    copy.mkdir(parents=True, exist_ok=True)
    stamp = COPIES / f"{name}.installed"
    with open(COPIES / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        now = digest(source)
        if not stamp.exists() or stamp.read_text(encoding="ascii") != now:
            stamp.unlink(missing_ok=True)
            update(source, copy)
            execute(name, readme.install(name), copy)
            stamp.write_text(now, encoding="ascii")
    return copy
