"""grpcurl and grpc-health-probe over every transport."""

import json
import subprocess

import pytest

from cases import each_transport
from place import TOOLS
from test_services import SERVICES
from waiting import SCALE, until

# How each tool spells what table.py says of a client.
GRPCURL = {"ca": "-cacert", "cert": "-cert", "key": "-key"}
PROBE = {"ca": "-tls-ca-cert", "cert": "-tls-client-cert",
         "key": "-tls-client-key"}


def spelled(words, flags):
    return [part for name, flag in flags.items() if name in words
            for part in (flag, words[name])]


@pytest.fixture
def grpcurl(pki):
    """The words of a command for a walstream."""
    def make(walstream, *rest, options=()):
        words = pki.fill(walstream.transport.words)
        found = [TOOLS / "grpcurl", *spelled(words, GRPCURL)]
        if "ca" not in words:
            found.append("-plaintext")
        if "token" in words:
            found += ["-H", f"authorization: Bearer {words['token']}"]
        if walstream.transport.name == "unix":
            return [*found, "-unix", *options, walstream.path, *rest]
        return [*found, *options, walstream.address, *rest]
    return make


def run(words, code=0):
    done = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL,
                          capture_output=True, encoding="utf-8",
                          timeout=30 * SCALE, check=False)
    assert done.returncode == code, done
    return done.stdout


@each_transport
def test_list(serve, grpcurl, transport):
    walstream = serve(transport)
    assert set(run(grpcurl(walstream, "list")).split()) == SERVICES
    assert run(grpcurl(walstream, "list", "plugin.PluginService")).split() == \
        ["plugin.PluginService.Session", "plugin.PluginService.Subscribe"]


@each_transport
def test_describe(serve, grpcurl, transport):
    walstream = serve(transport)
    said = run(grpcurl(walstream, "describe"))
    for service in SERVICES:
        assert f"{service} is a service:" in said
    said = run(grpcurl(walstream, "describe", "plugin.UpdateEvent"))
    assert "plugin.UpdateEvent is a message:" in said
    assert "repeated string unchanged_columns = 6;" in said


@each_transport
def test_call(serve, grpcurl, transport):
    """Health by what reflection says of it."""
    walstream = serve(transport)
    said = run(grpcurl(walstream, "grpc.health.v1.Health/Check"))
    assert json.loads(said) == {"status": "SERVING"}


@each_transport
def test_subscribe(db, serve, grpcurl, transport):
    """A stream by what reflection says of it. grpcurl half-closes after what
    it was given, so it observes."""
    walstream = serve(transport)
    words = grpcurl(walstream, "plugin.PluginService/Subscribe", options=[
        "-d", '{"start": {"tables": ["public.t"]}}'])
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True) as child:
        try:
            came = Documents(child.stdout)
            assert "started" in came.next()
            db.fill(1, 1)
            assert [list(came.next())[0] for _ in range(3)] == \
                ["begin", "insert", "commit"]
        finally:
            child.kill()
    payload = came.seen[2]["insert"]["jsonPayload"]
    assert json.loads(payload) == {"id": 1, "v": "x"}
    until(lambda: db.walsender() is None, 20, "the slot to be released")


class Documents:
    """The JSON objects that a program prints, one after the other."""

    def __init__(self, stream):
        self._stream = stream
        self.seen = []

    def next(self):
        lines = []
        for line in self._stream:
            lines.append(line)
            if line == "}\n":
                self.seen.append(json.loads("".join(lines)))
                return self.seen[-1]
        raise AssertionError(f"its output ended in {lines}")


@pytest.fixture
def probe(pki):
    """The words of a command for a walstream."""
    def make(walstream, *rest):
        words = pki.fill(walstream.transport.words)
        found = [TOOLS / "grpc-health-probe", f"-addr={walstream.target}",
                 *spelled(words, PROBE)]
        if "ca" in words:
            found.append("-tls")
        if "token" in words:
            found += ["-rpc-header", f"authorization: Bearer {words['token']}"]
        return [*found, *rest]
    return make


@each_transport
def test_probe(db, serve, probe, transport):
    """Its exit status: 0 is healthy, 4 that walstream says it is not."""
    walstream = serve(transport)
    run(probe(walstream))
    run(probe(walstream, "-service=plugin.PluginService"))
    run(probe(walstream, "-service=no.such.Service"), code=3)
    db.pg.stop()
    try:
        walstream.wait_log("pg.lost")
        run(probe(walstream), code=4)
    finally:
        db.pg.start()
