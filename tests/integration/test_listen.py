"""Rows G49, X12 and X14: where walstream listens, and what it refuses
before it touches the slot."""

import os
import pathlib
import socket
import stat
import subprocess
import tempfile

import grpc
import pytest

import certs
import client as clients
from proc import Server, binary, environment, fails, needs, run
from suite import finish_all
from waiting import until

pytest_plugins = ["tlsclients"]


@pytest.fixture
def place():
    """A short path: one of a socket may not be long."""
    with tempfile.TemporaryDirectory(prefix="walstream-",
                                     dir="/tmp") as path:
        yield pathlib.Path(path)


@pytest.fixture
def listening(db, server):
    """Starts a walstream that listens where it is told."""
    del server  # for its end

    started = []

    def start(*options, mode=None):
        more = [] if mode is None else ["--listen-mode", mode]
        one = Server("-c", db.conninfo(), "start", "--publication", "pub",
                     "--slot", f"{db.slot}_{len(started)}", "--temporary",
                     "true",
                     "--drain", "1", *more, *options)
        started.append(one)
        one.wait_log("server.listening")
        return one

    yield start
    finish_all(started)


@pytest.fixture
def refuses(db):
    """A start that fails, with one line, and leaves no slot."""
    def start(*options, naming=(), code=1):
        said = fails("-c", db.conninfo(), "start", "--publication", "pub",
                     "--slot", "untouched", "--temporary", "false", *options,
                     naming=naming, code=code)
        assert "untouched" not in db.slots()
        return said
    return start


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def health(address, *options):
    return run("health", address, *options).returncode


def test_several(db, listening, stubs, place, pki):
    """Several addresses; TLS where there is a network."""
    path = place / "s"
    one = listening("--listen", "127.0.0.1:0", "--listen", "[::1]:0",
                    "--listen", f"unix:{path}", "--listen",
                    f"unix:@{db.name}", *pki.options())
    words = one.logged("server.listening")[0].split("listening on ")[1]
    v4, v6, *local = words.split(", ")
    assert v4.startswith("127.0.0.1:") and v4.endswith(" with TLS")
    assert v6.startswith("[::1]:") and v6.endswith(" with TLS")
    assert local == [f"unix:{path}", f"unix:@{db.name}"]
    ca = ["--tls-ca", str(pki.ca.cert)]
    assert health(v4.split()[0], *ca) == health(v6.split()[0], *ca) == 0
    assert [health(a) for a in (*local, f"unix://{path}",
                                f"unix-abstract:{db.name}")] == [0] * 4
    assert health(v4.split()[0]) == 1
    for address in (f"unix:{path}", f"unix-abstract:{db.name}"):
        with grpc.insecure_channel(address, clients.OPTIONS) as on:
            attached = clients.Client(stubs, on=on).attached()
            db.fill(*((1, 3) if address.startswith("unix:") else (4, 6)))
            attached.expect(3)
            attached.close()
    assert not one.logged("server.plaintext")


def test_exposed(listening):
    """Open to other machines without TLS: a warning, and it works."""
    one = listening("--listen", "0.0.0.0:0")
    assert "--tls-cert" in one.logged("server.plaintext")[0]


def test_every_address_of_a_name(listening):
    """localhost is 127.0.0.1 and, where there is one, ::1."""
    needs("/etc/hosts")
    one = listening("--listen", "localhost:0")
    found = {info[4][0] for info in socket.getaddrinfo(
        "localhost", None, type=socket.SOCK_STREAM)}
    text = one.logged("server.listening")[0]
    for address in found:
        assert f"[{address}]:" in text or f" {address}:" in text


def test_both_families_share_a_port(listening):
    """[::] leaves IPv4 to 0.0.0.0 where both are named; alone it has both."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one = listening("--listen", f"[::]:{port}", "--listen", f"0.0.0.0:{port}")
    assert one.logged("server.listening")[0].count(str(port)) == 2
    one.stop()
    one = listening("--listen", f"[::]:{port}")
    assert health(f"127.0.0.1:{port}") == health(f"[::1]:{port}") == 0


@pytest.mark.parametrize("mode", [None, "0660", "0666"])
def test_g49_mode(listening, place, mode):
    """The file's mode is as it was asked for, whatever the umask."""
    old = os.umask(0o077)
    try:
        one = listening("--listen", f"unix:{place}/s", mode=mode)
    finally:
        os.umask(old)
    assert mode_of(place / "s") == int(mode or "0600", 8)
    one.stop()
    assert not (place / "s").exists()


