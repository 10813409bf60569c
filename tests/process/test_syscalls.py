"""X11: system calls that fail, by strace, and that do less than they were
asked, by the shim. Once, or over and over: the events come and are confirmed
all the same, or there is a clear end; no crash, no hang, no busy loop."""

import collections
import random
import re
import shutil
import time

import pytest

from scene import DONE, NO_START, UNFINISHED
from sweep import Tally

# What each may say (accept(2), recv(2), ...), and a bit more.
ERRORS = {
    "accept4": "EINTR EAGAIN EMFILE ENFILE ENOBUFS ENOMEM ECONNABORTED EPERM",
    "bind": "EADDRINUSE ENOMEM EACCES",
    "clone3": "EAGAIN ENOMEM",
    "close": "EINTR EIO ENOSPC",
    "connect": "EINTR EAGAIN ECONNREFUSED ENETUNREACH ENOBUFS ENOMEM",
    "fcntl": "EMFILE EINVAL",
    "getrandom": "EINTR EAGAIN ENOSYS",
    "getsockname": "ENOBUFS",
    "getsockopt": "ENOBUFS ENOMEM",
    "listen": "EADDRINUSE ENOBUFS",
    "mmap": "ENOMEM EAGAIN",
    "mprotect": "ENOMEM",
    "munmap": "ENOMEM",
    "newfstatat": "EIO ENOMEM EINTR",
    "openat": "EINTR EMFILE ENFILE ENOMEM EIO EACCES",
    "poll": "EINTR EAGAIN ENOMEM",
    "ppoll": "EINTR EAGAIN ENOMEM",
    "prctl": "EINVAL",
    "pread64": "EIO EINTR",
    "read": "EIO EINTR EAGAIN",
    "recvfrom": "EINTR EAGAIN ECONNRESET ENOMEM EIO",
    "sendmmsg": "EINTR ENOMEM EPERM",
    "sendto": "EINTR EAGAIN ECONNRESET EPIPE ENOBUFS ENOMEM EIO",
    "setsockopt": "ENOBUFS ENOMEM ENOPROTOOPT",
    "socket": "EMFILE ENFILE ENOBUFS ENOMEM EACCES",
    "socketpair": "EMFILE ENFILE ENOMEM",
    "write": "EINTR EAGAIN ENOSPC EIO EPIPE",
}
# What a traced life shows beside these. brk says the old end when it fails, and
# the C library's locks do not take what no kernel says of a futex: for memory
# there is test_malloc.py.
HARMLESS = set("""
    access arch_prctl brk clock_gettime execve exit exit_group fstat futex
    getegid geteuid getgid getpid gettid getuid ioctl lseek madvise
    prlimit64 rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity
    sched_yield set_robust_list set_tid_address shutdown sysinfo
    umask uname
    """.split())
OFTEN = ["3+5", "2+2"]  # the third and every fifth after it, and so on
ON = ["4+"]             # from the fourth on
# Without these there is no life to speak of: nothing would ever be ready. Nor
# is anything interrupted, or not ready, for ever.
NOT_ON = {"mmap", "ppoll", "poll", "EINTR", "EAGAIN"}
DOSE = 45
# More than this, and so many a second, is a busy loop. Who is refused comes
# again at once, and 250 a second are.
CALLS, CALLS_PER_SECOND = 40000, 4000


def faults(counts, before, sweep, seed):
    """(system call, error, when), for every occurrence up to the tenth, some
    after it, and repeated ones. before: how many there are before main, which
    the loader makes and may crash of (glibc 2.36, mmap)."""
    found = []
    for call, total in sorted(counts.items()):
        for error in ERRORS[call].split():
            first = 1 + before[call]
            whens = [n for n in range(first, first + total)
                     if n - first < 10 or n % 7 == 0]
            repeated = OFTEN + ([] if {call, error} & NOT_ON else ON)
            if total >= 2:
                whens += repeated
            found += [(call, error, str(when)) for when in whens]
    if sweep:
        first, last = sweep
        return found[first - 1:last]
    # Each call once or twice, with errors and times drawn.
    draw = random.Random(seed)
    draw.shuffle(found)
    taken = collections.Counter()
    dose = []
    for fault in found:
        if taken[fault[0]] < 2 and len(dose) < DOSE:
            taken[fault[0]] += 1
            dose.append(fault)
    return dose


def traced(path, *inject):
    return [shutil.which("strace") or pytest.fail("strace is not installed"),
            "-D", "-f", "-qq", "-o", str(path), *inject]


def calls_of(path):
    with open(path, encoding="utf-8", errors="replace") as trace:
        return re.findall(r"^\d+ +(\w+)\(", trace.read(), re.M)


def test_errors(scene, tmp_path, sweep, seed):
    """localhost has to be resolved, in a thread."""
    tally = Tally("system calls")
    trace = tmp_path / "trace"
    assert scene.play(traced(trace), host="localhost") == DONE
    calls = calls_of(trace)
    loading = calls.index("munmap") + 1  # of ld.so.cache: its last
    before = collections.Counter(calls[:loading])
    counts = collections.Counter(calls[loading:])
    unknown = set(counts) - set(ERRORS) - HARMLESS
    assert not unknown, f"what may they say? {unknown}"
    for call in HARMLESS & set(counts):
        del counts[call]
    for call, error, when in faults(counts, before, sweep, seed):
        once = when.isdigit()
        begin = time.monotonic()
        tally.play(
            scene, f"{call} {error} {when}",
            {DONE, NO_START} if once else {DONE, NO_START, UNFINISHED},
            wrapper=traced(trace, "-e", f"inject={call}:error={error}"
                           f":when={when}"),
            host="localhost", patience=15 if once else 1,
            deaf=call == "write")
        made = len(calls_of(trace))
        took = time.monotonic() - begin
        if made > CALLS + CALLS_PER_SECOND * took:
            tally.broken.append(f"{call} {error} {when}: {made} system calls")
    tally.check()


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100, -1000])
def test_short(scene, shim, limit):
    """No call moves more than so many bytes: all comes all the same."""
    assert scene.play(env={"LD_PRELOAD": shim, "SHIM_SHORT": str(limit)},
                      patience=30) == DONE
