"""walstream under test, started again whenever it ends."""

import os
import signal
import subprocess
import threading
import time

from pgserver import free_port

SLOT = "oracle"


class Stuck(Exception):
    """walstream does not do what nothing keeps it from."""


class Life:
    """One process."""

    def __init__(self, child, required, buffer_size):
        self.child = child
        self.pid = child.pid
        self.required = required
        self.buffer_size = buffer_size
        self.since = time.monotonic()
        self.listening_at = None
        self.until = None   # it has ended
        self.code = None
        self.told = None    # (time, signal), when we ended it
        self.killed = False # by SIGKILL

    def log_line(self):
        how = "runs" if self.until is None else f"exited with {self.code}"
        return f"walstream {self.pid}, since {self.since:.3f}: {how}"


class Daemon:
    def __init__(self, binary, conninfo, log):
        self._binary = os.path.abspath(binary)
        self._conninfo = conninfo
        self._log = log
        self._wanted = False
        self._change = threading.Condition()
        self.port = free_port()
        self.options = {}
        self.required = ()
        self.lives = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._wanted = True
        self._thread.start()
        return self.wait_listening()

    @property
    def life(self):
        return self.lives[-1]

    def args(self):
        args = [self._binary, "-c", self._conninfo, "start", "--publication",
                "pub", "--slot", SLOT, "--temporary", "false",
                "--host", "127.0.0.1", "--port", str(self.port)]
        for name, value in self.options.items():
            args += [f"--{name}", str(value)]
        for name in self.required:
            args += ["--require-consumer", name]
        return args

    def _spawn(self):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("PG")}
        args = self.args()
        with open(self._log, "ab") as log:
            log.write(b"\n---- " + " ".join(args).encode() + b"\n")
            log.flush()
            child = subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=log, env=env, start_new_session=True)
        return Life(child, self.required, self.options.get("buffer-size"))

    def _run(self):
        while self._wanted:
            life = self._spawn()
            self.lives.append(life)
            code = life.child.wait()
            life.until, life.code = time.monotonic(), code
            with self._change:
                self._change.notify_all()
            time.sleep(0.1)

    def check(self):
        """Raises Stuck when it has crashed."""
        for life in self.lives:
            if life.code is not None and life.code < 0 and life.told is None:
                raise Stuck(f"{life.log_line()} by itself\n{self.tail(30)}")

    # Is it up?

    def listening(self):
        """Has the present process its port?"""
        life = self.lives[-1] if self.lives else None
        if life is None or life.until is not None:
            return False
        if life.listening_at is None and self._has_port(life.pid):
            life.listening_at = time.monotonic()
        return life.listening_at is not None

    def _has_port(self, pid):
        """It says so in the log behind its last start."""
        del pid
        with open(self._log, "rb") as log:
            log.seek(max(0, os.path.getsize(self._log) - 65536))
            tail = log.read()
        return b" server.listening: " in tail[tail.rfind(b"\n---- "):]

    def wait_listening(self, timeout=60):
        deadline = time.monotonic() + timeout
        while not self.listening():
            if time.monotonic() > deadline:
                raise Stuck(f"walstream did not listen within {timeout} s:\n"
                            + self.tail())
            time.sleep(0.02)
        return self

    def tail(self, lines=15):
        with open(self._log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    # Ending it

    def signal(self, sig):
        life = self.life
        if life.until is not None:
            return False
        if sig in (signal.SIGKILL, signal.SIGTERM) and life.told is None:
            life.told = (time.monotonic(), sig)
        life.killed |= sig == signal.SIGKILL
        try:
            os.kill(life.pid, sig)
        except ProcessLookupError:
            return False
        return True

    def wait_ended(self, life, timeout):
        with self._change:
            return self._change.wait_for(lambda: life.until is not None,
                                         timeout)

    def renew(self):
        """Another process, with the options of now."""
        life = self.life
        self.signal(signal.SIGTERM)
        if not self.wait_ended(life, 15):
            raise Stuck(f"walstream does not end:\n{self.tail()}")
        while self.life is life:
            time.sleep(0.02)
        self.wait_listening()

    def stop(self):
        self._wanted = False
        if not self.lives:
            return
        life = self.life
        if life.until is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            if not self.wait_ended(life, 10):
                self.signal(signal.SIGKILL)
                self.wait_ended(life, 5)
