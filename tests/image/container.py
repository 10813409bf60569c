"""Runs an image as a container engine would, by runc alone."""

import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from builder import NATIVE
from network import RESOLVER
from waiting import until

EMULATOR = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}
numbers = itertools.count(1)


def mount(source, destination):
    return {"source": str(source), "destination": destination, "type": "none",
            "options": ["bind", "ro"]}


MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc",
     "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs",
     "options": ["nosuid", "noexec", "nodev", "ro"]},
]


class Container:
    """What the image says of user, environment and entry point is followed;
    the rest is as docker-compose.yml has it: the root read-only, no
    capability, no new privileges. An image for another machine is emulated,
    and the emulator is then pid 1.
    """

    def __init__(self, image, args, network, env=None):
        self.image = image
        self.id = f"walstream-test-{os.getpid()}-{next(numbers)}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="walstream-image-"))
        self.mounts = list(MOUNTS)
        self.emulator = self._emulator()
        image.unpack(self.dir / "rootfs")
        self._give("/etc/hosts", "127.0.0.1 localhost\n")
        self._give("/etc/resolv.conf",
                   f"nameserver {RESOLVER}\noptions ndots:0\n")
        self._describe(image.config["Entrypoint"] + list(args), env or {},
                       network)
        self.log = open(self.dir / "log", "wb")
        self.child = subprocess.Popen(
            self._runc("run", "--bundle", self.dir, self.id),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            start_new_session=True)

    def _runc(self, *args):
        return ["runc", "--root", self.dir / "runc", *args]

    def _emulator(self):
        if self.image.arch == NATIVE:
            return []
        program = shutil.which(EMULATOR[self.image.arch])
        assert program, f"no {EMULATOR[self.image.arch]}"
        self.mounts.append(mount(program, "/emulator"))
        return ["/emulator"]

    def _give(self, name, text):
        """A file that engines put into every container."""
        source = self.dir / os.path.basename(name)
        source.write_text(text, encoding="ascii")
        source.chmod(0o644)
        self.mounts.append(mount(source, name))

    def _describe(self, args, env, network):
        user, group = map(int, self.image.config["User"].split(":"))
        env = [*self.image.config["Env"],
               *(f"{name}={value}" for name, value in env.items())]
        namespaces = [{"type": kind} for kind in ("pid", "mount", "ipc",
                                                  "uts")]
        namespaces.append({"type": "network", "path": network.path})
        spec = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": self.emulator + args, "env": env,
                "cwd": self.image.config.get("WorkingDir") or "/",
                "capabilities": {}, "noNewPrivileges": True},
            "root": {"path": "rootfs", "readonly": True},
            "hostname": "walstream",
            "mounts": self.mounts,
            "linux": {"namespaces": namespaces},
        }
        (self.dir / "config.json").write_text(json.dumps(spec),
                                              encoding="utf-8")

    def text(self):
        return (self.dir / "log").read_text(encoding="utf-8",
                                            errors="replace")

    def wait_log(self, pattern, timeout=30):
        def seen():
            text = self.text()
            found = re.search(pattern, text, re.MULTILINE)
            if not found and self.child.poll() is not None:
                raise AssertionError(f"it ended before {pattern}:\n{text}")
            return found
        return until(seen, timeout,
                     lambda: f"{pattern} in:\n{self.text()}")

    def wait_running(self):
        until(lambda: self.state().get("status") == "running"
              or self.child.poll() is not None, 10, "the container to run")

    def wait_listening(self):
        return self.wait_log(r" info server\.listening: ")

    def state(self):
        done = subprocess.run(self._runc("state", self.id),
                              capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def status(self):
        """/proc/PID/status of the container's pid 1, a dict."""
        pid = self.state()["pid"]
        with open(f"/proc/{pid}/status", encoding="ascii") as lines:
            return {name: value.strip() for name, value in
                    (line.split(":", 1) for line in lines)}

    def execute(self, *args, timeout=60):
        """As `docker exec` and health checks run a command: its result."""
        return subprocess.run(
            self._runc("exec", self.id, *self.emulator, *args),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, check=False)

    def signal(self, name):
        subprocess.run(self._runc("kill", self.id, name), check=True,
                       capture_output=True)

    def wait(self, timeout=20):
        """The exit status."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {timeout} s:\n"
                                 f"{self.text()}") from None

    def stop(self, name="SIGTERM", timeout=20):
        """The exit status, and how many seconds it took."""
        begin = time.monotonic()
        self.signal(name)
        return self.wait(timeout), time.monotonic() - begin

    def remove(self):
        subprocess.run(self._runc("delete", "--force", self.id), check=False,
                       capture_output=True)
        self.child.wait(30)
        self.log.close()
        print(self.text())
        shutil.rmtree(self.dir)
