"""Compiles a program of the tests as vendor/build compiles walstream."""

import os
import subprocess

import place


def compiled(arch, source, out, *libraries):
    gnu = f"{place.GNU[arch]}-linux-gnu"
    subprocess.run(
        [place.REPOSITORY / "vendor/static-cc", "-Wall", "-Wextra",
         "-Werror", "-s", "-o", out, place.HERE / source, *libraries],
        check=True, env={**os.environ, "STATIC_GCC": f"{gnu}-gcc",
                         "STATIC_ROOT": str(place.built(arch) / "root"),
                         "STATIC_TREE": str(place.REPOSITORY)})
    return out
