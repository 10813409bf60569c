"""An example that runs, and what it says."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import threading

from database import lsn_number
from waiting import SCALE, until

COMMIT = re.compile(r"commit ([0-9A-F]+/[0-9A-F]+) (\d+)")

# What would lead to another database, or help a program to behave.
UNWANTED = ("PG", "PYTHON", "NODE_OPTIONS")


def environment(extra=None):
    """Ours, less that."""
    mine = {name: value for name, value in os.environ.items()
            if not name.startswith(UNWANTED)}
    return {**mine, **(extra or {})}


class Program:
    """Runs words in the directory cwd.

    lines: its standard output so far; errors: its standard error.
    held: its output is not read before release(), so that a program that
    prints much has to wait.
    """

    def __init__(self, words, cwd, held=False, env=None):
        self.words = words
        self.lines = []
        self.errors = []
        self.child = subprocess.Popen(
            words, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            errors="replace", start_new_session=True)
        self._gate = threading.Event()
        if not held:
            self._gate.set()
        self._readers = [
            self._reader(self.child.stdout, self.lines, self._gate),
            self._reader(self.child.stderr, self.errors, None)]

    @staticmethod
    def _reader(stream, lines, gate):
        def read():
            if gate is not None:
                gate.wait()
            for line in stream:
                lines.append(line)
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def unread(self):
        """How many bytes of output wait in the pipe."""
        size = fcntl.ioctl(self.child.stdout, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(size, sys.byteorder)

    def release(self):
        self._gate.set()

    def state(self):
        """For messages: how it stands."""
        lines = [line[:200].rstrip("\n") for line in self.lines[-10:]]
        return (f"{' '.join(self.words)}: exit status"
                f" {self.child.poll()}, {len(self.lines)} lines, the last:\n"
                + "\n".join(lines) + "\nits standard error:\n"
                + "".join(self.errors[-50:]))

    # What it printed. The last line may be cut when it was killed.

    def output(self):
        return [line[:-1] for line in list(self.lines) if line[-1:] == "\n"]

    def rows(self):
        return [line for line in self.output() if not COMMIT.fullmatch(line)]

    def transactions(self):
        """(LSN, lines) of each whole transaction; checks the counts."""
        found, rows = [], []
        for line in self.output():
            commit = COMMIT.fullmatch(line)
            if not commit:
                rows.append(line)
                continue
            assert int(commit[2]) == len(rows), \
                f"{line}, but {len(rows)} lines are before it"
            found.append((lsn_number(commit[1]), rows))
            rows = []
        return found

    def committed(self):
        """The LSN of the last commit it printed, or 0."""
        done = self.transactions()
        return done[-1][0] if done else 0

    def wait_rows(self, count, timeout=20):
        """Waits for so many rows and the commit behind them; returns them."""
        def enough():
            return sum(len(rows) for _, rows in self.transactions()) >= count
        self.wait_for(enough, timeout, f"{count} rows and their commit")
        return self.rows()

    def wait_said(self, text, timeout=20):
        """Waits until its standard error has the text."""
        self.wait_for(lambda: text in "".join(self.errors), timeout,
                      f"{text!r} on standard error")

    def wait_for(self, condition, timeout, what):
        def come():
            if condition():
                return True
            if self.child.poll() is not None:
                self._join()
                assert condition(), f"it ended before {what}: {self.state()}"
            return False
        until(come, timeout, lambda: f"{what}: {self.state()}")

    # How it ends

    def _join(self):
        self.release()
        for reader in self._readers:
            reader.join(10)

    def send(self, sig):
        self.child.send_signal(sig)

    def wait(self, timeout=10):
        """Waits for the end; returns the exit status."""
        try:
            code = self.child.wait(timeout * SCALE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {timeout * SCALE} s: "
                                 + self.state()) from None
        self._join()
        return code

    def kill(self):
        self.send(signal.SIGKILL)
        return self.wait()

    def end(self):
        """At the end of a test, whatever it is doing."""
        if self.child.poll() is None:
            self.kill()
        self._join()
        print(self.state())
