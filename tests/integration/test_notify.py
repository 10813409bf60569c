"""What a service manager is told (sd_notify)."""

import socket

import pytest

from waiting import SCALE


@pytest.fixture
def manager():
    """A service manager's socket, in the abstract namespace, which is the
    same in any chroot; environment() is what it gives to a service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")
        sock.settimeout(20 * SCALE)
        yield sock


def environment(manager, **more):
    name = manager.getsockname().decode().replace("\0", "@", 1)
    return {"NOTIFY_SOCKET": name, **more}


def told(manager, prefix):
    """Reads on until a line begins so; returns all of it."""
    while True:
        line = manager.recv(1000).decode()
        if line.startswith(prefix):
            return line


def test_life(db, server, client, manager):
    """READY when it listens, STATUS as streams come, STOPPING at the end."""
    walstream = server(env=environment(manager))
    assert told(manager, "READY=1") == "READY=1"
    assert told(manager, "STATUS=").endswith(
        f"{walstream.address}, 0 streams")
    client(walstream)
    assert told(manager, "STATUS=").endswith(", 1 stream")
    walstream.child.terminate()
    assert told(manager, "STOPPING=1") == "STOPPING=1"
    assert walstream.wait() == 0


def test_standby(db, server, client, manager):
    """The second of a pair says whom it waits for."""
    first = server()
    client(first)
    holder = db.wait_walsender()
    server(shared=True, env=environment(manager))
    assert f"PID {holder}" in told(manager, "STATUS=Waiting")
    first.stop()
    assert told(manager, "STATUS=Listening")


def test_watchdog(db, server, manager):
    """WATCHDOG=1 comes twice in the time that is allowed, also when idle."""
    server(env=environment(manager, WATCHDOG_USEC="400000"))
    assert told(manager, "READY=1")
    for _ in range(5):
        assert told(manager, "WATCHDOG=1") == "WATCHDOG=1"


def test_no_manager(server):
    """A socket that is not there changes nothing."""
    server(env={"NOTIFY_SOCKET": "/nonexistent/notify"})
