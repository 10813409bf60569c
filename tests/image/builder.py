"""Builds the Dockerfile, with buildah and no container engine.

The base image is what debootstrap makes from the mirror that this machine's
apt uses. All is kept in build/image, so that a second build is a short one.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from place import KEPT, REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"
BASE = re.compile(r"^FROM \S+ (debian:(\w+)-slim) AS build$", re.MULTILINE)
STORAGE = KEPT / "storage"
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def buildah(*args):
    """Its mounts are nobody else's, and go with it."""
    done = subprocess.run(
        ["unshare", "--mount", "buildah", "--root", STORAGE, "--runroot",
         KEPT / "run", *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        check=False)
    assert done.returncode == 0, \
        f"buildah {' '.join(map(str, args))}:\n{done.stdout[-6000:]}"
    return done.stdout


def sources(suite):
    """The sources.list of this machine's apt, as far as it is Debian's own,
    and the mirror in it."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format",
         "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages",
         "Origin: Debian"],
        capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        _, uri, release, component = line.split()
        if (release, component) == (suite, "main"):
            return listed, uri
    raise AssertionError(f"apt has no {suite} main; apt-get update?\n{listed}")


def provide_base():
    """The image that the builder stage begins with; made once."""
    name, suite = BASE.search(DOCKERFILE.read_text(encoding="utf-8")).groups()
    if buildah("images", "--quiet", "--filter", f"reference={name}"):
        return
    lines, mirror = sources(suite)
    with tempfile.TemporaryDirectory(dir=KEPT) as new:
        root = pathlib.Path(new, "debian")
        with open(KEPT / "debootstrap.log", "wb") as log:
            subprocess.run(["debootstrap", "--variant=minbase", suite, root,
                            mirror], stdout=log, stderr=log, check=True)
        (root / "etc/apt/sources.list").write_text(lines, encoding="ascii")
        box = buildah("from", "scratch").strip()
        buildah("add", "--quiet", box, root, "/")
        buildah("commit", "--quiet", "--rm", box,
                f"docker.io/library/{name}")


def build(arch):
    """An Image of the tree, for linux/ARCH.

    This buildah does not know BUILDPLATFORM in FROM by itself.
    """
    provide_base()
    name = f"localhost/walstream:{arch}"
    buildah("build", "--isolation", "chroot", "--pull-never", "--layers",
            "--format", "docker", "--platform", f"linux/{arch}",
            "--build-arg", f"BUILDPLATFORM=linux/{NATIVE}",
            "--tag", name, REPOSITORY)
    return Image(arch, name)


def context():
    """What .dockerignore lets through, as COPY . would see it."""
    with tempfile.NamedTemporaryFile("w", dir=KEPT) as file:
        file.write("FROM scratch\nCOPY . /\n")
        file.flush()
        buildah("build", "--isolation", "chroot", "--file", file.name, "--tag",
                "localhost/context", REPOSITORY)
    return Image("context", "localhost/context").entries


class Image:
    """An image in an archive: its configuration and its files."""

    def __init__(self, arch, name):
        self.arch = arch
        self.archive = KEPT / f"{arch}.tar"
        self.archive.unlink(missing_ok=True)
        buildah("push", "--quiet", name, f"docker-archive:{self.archive}")
        with tarfile.open(self.archive) as archive:
            manifest, = json.load(archive.extractfile("manifest.json"))
            document = json.load(archive.extractfile(manifest["Config"]))
        self.layers = manifest["Layers"]
        self.architecture = document["architecture"]
        self.config = document["config"]
        self.entries = {}
        for layer in self._open_layers():
            self.entries.update((m.name, m) for m in layer)

    def _open_layers(self):
        with tarfile.open(self.archive) as archive:
            for name in self.layers:
                with tarfile.open(
                        fileobj=archive.extractfile(name)) as layer:
                    yield layer

    def unpack(self, directory):
        """Owners and modes as in the image: for root only."""
        os.mkdir(directory, 0o755)
        for layer in self._open_layers():
            layer.extractall(directory, numeric_owner=True)

    def read(self, name):
        for layer in self._open_layers():
            if name in layer.getnames():
                return layer.extractfile(name).read()
        raise FileNotFoundError(name)


def programs():
    """What this cannot do without."""
    return [name for name in ("buildah", "debootstrap", "runc", "unshare")
            if not shutil.which(name)]
