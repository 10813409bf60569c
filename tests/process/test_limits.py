"""What surrounds the process: clocks, limits, users, locales."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import grpc
import pytest

from pgserver import unprivileged
from proc import binary, complaints, environment
from scene import DONE
from waiting import until

O_CLOEXEC = 0o2000000
MIB = 1 << 20


def tool(name):
    return shutil.which(name) or pytest.fail(f"{name} is not installed")


@pytest.fixture(scope="session")
def clock():
    """The environment of a clock that a file steps: see step()."""
    path = subprocess.run(
        [tool("faketime"), "-f", "+0", "printenv", "LD_PRELOAD"], check=True,
        capture_output=True, text=True).stdout.strip()
    return {"LD_PRELOAD": path, "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1"}


@pytest.mark.parametrize("offset", ["+10y", "-10y", "-60y"])
def test_clock_is_wrong(scene, clock, offset):
    """X10: ten years off, or before 1970."""
    assert scene.play(env={**clock, "FAKETIME": offset}) == DONE
    year = scene.log.partition("-")[0]
    now = subprocess.run(["date", "-u", "+%Y"], check=True, text=True,
                         capture_output=True).stdout.strip()
    assert year != now, f"the clock was right: {scene.log}"


def test_clock_steps(db, server, client, clock, tmp_path):
    """X10: it is set to and fro while events come."""
    file = tmp_path / "time"
    file.write_text("+0\n")
    walstream = server(env={**clock, "FAKETIME_TIMESTAMP_FILE": str(file)})
    stream = client(walstream)
    for n, offset in enumerate(["+0", "+10y", "-10y", "+1d", "-1", "+0"]):
        file.write_text(offset + "\n")
        db.fill(n * 10 + 1, n * 10 + 10)
        stream.expect(n * 10 + 10)
        db.wait_confirmed(stream.ack_all())
    assert stream.open() and not walstream.logged("pg.lost")


def test_small_stack(scene):
    """X21: in 256 KiB, the thread that resolves localhost, too."""
    assert scene.play([tool("prlimit"), f"--stack={256 * 1024}"],
                      host="localhost") == DONE


def test_no_privileges(scene):
    """X18: no user, no group, no capability, and none to be had."""
    who = unprivileged()
    ids = [f"--reuid={who['user']}", f"--regid={who['group']}",
           "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"] \
        if who else []
    assert scene.play([tool("setpriv"), *ids, "--no-new-privs"]) == DONE


def test_privileged_port(db):
    """X12: a port for root alone, said before the slot is touched."""
    who = unprivileged()
    if not who:
        pytest.skip("not root")
    start = pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if int(start.read_text(encoding="ascii")) <= 80:
        pytest.skip("there are no privileged ports here")
    done = subprocess.run(
        [tool("setpriv"), f"--reuid={who['user']}", "--clear-groups",
         f"--regid={who['group']}", "--bounding-set=-all", binary(), "-c",
         db.conninfo(), "start", "--publication", "pub", "--slot", db.slot,
         "--host", "127.0.0.1", "--port", "80"], env=environment(),
        capture_output=True, text=True, check=False, timeout=60)
    said = complaints(done.stderr)
    assert done.returncode == 1 and len(said) == 1, done
    assert "127.0.0.1:80" in said[0] and "ermission" in said[0]
    assert not db.slots()


def test_locale(scene, tmp_path):
    """X20: a comma in numbers, an i without its dot: no difference."""
    name = "tr_TR.UTF-8"
    tmp_path.parent.chmod(0o755)
    done = subprocess.run(
        [tool("localedef"), "-i", "tr_TR", "-f", "UTF-8", tmp_path / name],
        capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1: warnings
    env = {"LOCPATH": str(tmp_path), "LC_ALL": name, "LANG": name}
    checked = subprocess.run(
        [sys.executable, "-c", "import locale;"
         " locale.setlocale(locale.LC_ALL, '');"
         " print(locale.localeconv()['decimal_point'])"],
        env={**os.environ, **env}, capture_output=True, text=True,
        check=True)
    assert checked.stdout == ",\n", "the locale is not in use"
    assert scene.play(env=env) == DONE
    for line in scene.log.splitlines():
        assert line.isascii() and line[4] == "-", line


def test_close_on_exec(server, client):
    """X19: no descriptor would be left to a program that is executed."""
    walstream = server()
    client(walstream)
    open_ = {}
    for fd in os.listdir(f"/proc/{walstream.pid}/fd"):
        info = pathlib.Path(f"/proc/{walstream.pid}/fdinfo/{fd}").read_text(
            encoding="ascii")
        flags = int(info.partition("flags:")[2].split()[0], 8)
        open_[int(fd)] = bool(flags & O_CLOEXEC)
    assert len(open_) >= 5, open_
    left = [fd for fd, closes in open_.items() if not closes]
    assert left == [0, 1, 2], open_


def test_little_memory(db, server, client):
    """X9: more is to be read than there is memory for: walstream stays, and
    when there is memory again all events come."""
    walstream = server("--buffer-size", "256MiB")
    stream = client(walstream, held=True)
    limit = walstream.status("VmSize") + 24 * MIB
    subprocess.run([tool("prlimit"), f"--pid={walstream.pid}",
                    f"--as={limit}:"], check=True)
    db.fill(1, 60, size=MIB)
    until(lambda: any("memory" in line for line in walstream.lines)
          or stream.code is not None, 60, "the memory to run out")
    assert walstream.child.poll() is None, walstream.text()
    subprocess.run([tool("prlimit"), f"--pid={walstream.pid}",
                    "--as=unlimited:"], check=True)
    stream.release()
    if stream.code is not None or not stream.open():
        assert stream.code in (grpc.StatusCode.RESOURCE_EXHAUSTED,
                               grpc.StatusCode.UNAVAILABLE)
        stream = client(walstream)
    until(lambda: len(set(stream.ids())) == 60 or stream.code is not None,
          90, stream.state)
    if stream.code is not None:
        stream = client(walstream)
        stream.wait_for(60, 90)
    ids = stream.ids()
    assert sorted(set(ids), key=ids.index) == list(range(1, 61))
    db.wait_confirmed(stream.ack_all())
    assert walstream.stop(signal.SIGTERM, 15) == 0
