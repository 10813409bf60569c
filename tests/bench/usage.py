"""What processes use: their CPU and their memory, as /proc has it."""

import contextlib
import os
import select
import threading

EVERY = 0.01


def cpu_ns(pid):
    """Of all its threads that there are, ns."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat",
                  encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def memory(pid, name):
    """A size of /proc/PID/status, bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"{pid} is a zombie")


class Watch:
    """Follows a process that may end at any time; within it, a context.

    cpu: ns since it began to be watched, or with all of them since the
    process did; peak: the most memory it had (VmHWM), bytes.
    """

    def __init__(self, pid, whole=False):
        self.cpu, self.peak = 0, 0
        self._pid = pid
        self._before = 0 if whole or pid is None else cpu_ns(pid)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def _look(self):
        with contextlib.suppress(OSError):
            self.cpu = cpu_ns(self._pid) - self._before
            self.peak = memory(self._pid, "VmHWM")

    def _follow(self):
        while not self._end.wait(EVERY):
            self._look()

    def __enter__(self):
        if self._pid is not None:
            self._thread.start()
        return self

    def __exit__(self, *what):
        self._end.set()
        if self._pid is not None:
            self._thread.join()
            self._look()


def ended(child, what, timeout):
    """Waits for a client, which has to end well; returns its CPU, ns, that of
    threads that are gone included."""
    fd = os.pidfd_open(child.pid)
    in_time = select.select([fd], [], [], timeout)[0]
    os.close(fd)
    if not in_time:
        child.kill()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if not in_time or child.returncode:
        raise RuntimeError(f"{what}: exit {child.returncode}, within"
                           f" {timeout} s: {in_time != []}")
    return round((used.ru_utime + used.ru_stime) * 1e9)