def test_g49_stale(listening, place):
    """What a killed one left is replaced; who lives is left alone."""
    first = listening("--listen", f"unix:{place}/s")
    first.kill()
    assert (place / "s").is_socket()
    second = listening("--listen", f"unix:{place}/s")
    assert health(f"unix:{place}/s") == 0
    second.stop()


def test_g49_live(db, listening, refuses, place):
    """Another that listens there is not disturbed."""
    one = listening("--listen", f"unix:{place}/s")
    refuses("--listen", f"unix:{place}/s", naming=["another process does"])
    assert health(f"unix:{place}/s") == 0
    name = f"unix:@{db.name}"
    two = listening("--listen", name)
    refuses("--listen", name, naming=[name, " in use"])
    del one, two


def test_g49_not_ours_at_exit(listening, place):
    """The file is removed only if it is still the one that was made."""
    one = listening("--listen", f"unix:{place}/s")
    (place / "s").unlink()
    (place / "s").write_text("another's")
    one.stop()
    assert (place / "s").read_text() == "another's"


def test_g49_in_the_way(refuses, place):
    """A link, a file, a directory, another user's: nothing is removed."""
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(place / "old"))
    (place / "link").symlink_to(place / "old")
    (place / "dangling").symlink_to(place / "nothing")
    (place / "file").write_text("text")
    (place / "dir").mkdir()
    for name, why in {"link": "symbolic link", "dangling": "symbolic link",
                      "file": "no socket", "dir": "no socket",
                      "none/s": "No such file"}.items():
        refuses("--listen", f"unix:{place}/{name}", naming=[name, why])
    assert not (place / "nothing").exists() and (place / "old").is_socket()
    if os.geteuid() == 0:
        os.chown(place / "old", 65534, 65534)
        refuses("--listen", f"unix:{place}/old", naming=["another user's"])


def test_g49_long(refuses, place):
    """The longest path, and one longer."""
    room = 107 - len(str(place)) - 1
    refuses("--listen", f"unix:{place}/{'x' * (room + 1)}", code=2,
            naming=["too long"])
    refuses("--listen", f"unix:@{'x' * 108}", code=2, naming=["too long"])


@pytest.mark.parametrize("text, code", [
    ("127.0.0.1", 2), ("127.0.0.1:70000", 2), ("::1:50051", 2), ("", 2),
    ("unix:", 2), ("[::1:5", 2), ("127.0.0.1:x", 2), ("127.0.0.1:", 2),
    ("no.such.host.invalid:1", 1), ("192.0.2.77:0", 1)])
def test_x12_bad_address(refuses, text, code):
    """An address that is none, or not of this machine."""
    refuses("--listen", text, code=code, naming=[text.split(".invalid")[0]])


