"""A root directory with the static program in it and nothing else."""

import os
import pathlib
import shutil
import tempfile

import place

NOBODY = 65534

ENTER = """\
#!/bin/sh
exec chroot --userspec={user}:{user} --groups= '{root}' {program} "$@"
"""


class EmptyRoot:
    """`enter` runs the program in there, as nobody, in the same process.

    The program of another machine has its emulator beside it.
    """

    def __init__(self, arch):
        self.arch = arch
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="walstream-root-"))
        self.root = self.dir / "root"
        self.enter = self.dir / "enter"
        self.root.mkdir()
        self.dir.chmod(0o755)
        self.install(place.built(arch) / "walstream")

    def install(self, program):
        """This program is in there, and is what `enter` runs."""
        shutil.rmtree(self.root)
        self.root.mkdir()
        self.root.chmod(0o755)
        command = [program]
        if self.arch != place.NATIVE:
            emulator = f"/usr/bin/qemu-{place.GNU[self.arch]}-static"
            command.insert(0, pathlib.Path(emulator))
        for file in command:
            shutil.copy(file, self.root)
            (self.root / file.name).chmod(0o755)
        self.enter.write_text(ENTER.format(
            user=NOBODY, root=self.root,
            program=" ".join(f"/{file.name}" for file in command)))
        self.enter.chmod(0o755)

    def put(self, path, text):
        """Makes a file in there."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
        file.chmod(0o644)
        while (file := file.parent) != self.root:
            file.chmod(0o755)

    def files(self):
        return sorted(os.path.relpath(os.path.join(where, name), self.root)
                      for where, _, names in os.walk(self.root)
                      for name in names)

    def remove(self):
        shutil.rmtree(self.dir)
