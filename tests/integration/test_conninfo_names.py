"""P41, names of hosts: many addresses, and name servers that say nothing.

The program gets /etc/hosts and /etc/resolv.conf of its own, in a mount
namespace; needs root, or user namespaces.
"""

import os
import signal
import socket
import subprocess
import time

import pytest

from proc import binary, fails, is_program, run
from waiting import SCALE, until

# A socket of ours that never answers; tests run beside each other.
SILENT = f"127.53.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"

ENTER = """\
#!/bin/sh
exec unshare {options} sh -c '
for name in hosts resolv.conf nsswitch.conf host.conf; do
	touch /etc/$name 2>/dev/null
	mount --bind "{dir}/$name" "$(readlink -f /etc/$name)" || exit 99
done
exec "$0" "$@"' {program} "$@"
"""


@pytest.fixture
def names(tmp_path, monkeypatch):
    """hosts(text) writes the program's /etc/hosts. Nobody else answers."""
    if not is_program():
        pytest.skip("a wrapper gives it another /etc: see tests/static")
    options = "-m" if os.geteuid() == 0 else "-rm"
    if subprocess.run(["unshare", *options.split(), "true"],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("needs mount namespaces")

    def hosts(text):
        (tmp_path / "hosts").write_text(text, encoding="ascii")

    hosts("")
    (tmp_path / "host.conf").write_text("multi on\n", encoding="ascii")
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n",
                                            encoding="ascii")
    (tmp_path / "resolv.conf").write_text(
        f"nameserver {SILENT}\noptions timeout:30 attempts:3\n",
        encoding="ascii")
    enter = tmp_path / "enter"
    enter.write_text(ENTER.format(options=options, dir=tmp_path,
                                  program=binary()), encoding="ascii")
    enter.chmod(0o755)
    monkeypatch.setenv("WALSTREAM", str(enter))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((SILENT, 53))
        yield hosts


def asked():
    """How many bytes wait at the silent name server: it was asked."""
    want = socket.inet_aton(SILENT)[::-1].hex().upper() + ":0035"
    with open("/proc/net/udp", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if words[1] == want:
                return int(words[4].split(":")[1], 16)
    raise AssertionError("the silent name server is gone")


def lists(connection):
    done = run("-c", connection, "list", timeout=60)
    assert done.returncode == 0, done.stderr


def addresses(*those):
    return "".join(f"{address}\tmany.test\n" for address in those)


def test_many_addresses(db, names):
    """All that a name has are tried, the good one last."""
    names(addresses(*(f"127.9.9.{n}" for n in range(1, 12)), "127.0.0.1"))
    lists(db.conninfo(host="many.test"))


def test_ipv6_is_dead(db, names):
    """Nobody listens at the IPv6 address of a name."""
    names(addresses("::1", "127.0.0.1"))
    lists(db.conninfo(host="many.test"))


def test_all_are_named(db, names):
    """Each address that was tried in vain."""
    names(addresses("127.9.9.1", "127.9.9.2"))
    fails("-c", db.conninfo(host="many.test"), "list",
          naming=["127.9.9.1", "127.9.9.2"], code=1)


def test_many_by_chance(db, names):
    """load_balance_hosts shuffles the addresses of a name, too."""
    names(addresses("127.9.9.1", "127.9.9.2", "127.9.9.3", "127.9.9.4"))
    def orders(also):
        return {fails("-c", db.conninfo(host="many.test") + also, "list",
                      code=1).split(" error ")[1] for _ in range(12)}

    assert len(orders(" load_balance_hosts=random")) > 1
    assert len(orders("")) == 1


def test_silent_name_server(db, names):
    """A name that nobody resolves costs connect_timeout, then the next host is
    tried."""
    del names
    began = time.monotonic()
    lists(db.conninfo(host="slow.test,127.0.0.1", connect_timeout=2))
    assert 1.9 < time.monotonic() - began < 25 * SCALE
    assert asked() > 0


def wait_resolving(before):
    return until(lambda: asked() > before, 60, "a name to be asked for")


def test_serves_while_it_resolves(db, names, server, client):
    """While a name is looked up in vain, clients get what is there, new ones
    are taken in, and health is told; then it goes on."""
    names("127.0.0.1\tdb.test\n")
    one = server(connection=db.conninfo(host="db.test", connect_timeout=10))
    quick, slow = client(one), client(one, held=True, wait=False)
    db.fill(1, 500, 100)
    quick.expect(500)
    names("")
    before = asked()
    db.sql("SELECT pg_terminate_backend(%s)", (db.walsender(),))
    wait_resolving(before)
    began = time.monotonic()
    slow.release()
    slow.expect(500)
    for _ in range(5):
        done = run("health", one.address)
        assert done.returncode in (0, 1), done.stderr
    assert time.monotonic() - began < 15 * SCALE
    assert quick.open()
    names("127.0.0.1\tdb.test\n")
    db.fill(501, 502)
    until(lambda: len(quick.events) >= 502, 90, "the stream to go on")


def test_stops_while_it_resolves(db, names, server, client):
    """SIGTERM is not kept waiting."""
    names("127.0.0.1\tdb.test\n")
    one = server(connection=db.conninfo(host="db.test"))
    client(one)
    names("")
    before = asked()
    db.sql("SELECT pg_terminate_backend(%s)", (db.walsender(),))
    wait_resolving(before)
    began = time.monotonic()
    assert one.stop(signal.SIGTERM, 20) == 0
    assert time.monotonic() - began < 15 * SCALE
