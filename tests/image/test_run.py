"""The image at work: pid 1 in its own namespaces, as the operator runs it."""

import json
import time

import pytest

from network import resolve
from waiting import until

CONNECTION = "host=db user=postgres dbname=postgres"
START = ("start", "--publication", "publication", "--slot", "my_slot")
# Those that talk to PostgreSQL.
COMMANDS = [START, ("list",), ("create", "--slot", "new"),
            ("delete", "--slot", "none")]


@pytest.fixture
def walstream(launch, network, password):
    """Runs an image as the README says, and waits until it listens."""
    def start(image, *more):
        one = launch(image, ("--connection", CONNECTION, *START, *more),
                     network, env=password)
        one.wait_listening()
        return one
    return start


def healthy(container):
    """The image's own health check, its exit status."""
    kind, *command = container.image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    return container.execute(*command).returncode


def attach(launch, walstream, network, *args):
    """`walstream tail` in a second container on the same network, its stream
    open."""
    tail = launch(walstream.image, ("tail", *args), network)
    walstream.wait_log(r" session\.opened: ")
    return tail


def unacknowledged(launch, walstream, network, sql):
    """A client that has had an event and does not acknowledge it."""
    tail = attach(launch, walstream, network)
    sql("INSERT INTO t VALUES (1, 'tea')")
    until(lambda: events(tail), 30, "the event")


def events(container):
    return [json.loads(line) for line in container.text().splitlines()
            if line.startswith("{")]


def test_connection_string(launch, native, network, plain_role):
    """The founding document's command line, password and all."""
    one = launch(native, (
        "--connection",
        f"host=db user={plain_role} password=secret dbname=postgres",
        *START), network)
    one.wait_listening()
    assert healthy(one) == 0
    assert one.stop()[0] == 0


def test_events(launch, image, network, walstream, sql):
    """They arrive at a client in another container."""
    one = walstream(image)
    tail = attach(launch, one, network, "--count", "3")
    sql("INSERT INTO t VALUES (1, 'tea'), (2, 'coffee')")
    sql("DELETE FROM t WHERE id = 2")
    assert tail.wait(60) == 0
    found = [(event["op"], event["payload"]) for event in events(tail)]
    assert found == [("insert", {"id": 1, "v": "tea"}),
                     ("insert", {"id": 2, "v": "coffee"}),
                     ("delete", {"id": 2})]
    assert one.stop()[0] == 0


def test_confined(native, walstream):
    """Pid 1, nobody in particular, with no capability, and all that is."""
    one = walstream(native)
    status = one.status()
    assert status["NSpid"].split()[-1] == "1"
    assert status["Uid"].split() == ["65532"] * 4
    assert status["Gid"].split() == ["65532"] * 4
    assert status["Groups"] == ""
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_signal(image, walstream, signal):
    """With nobody attached it ends at once, and well."""
    status, seconds = walstream(image).stop(signal)
    assert status == 0
    assert seconds < 3


def test_drain(launch, native, network, walstream, sql, composition):
    """With a client that never acknowledges: after --drain, and long before
    the engine would kill it."""
    one = walstream(native)
    unacknowledged(launch, one, network, sql)
    status, seconds = one.stop()
    service = composition["services"]["walstream"]
    assert status == 0
    print(f"ended after {seconds:.1f} s")
    assert 4 < seconds < 9  # docker stop's own default is 10 s
    assert service["stop_grace_period"] == "20s"


def test_second_signal(launch, native, network, walstream, sql):
    """Does not wait for the acknowledgement any longer."""
    one = walstream(native, "--drain", "60")
    unacknowledged(launch, one, network, sql)
    one.signal("SIGTERM")
    one.wait_log("server.stopping")
    time.sleep(1)
    assert one.child.poll() is None
    status, seconds = one.stop()
    assert status == 0
    assert seconds < 2


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_tail_as_pid_1(launch, native, network, walstream, signal):
    """A client in a container can be ended, too."""
    tail = attach(launch, walstream(native), network)
    status, seconds = tail.stop(signal)
    assert (status, seconds < 3) == (0, True)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda args: args[0])
def test_signal_while_postgres_hangs(launch, bare, native, command):
    """One that takes connections and says nothing holds no command up: as
    pid 1 a signal without a handler is ignored."""
    resolve(bare, {"db": "127.0.0.1"})
    bare.socket(("127.0.0.1", 5432)).listen()
    one = launch(native, ("--connection", CONNECTION, *command), bare)
    one.wait_running()
    time.sleep(0.5)  # it connects
    _, seconds = one.stop()
    assert seconds < 3


@pytest.mark.parametrize("command", COMMANDS, ids=lambda args: args[0])
def test_signal_while_names_are_slow(launch, bare, native, command):
    """Nor does a resolver that does not answer, for longer than an engine
    waits (10 s)."""
    resolve(bare, None)
    one = launch(native, ("--connection", CONNECTION, *command), bare)
    one.wait_running()
    time.sleep(0.5)  # it asks
    _, seconds = one.stop()
    assert seconds < 8


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_signal_at_once(launch, native, network, password, signal):
    """None is too early to be heard."""
    for _ in range(5):
        one = launch(native, ("--connection", CONNECTION, *START), network,
                     env=password)
        one.wait_running()
        status, seconds = one.stop(signal)
        assert (status, seconds < 3) == (0, True)


def test_health(image, walstream, pg):
    """0 while serving, 1 while there is no PostgreSQL, 0 again."""
    one = walstream(image)
    assert healthy(one) == 0
    pg.stop("immediate")
    try:
        until(lambda: healthy(one) == 1, 30, "health to notice")
    finally:
        pg.start()
    until(lambda: healthy(one) == 0, 30, "health to recover")
    assert one.stop()[0] == 0


def test_health_alone(launch, native, bare):
    """1 when nobody listens."""
    one = launch(native, ("health",), bare)
    assert one.wait() == 1
    assert "50051" in one.text()


def test_health_follows_the_port(launch, native, network, password):
    """PORT moves the server and its health check together."""
    one = launch(native, ("--connection", CONNECTION, *START), network,
                 env={**password, "PORT": "6000"})
    one.wait_log(r"server\.listening: .*:6000$")
    assert healthy(one) == 0


def test_unknown_host(launch, native, network):
    """The name in the connection string is looked up by DNS."""
    one = launch(native, ("--connection", "host=nosuch user=x", "list"),
                 network)
    assert one.wait() == 1
    assert "nosuch" in one.text()


def test_version(launch, native, bare):
    one = launch(native, ("--version",), bare)
    assert one.wait() == 0
    label = native.config["Labels"]["org.opencontainers.image.version"]
    assert one.text() == f"walstream {label}\n"
