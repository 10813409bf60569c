"""Host names, from /etc/hosts and /etc/resolv.conf alone."""

import time

import pytest

from nameserver import ADDRESS, SILENT, NameServer
from proc import Server, fails, run
from roles import PASSWORD

HOSTS = """\
# a comment
127.0.0.1	localhost db.test other.test
::1		six.test
"""

RESOLV = f"""\
search search.test
nameserver {ADDRESS}
"""


@pytest.fixture
def hosts(root):
    root.put("etc/hosts", HOSTS)
    assert root.files() == ["etc/hosts", "walstream"]


@pytest.fixture
def dns(root):
    root.put("etc/resolv.conf", RESOLV)
    assert root.files() == ["etc/resolv.conf", "walstream"]
    server = NameServer()
    yield server
    server.close()


@pytest.fixture
def to(db):
    """The connection string of a host by its name."""
    return lambda host: db.conninfo(host=host, user="auth_scram",
                                    password=PASSWORD)


def lists(connection):
    done = run("-c", connection, "list")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("host", ["localhost", "other.test", "six.test"])
def test_hosts(hosts, to, host):
    """A name, an alias and an IPv6 address of /etc/hosts."""
    lists(to(host))


@pytest.mark.parametrize("host", ["four.test", "six.test", "alias.test", "db",
                                  "four.test."])
def test_dns(dns, to, host):
    """An A, an AAAA, a CNAME, a search domain and an absolute name."""
    lists(to(host))
    assert dns.asked


def test_truncated(dns, to):
    """More addresses than one packet holds: those that fit will do."""
    lists(to("many.test"))
    assert "many.test" in dns.asked


@pytest.mark.parametrize("host", ["gone.test", "nothing.test"])
def test_no_such_name(dns, to, host):
    """A name without an address is named, at once."""
    began = time.monotonic()
    fails("-c", to(host), "list", naming=[host], code=1)
    assert time.monotonic() - began < 2
    assert host in dns.asked


def test_silent(dns, to):
    """A name server that says nothing does not hold it up for long."""
    began = time.monotonic()
    fails("-c", to(SILENT), "list", naming=[SILENT], code=1)
    assert 1 < time.monotonic() - began < 30
    assert SILENT in dns.asked


def test_neither(root, to):
    """With no file at all it says which name it cannot resolve."""
    assert root.files() == ["walstream"]
    began = time.monotonic()
    fails("-c", to("localhost"), "list", naming=["localhost"], code=1)
    assert time.monotonic() - began < 30


def test_listen(hosts, db, to):
    """The address to listen on, and the one to tail, may be names, too."""
    server = Server("-c", to("db.test"), "start", "pub", f"{db.slot}_names",
                    "--drain", "1", "--host", "other.test", "--port", "0")
    try:
        server.wait_listening()
        assert server.host == "127.0.0.1"
        done = run("health", f"localhost:{server.port}")
        assert done.returncode == 0, done.stderr
    finally:
        server.finish()
