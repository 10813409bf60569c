"""A short life under valgrind: no error, no leak. The sanitized suites see more,
this sees the program as it is shipped, and its libraries."""

import shutil

import pytest

from scene import DONE

VALGRIND = ["valgrind", "--quiet", "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect", "--error-exitcode=99",
            "--track-fds=no", "--num-callers=25"]


def test_memcheck(scene):
    if shutil.which("valgrind") is None:
        pytest.fail("valgrind is not installed")
    assert scene.play(wrapper=VALGRIND, patience=60, cpu_limit=120,
                      host="localhost") == DONE, scene.log
    assert "==" not in scene.log, scene.log
