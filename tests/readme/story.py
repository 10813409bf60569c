"""A reader who types what the README says, one command after the other."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from proc import binary, environment
from waiting import SCALE, until

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# What make install is given so that it changes nothing of the machine.
SUDO = """#!/bin/sh
exec "$@" DESTDIR='{root}'
"""


class Story:
    def __init__(self, pg, place):
        self.pg = pg
        self.place = place
        self.root = place / "root"
        bin_dir = place / "bin"
        bin_dir.mkdir()
        (bin_dir / "walstream").symlink_to(binary())
        (bin_dir / "sudo").write_text(SUDO.format(root=self.root))
        (bin_dir / "sudo").chmod(0o755)
        (place / "proto").symlink_to(REPOSITORY / "proto")
        self.env = environment({
            "PATH": f"{place / 'venv/bin'}:{bin_dir}:{os.environ['PATH']}",
            "HOME": str(place)})
        self.started = []

    def run(self, command, cwd=None, outside=False, timeout=120):
        """To its end, which must be a good one; what it printed."""
        where = []
        if outside:
            net = os.environ["WALSTREAM_README_HOST_NET"]
            where = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{net}", "--"]
        done = subprocess.run(
            [*where, "bash", "-ec", command], cwd=cwd or self.place,
            env=self.env, text=True, timeout=timeout * SCALE, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def venv(self):
        """`pip` is a virtual environment's, as on any machine of today."""
        if not (self.place / "venv").exists():
            subprocess.run([sys.executable, "-m", "venv",
                            str(self.place / "venv")], check=True)

    def start(self, command):
        """Something that stays; its output goes to a file."""
        log = self.place / f"{len(self.started)}.log"
        with open(log, "wb") as to:
            child = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.place,
                env=self.env, stdin=subprocess.DEVNULL, stdout=to,
                stderr=subprocess.STDOUT)
        child.log, child.command = log, command
        self.started.append(child)
        return child

    def text(self, child):
        return child.log.read_text(encoding="utf-8")

    def wait_text(self, child, what):
        def seen():
            assert child.poll() is None, \
                f"{child.command} ended:\n{self.text(child)}"
            return what in self.text(child)
        until(seen, 30, lambda: f"{what!r} in:\n{self.text(child)}")
        return self.text(child)

    def running(self, word):
        return [child for child in self.started
                if word in child.command.split() and child.poll() is None]

    def stop(self, child):
        child.terminate()
        assert child.wait(20 * SCALE) in (0, -15), self.text(child)

    def change_a_row(self, key):
        with self.pg.connect("app") as admin:
            admin.execute("INSERT INTO orders VALUES (%s, 'tea')", (key,))

    def await_line(self, child, key):
        """The line that reports the change, as JSON."""
        text = self.wait_text(child, f'"id":{key}')
        return json.loads(next(line for line in text.splitlines()
                               if f'"id":{key}' in line))

    def end(self):
        for child in self.started:
            if child.poll() is None:
                child.kill()
                child.wait()
        shutil.rmtree(self.place / "venv", ignore_errors=True)
