"""What the file is: static, position-independent, hardened, small."""

import re
import subprocess

import pytest

import place

MACHINES = {"amd64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}
# What an object says of itself that was compiled with -fcf-protection or
# -mbranch-protection.
BRANCHES = {"amd64": "x86 feature: IBT, SHSTK",
            "arm64": "AArch64 feature: BTI, PAC"}
# Written in C throughout; the others have assembly.
IN_C = ("nghttp2", "protobuf-nanopb", "ssl")


def readelf(option, path):
    done = subprocess.run(["readelf", "-W", option, path], check=True,
                          capture_output=True, text=True)
    return done.stdout


@pytest.fixture(params=place.ARCHES)
def arch(request):
    return request.param


@pytest.fixture
def program(arch):
    path = place.built(arch) / "walstream"
    if not path.exists():
        pytest.fail(f"{path} is not there: run make static ARCH={arch} first",
                    pytrace=False)
    return path


def segments(program):
    """(type, flags) of each program header."""
    return re.findall(r"^  ([A-Z_]+) +0x.* ([R ][W ][E ]) 0x",
                      readelf("-l", program), re.MULTILINE)


def test_header(arch, program):
    """A position-independent program for this machine."""
    header = readelf("-h", program)
    assert re.search(rf"Machine: +{MACHINES[arch]}\n", header)
    assert re.search(r"Type: +DYN ", header)


def test_static(program):
    """No interpreter, no library, and no code to be relocated."""
    kinds = [kind for kind, _ in segments(program)]
    assert "LOAD" in kinds and "INTERP" not in kinds
    dynamic = readelf("-d", program)
    assert "(FLAGS_1)" in dynamic
    assert "(NEEDED)" not in dynamic and "TEXTREL" not in dynamic


def test_hardened(program):
    """RELRO, everything bound at once, nothing both writable and code."""
    flags = segments(program)
    assert ("GNU_STACK", "RW ") in flags
    assert "GNU_RELRO" in [kind for kind, _ in flags]
    assert not [kind for kind, rwx in flags if rwx.endswith("WE")]
    assert re.search(r"\(FLAGS_1\) +Flags: NOW PIE", readelf("-d", program))


@pytest.mark.parametrize("library", [
    "c", "crypto", "ssl", "nghttp2", "protobuf-nanopb"])
def test_libraries_hardened(arch, library):
    """The libraries were compiled with the stack protector, too."""
    path = place.built(arch) / f"root/lib/lib{library}.a"
    if library in IN_C:
        notes = readelf("-n", path)
        assert notes.count(BRANCHES[arch]) == notes.count("File: ") > 0
    used = re.findall(r"UND __stack_chk_fail\n", readelf("-s", path))
    assert used


def test_stripped(program):
    """Small, without symbols; the program beside it has them."""
    assert program.stat().st_size < 4_000_000
    assert ".symtab" not in readelf("-S", program)
    assert ".debug_info" in readelf("-S", program.parent / "program/walstream")


def test_no_paths(program):
    """It does not tell where it was built."""
    assert str(place.REPOSITORY).encode() not in program.read_bytes()


def test_patched(arch):
    """nghttp2 has what Debian's patches bring: the limits of resets
    (CVE-2023-44487) and of CONTINUATION frames (CVE-2024-28182)."""
    symbols = readelf("-s", place.built(arch) / "root/lib/libnghttp2.a")
    for name in ("nghttp2_ratelim_drain",
                 "nghttp2_option_set_stream_reset_rate_limit",
                 "nghttp2_option_set_max_continuations"):
        assert f" {name}\n" in symbols
