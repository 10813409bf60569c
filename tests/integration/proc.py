"""walstream processes: servers that stay, and commands that end."""

import os
import pathlib
import re
import signal
import subprocess
import threading

import pytest

from waiting import SCALE, until

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LISTENING = re.compile(r" info server\.listening: listening on (.*):(\d+)")
HARMLESS = re.compile(r"^\S+Z (info|warn|debug) ")
TURN = re.compile(r"longest turn (\d+) ms \(CPU (\d+) ms\)")
# What a turn of the loop may take of the CPU, ms: 50 is the aim.
# How long it takes there says little where others work, too.
LONGEST_TURN = 250 * SCALE
REPORT = re.compile(r"(Address|Leak|Memory|UndefinedBehavior)Sanitizer"
                    r"|runtime error:")


def binary():
    path = os.path.abspath(
        os.environ.get("WALSTREAM") or REPOSITORY / "build/walstream")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not there: run make first", pytrace=False)
    return path


def is_program():
    """Is it the program itself, and no script around it?"""
    with open(binary(), "rb") as f:
        return f.read(4) == b"\x7fELF"


def needs(what):
    """Skips a test where a wrapper takes that from the program."""
    if not is_program():
        pytest.skip(f"needs {what}: a wrapper takes it away")


def environment(extra=None):
    """Ours without what walstream reads, and with no home to find files in."""
    mine = {name: value for name, value in os.environ.items()
            if not name.startswith("PG")
            and name not in ("CONNECTION", "PORT", "HOST", "TEMPORARY")}
    return {**mine, "HOME": "/nonexistent", **(extra or {})}


def complaints(text):
    """The lines of standard error that report a failure."""
    return [line for line in text.splitlines()
            if line and not HARMLESS.match(line)]


def check_reports(text):
    assert not REPORT.search(text), f"a sanitizer reported:\n{text}"


def run(*args, env=None, timeout=20):
    """Runs a command to its end; its output as text, its status unchecked."""
    done = subprocess.run(
        [binary(), *args], env=environment(env), stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8", errors="replace",
        timeout=timeout * SCALE, check=False)
    check_reports(done.stderr)
    return done


def fails(*args, naming=(), code=None, env=None):
    """Runs a command that must fail with one clear line; returns the line."""
    done = run(*args, env=env)
    said = complaints(done.stderr)
    assert done.returncode > 0, f"it succeeded: {done}"
    assert len(said) == 1, f"{len(said)} lines of complaint:\n{done.stderr}"
    for word in naming:
        assert word in said[0], f"{word!r} is not named in: {said[0]}"
    if code is not None:
        assert done.returncode == code, f"{done.returncode}: {said[0]}"
    return said[0]


class Process:
    """A walstream that stays, its standard error read as it comes.

    wrapper: the words of a command that becomes it (execve), or stays beside
    it. program: another one than binary().
    """

    def __init__(self, *args, env=None, wrapper=(), program=None):
        self.args = args
        self.lines = []
        self.expected = (0,)
        self.longest_turn = LONGEST_TURN
        self.child = subprocess.Popen(
            [*wrapper, program or binary(), *args], env=environment(env),
            text=True, encoding="utf-8", errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True)
        self.pid = self.child.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stderr:
            self.lines.append(line.rstrip("\n"))

    def text(self, most=200):
        """What was logged; of a very long log both ends."""
        lines = list(self.lines)
        if len(lines) > most:
            left_out = f"... {len(lines) - most} lines ..."
            lines[most // 2:-most // 2] = [left_out]
        return "\n".join(lines)

    def logged(self, event):
        """The lines of one event key."""
        return [line for line in list(self.lines) if f" {event}: " in line]

    def wait_log(self, event, count=1, timeout=20):
        def seen():
            lines = self.logged(event)
            if len(lines) >= count:
                return lines
            if self.child.poll() is not None:
                self.reader.join(5)
                raise AssertionError(
                    f"walstream ended before {event}:\n{self.text()}")
            return None
        return until(seen, timeout, lambda: f"{event} in:\n{self.text()}")

    def status(self, name):
        """A size from /proc/PID/status, in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
        raise KeyError(name)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def wait(self, timeout=10):
        """Waits for the end; returns the exit status."""
        try:
            code = self.child.wait(timeout * SCALE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"walstream still runs after"
                                 f" {timeout * SCALE} s:\n{self.text()}"
                                 ) from None
        self.reader.join(5)
        return code

    def stop(self, sig=signal.SIGTERM, timeout=10):
        """Sends the signal and waits for the end; returns the status."""
        self.child.send_signal(sig)
        return self.wait(timeout)

    def kill(self):
        self.expected = (-signal.SIGKILL,)
        self.stop(signal.SIGKILL)

    def check_turns(self):
        """X26: no turn of the loop kept everybody waiting."""
        for line in self.lines:
            if found := TURN.search(line):
                turns = os.environ.get("WALSTREAM_TURNS")
                if turns:
                    with open(turns, "a", encoding="ascii") as f:
                        print(found[1], found[2],
                              os.environ.get("PYTEST_CURRENT_TEST"), file=f)
                    return
                assert int(found[2]) <= self.longest_turn, line

    def finish(self):
        """At the end of a test: it must end, and well."""
        try:
            code = self.child.poll()
            if code is None:
                code = self.stop()
            self.reader.join(5)
        finally:
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()
            print(f"walstream {' '.join(self.args)}\n{self.text()}")
        check_reports("\n".join(self.lines))
        self.check_turns()
        assert code in self.expected, f"walstream exited with {code}"


class Server(Process):
    """`walstream start`, listening once wait_listening() has returned."""

    def __init__(self, *args, env=None, **options):
        super().__init__(*args, env=env, **options)
        self.host, self.port = None, None

    def wait_listening(self):
        line = self.wait_log("server.listening")[0]
        self.host, port = LISTENING.search(line).groups()
        self.port = int(port)
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"