def test_x12_in_use(refuses):
    """A port that is taken, also when it comes second; and nothing stays."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"127.0.0.1:{taken.getsockname()[1]}"
        refuses("--listen", text, naming=[text, "in use"])
        with tempfile.TemporaryDirectory(prefix="walstream-",
                                     dir="/tmp") as path:
            refuses("--listen", f"unix:{path}/s", "--listen", text,
                    naming=[text, "in use"])
            assert os.listdir(path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_x12_privileged(db):
    """A port for which it has no right."""
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_bind_service",
         "--inh-caps=-net_bind_service", "--ambient-caps=-all", binary(),
         "-c", db.conninfo(), "start", "pub", "untouched", "--listen",
         "127.0.0.1:7"], env=environment(), capture_output=True, text=True,
        timeout=30, check=False)
    limit = pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if int(limit.read_text()) <= 7:
        pytest.skip("every port is free for all here")
    assert done.returncode == 1, done
    assert "127.0.0.1:7: Permission denied" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_x12_no_ipv6(db):
    """IPv6 switched off: an address of it is an error, [::] as well; a name
    that has both is served on IPv4."""
    off = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>&1 || exit 77; "
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", "ip link set lo up; " + off +
         f"exec {binary()} -c 'host=127.0.0.1' start pub s --listen [::1]:0"],
        env=environment(), capture_output=True, text=True, timeout=30,
        check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no network namespace to switch it off in")
    assert done.returncode == 1, done
    assert "cannot listen on [::1]:0" in done.stderr
    del db


def test_one_or_the_other(refuses):
    """--listen is instead of --host and --port, but not of variables."""
    for option in (["--host", "::"], ["--port", "1"]):
        refuses("--listen", "127.0.0.1:0", *option, code=2,
                naming=["instead of"])


@pytest.mark.parametrize("options, why", [
    (["--listen-mode", "600x"], "--listen-mode"),
    (["--listen-mode", "0460"], "--listen-mode"),
    (["--listen-mode", "4600"], "--listen-mode"),
    (["--max-connections", "0"], "at least 1"),
    (["--max-connections", "-1"], "--max-connections"),
    (["--max-connections-per-address", "x"], "--max-connections-per-address"),
    (["--tls-cert", "x"], "needs --tls-key"),
    (["--tls-key", "x"], "needs --tls-cert"),
    (["--tls-client-ca", "x"], "needs --tls-cert"),
    (["--tls-cert", "x", "--tls-key", "x", "--tls-client-crl", "x"],
     "needs --tls-client-ca"),
    (["--tls-client-cert", "maybe"], "required or optional")])
def test_bad_options(refuses, options, why):
    """Asked wrongly: exit status 2."""
    refuses(*options, naming=[why], code=2)


def spoilt(pki, where):
    """Name, options, and what has to be said of them."""
    cert, key = pki.server
    other = pki.ca.issue("other").key
    open_key, group_key = where / "open.key", where / "group.key"
    big, nul = where / "big", where / "nul"
    empty, fifo = where / "empty", where / "fifo"
    for path, mode in ((open_key, 0o644), (group_key, 0o660)):
        path.write_bytes(key.read_bytes())
        path.chmod(mode)
    with open(big, "wb") as file:
        file.truncate(1 << 30)
    big.chmod(0o600)
    text = cert.read_bytes()
    nul.write_bytes(text[:200] + b"\0" + text[201:])
    empty.touch(0o600)
    os.mkfifo(fifo, 0o600)
    encrypted = where / "encrypted"
    certs.openssl("pkcs8", "-topk8", "-in", key, "-out", encrypted,
                  "-passout", "pass:secret")
    encrypted.chmod(0o600)
    crl = pki.ca.crl()
    return {
        "no cert": (["/none", key], "/none"),
        "no key": ([cert, "/none"], "/none"),
        "cert is key": ([key, key], "no certificate in PEM"),
        "key is cert": ([cert, cert], "group or world access"),
        "open key": ([cert, open_key], "group or world access"),
        "group key": ([cert, group_key], "group or world access"),
        "other key": ([cert, other], "is not the key of"),
        "big": ([big, key], "larger than"),
        "big key": ([cert, big], "larger than"),
        "nul": ([nul, key], "base64"),
        "empty": ([empty, key], "no certificate in PEM"),
        "empty key": ([cert, empty], "no private key in PEM"),
        "fifo": ([fifo, key], "not a regular file"),
        "fifo key": ([cert, fifo], "not a regular file"),
        "dir": ([where, key], "not a regular file"),
        "dir key": ([cert, where], "not a regular file"),
        "encrypted": ([cert, encrypted], "without a passphrase"),
        "ca": ([cert, key, empty], "--tls-client-ca"),
        "no ca": ([cert, key, "/none"], "/none"),
        "ca is crl": ([cert, key, crl], "no certificate in it"),
        "crl": ([cert, key, pki.ca.cert, empty], "no list in it"),
        "crl is cert": ([cert, key, pki.ca.cert, cert], "no list in it"),
    }


NAMES = ("--tls-cert", "--tls-key", "--tls-client-ca", "--tls-client-crl")


def test_x14_files(refuses, pki, tmp_path):
    """Keys and certificates that cannot be used: the file is named."""
    for name, (files, why) in spoilt(pki, tmp_path).items():
        options = [word for pair in zip(NAMES, map(str, files))
                   for word in pair]
        said = refuses("--port", "0", *options)
        assert why in said, f"{name}: {said}"


def test_x14_good_files(listening, pki, tmp_path):
    """CRLF, a link, and root's key that its group may read."""
    cert, key, link = (tmp_path / n for n in ("crlf", "key", "link"))
    cert.write_bytes(pki.server.cert.read_bytes().replace(b"\n", b"\r\n"))
    key.write_bytes(pki.server.key.read_bytes())
    key.chmod(0o640 if os.geteuid() == 0 else 0o400)
    link.symlink_to(key)
    one = listening("--listen", "127.0.0.1:0", "--tls-cert", str(cert),
                    "--tls-key", str(link))
    address = one.logged("server.listening")[0].split("listening on ")[1]
    assert health(address.split()[0], "--tls-ca", str(pki.ca.cert)) == 0
    until(lambda: one.logged("tls.loaded"), 5)


def test_expired_certificate_is_told(listening, pki):
    """It is used, and the log warns."""
    late = pki.ca.issue("late", hours=(-3, -1))
    one = listening("--listen", "127.0.0.1:0", *pki.options(late))
    assert "valid until" in one.logged("tls.not_valid")[0]
