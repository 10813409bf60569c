"""The completion scripts, in the shells they are for."""

import os
import pty
import shutil
import subprocess
import time

import pytest

from proc import fails, run
from waiting import SCALE


def script(shell, path):
    done = run("completion", shell)
    assert done.returncode == 0 and done.stderr == ""
    path.write_text(done.stdout, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def bash(tmp_path_factory):
    """Completes a command line; the words that may come next."""
    path = script("bash", tmp_path_factory.mktemp("bash") / "walstream")

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in ("walstream", *words))
        done = subprocess.run(
            ["bash", "--norc", "-c",
             f". {path}; COMP_WORDS=({quoted}); COMP_CWORD={len(words)};"
             " _walstream; printf '%s\\n' \"${COMPREPLY[@]}\""],
            capture_output=True, text=True, timeout=20, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return complete


COMMANDS = ["start", "check", "create", "list", "delete", "tail", "health",
            "completion"]


@pytest.mark.parametrize("words, expected", [
    ([""], COMMANDS + ["--connection", "--log-level", "--log-format", "--help",
                       "--version"]),
    (["st"], ["start"]),
    (["-c", "start", "de"], ["delete"]),
    (["--connection", "=", "x", "l"], ["list"]),
    (["start", "--te"], ["--temporary"]),
    (["start", "--temporary", ""], ["true", "false"]),
    (["start", "-t", "f"], ["false"]),
    (["start", "--temporary", "=", "t"], ["true"]),
    (["start", "--temporary", "="], ["true", "false"]),
    (["start", "--slot", ""], []),
    (["list", "--format", ""], ["table", "json"]),
    (["tail", "--format", ""], ["json", "pretty"]),
    (["tail", "--log-level", "w"], ["warn"]),
    (["completion", ""], ["bash", "zsh", "--connection", "--log-level",
                        "--log-format",
                          "--help", "--version"]),
    (["no-command", "-"], []),
])
def test_bash(bash, words, expected):
    assert bash(*words) == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_knows_every_option(bash, command):
    """What --help lists is what is offered."""
    listed = [line.split("--")[1].split()[0]
              for line in run(command, "--help").stdout.splitlines()
              if line.startswith(("  -", "      --"))]
    if command == "completion":
        listed.remove("shell")  # its values are offered in its place
    assert bash(command, "--") == [f"--{name}" for name in listed]


def read_for(fd, what, timeout=20):
    """Reads a terminal until `what` is there; fails when it does not come."""
    text, end = "", time.monotonic() + timeout * SCALE
    os.set_blocking(fd, False)
    while what not in text:
        assert time.monotonic() < end, f"{what!r} is not in {text!r}"
        try:
            text += os.read(fd, 65536).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.01)
    return text


@pytest.mark.parametrize("typed, completed", [
    ("hea", "walstream health "),
    ("start --tempo", "walstream start --temporary="),
    ("list --format=j", "walstream list --format=json "),
    ("completion z", "walstream completion zsh "),
    ("tail --operation tr", "walstream tail --operation truncate "),
])
def test_zsh(tmp_path, typed, completed):
    """A real zsh on a terminal, and the Tab key."""
    zsh = shutil.which("zsh")
    assert zsh, "zsh is not installed (tests/tools/deps check)"
    path = script("zsh", tmp_path / "walstream.zsh")
    pid, fd = pty.fork()
    if pid == 0:
        home = {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path),
                "TERM": "dumb", "PATH": os.environ["PATH"]}
        os.execve(zsh, ["zsh", "-f", "-i"], home)
    try:
        os.write(fd, b"unsetopt zle_bracketed_paste; PS1='' RPS1=''\n"
                 b"autoload -U compinit; compinit -u -D\n"
                 + f"source {path}; echo rea''dy\n".encode())
        read_for(fd, "ready")
        os.write(fd, f"walstream {typed}\t".encode())
        read_for(fd, completed)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(fd)


def test_other_shells():
    fails("completion", "fish", naming=["bash", "zsh", "fish"], code=2)
    fails("completion", naming=["--shell"], code=2)
