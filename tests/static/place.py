"""Where things are; the helpers of the integration tests are ours, too."""

import pathlib
import platform
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]

sys.path.insert(0, str(HERE.parent / "integration"))

ARCHES = ("amd64", "arm64")
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
GNU = {"amd64": "x86_64", "arm64": "aarch64"}


def built(arch):
    """build/static-ARCH."""
    return REPOSITORY / f"build/static-{arch}"
