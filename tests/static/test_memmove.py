"""The memcpy and memmove that the program has."""

from compiler import compiled
from conftest import each_arch
from proc import run


@each_arch
def test_copies(root, tmp_path):
    """They copy what they are to, and nothing else."""
    root.install(compiled(root.arch, "memmove.c", tmp_path / "memmove"))
    done = run(timeout=60)
    assert done.returncode == 0, done.stdout
