"""hadolint and docker-compose, kept in build/image."""

import hashlib
import json
import os
import subprocess
import sys

from place import HERE, KEPT, REPOSITORY

REQUIREMENTS = HERE / "requirements.txt"


def installed():
    """The directory of the programs that requirements.txt pins."""
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    home = KEPT / f"tools-{pins}"
    if not home.exists():
        new = KEPT / f"tools-{pins}.{os.getpid()}"
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
             "--require-hashes", "--only-binary", ":all:", "--target", new,
             "--no-warn-script-location", "-r", REQUIREMENTS], check=True)
        new.rename(home)
    return home / "bin"


def hadolint(dockerfile):
    """What it finds, a dict each."""
    done = subprocess.run(
        [installed() / "hadolint", "--no-color", "--format", "json",
         dockerfile],
        cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and not done.stderr, done
    return json.loads(done.stdout)


def compose(*args, file=REPOSITORY / "docker-compose.yml", env=None):
    """Runs docker-compose, in an environment that says nothing else."""
    return subprocess.run(
        [installed() / "docker-compose", "--file", file,
         "--project-directory", REPOSITORY, *args], cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent",
             **(env or {})},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def composition(env=None):
    """docker-compose.yml as docker-compose understands it, all profiles.

    It prints $ as $$, as it would have to read it again.
    """
    done = compose("--profile", "*", "config", "--format", "json",
                   "--no-path-resolution", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.replace("$$", "$"))
