"""A helper process of ours: lines in, lines out, ended by its PID."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time

import place

PYTHON = sys.executable or "/usr/bin/python3"
EOF = object()


class Child:
    def __init__(self, script, argument, stderr):
        self.process = subprocess.Popen(
            [PYTHON, str(place.HERE / script), argument],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            text=True, start_new_session=True)
        self.pid = self.process.pid
        self.name = script
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(EOF)

    def alive(self):
        return self.process.poll() is None

    def tell(self, line):
        """False when it has gone."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return True
        except OSError:
            return False

    def hear(self, timeout):
        """The next line; None when it has gone or time is up."""
        try:
            line = self._lines.get(timeout=max(timeout, 0))
        except queue.Empty:
            return None
        return None if line is EOF else line

    def ask(self, line, timeout=30):
        if not self.tell(line):
            raise RuntimeError(f"{self.name} has ended")
        answer = self.hear(timeout)
        if answer is None:
            raise RuntimeError(f"{self.name} did not answer {line!r} within"
                               f" {timeout} s")
        return answer

    def call(self, *command):
        """A command and its answer as JSON."""
        return json.loads(self.ask(json.dumps(command)))

    def signal(self, sig):
        if self.alive():
            self.process.send_signal(sig)

    def end(self, timeout=5):
        """Ends it by closing its standard input."""
        self.signal(signal.SIGCONT)
        try:
            self.process.stdin.close()
        except OSError:
            pass
        deadline = time.monotonic() + timeout
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.alive():
            self.process.kill()
        self.process.wait()
