"""What is in the image, for both architectures."""

import re
import stat
import struct
import subprocess

import pytest

from place import REPOSITORY

MACHINE = {"amd64": 62, "arm64": 183}  # e_machine, elf.h
PT_INTERP, PT_DYNAMIC = 3, 2
USER = 65532

# Name: mode. All belong to root.
FILES = {
    "walstream": 0o755,
    "etc/passwd": 0o644,
    "etc/group": 0o644,
    "etc/ssl/certs/ca-certificates.crt": 0o644,
    # Of everything that is linked into the program.
    **{f"usr/share/licenses/{name}": 0o644 for name in (
        "walstream", "musl", "nanopb", "nghttp2", "openssl")},
}
DIRECTORIES = {"etc", "etc/ssl", "etc/ssl/certs", "usr", "usr/share",
               "usr/share/licenses"}


def test_files(image):
    """Exactly these, root's, writable for nobody else, none setuid."""
    files = {name: stat.S_IMODE(entry.mode)
             for name, entry in image.entries.items() if entry.isfile()}
    others = {name: entry for name, entry in image.entries.items()
              if not entry.isfile()}
    assert files == FILES
    assert {name.rstrip("/") for name in others} - {"", "."} == DIRECTORIES
    for entry in others.values():
        assert entry.isdir() and stat.S_IMODE(entry.mode) == 0o755, entry
    for entry in image.entries.values():
        assert (entry.uid, entry.gid) == (0, 0), entry


def test_size(image):
    """The archive, uncompressed."""
    size = image.archive.stat().st_size
    print(f"{image.arch}: {size} bytes")
    assert size < 5_000_000


def test_user(image):
    """Unprivileged, by number, and with a name."""
    assert image.config["User"] == f"{USER}:{USER}"
    name, _, uid, gid, _, home, shell = image.read(
        "etc/passwd").decode().rstrip("\n").split(":")
    assert (name, uid, gid) == ("walstream", str(USER), str(USER))
    assert (home, shell) == ("/nonexistent", "/sbin/nologin")
    assert image.read("etc/group").decode() == f"walstream:x:{USER}:\n"


def test_config(image):
    """How it is started, asked and stopped."""
    config = image.config
    assert image.architecture == image.arch
    assert config["Entrypoint"] == ["/walstream"]
    assert not config["Cmd"]
    assert list(config["ExposedPorts"]) == ["50051/tcp"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "/walstream", "health"]
    for label in ("title", "description", "version", "licenses"):
        assert config["Labels"][f"org.opencontainers.image.{label}"]


def test_certificates(image):
    """A bundle of Debian's size, where the environment says."""
    env = dict(word.split("=", 1) for word in image.config["Env"])
    bundle = image.read(env["SSL_CERT_FILE"].lstrip("/"))
    begun = bundle.count(b"-----BEGIN CERTIFICATE-----\n")
    assert 100 < begun == bundle.count(b"-----END CERTIFICATE-----\n")


def program_headers(elf):
    """The types of a 64-bit little-endian ELF file's program headers."""
    offset, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return [struct.unpack_from("<I", elf, offset + i * size)[0]
            for i in range(count)]


def test_binary(image):
    """For this architecture, and needs no loader."""
    elf = image.read("walstream")
    assert elf[:6] == b"\x7fELF\2\1"
    machine, = struct.unpack_from("<H", elf, 18)
    assert machine == MACHINE[image.arch]
    assert PT_INTERP not in program_headers(elf)
    assert not re.search(rb"/lib[\w-]*/\S*\.so\b", elf)


def test_same_as_the_machines_own(image):
    """What `make static` makes outside has the same bytes. Where it has been
    run; it is then run again, as the sources may have changed."""
    own = REPOSITORY / f"build/static-{image.arch}/walstream"
    if not own.exists():
        pytest.skip(f"make static ARCH={image.arch} has not been run here")
    subprocess.run(["make", "-s", "static", f"ARCH={image.arch}"],
                   cwd=REPOSITORY, check=True)
    ours, theirs = image.read("walstream"), own.read_bytes()
    differ = sum(a != b for a, b in zip(ours, theirs))
    assert (len(ours), differ) == (len(theirs), 0)
