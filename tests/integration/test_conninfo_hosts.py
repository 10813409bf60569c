"""Several hosts: which of them is taken, and when."""

import contextlib
import os
import subprocess
import time

import pytest

from fakepg import Fake, error
from pgserver import PgServer, free_port
from proc import fails, run
from waiting import SCALE, until


STARTING = error("57P03", "the database system is starting up")
FULL = error("53300", "sorry, too many clients already")
WRONG = error("28P01", "password authentication failed")


@pytest.fixture
def fake():
    """Starts one that answers every startup packet so; None: not at all."""
    with contextlib.ExitStack() as stack:
        def start(answer):
            def script(conn):
                conn.begin()
                if answer is None:
                    conn.hold()
                conn.send(answer)
            return stack.enter_context(contextlib.closing(Fake(script)))
        yield start


def hosts(db, *places, **more):
    """A connection string of these hosts and ports."""
    return db.conninfo(host=",".join(host for host, _ in places),
                       port=",".join(str(port) for _, port in places), **more)


def lists(connection):
    done = run("-c", connection, "list", timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def here(db):
    return ("127.0.0.1", db.pg.port)


def test_refused_first(db):
    """Nobody listens at the first: the second is taken."""
    lists(hosts(db, ("127.0.0.1", free_port()), here(db)))
    lists(hosts(db, ("/nonexistent", 1), here(db)))
    lists(hosts(db, here(db), ("127.0.0.1", free_port())))


def test_name_not_known(db):
    """So is one whose name cannot be resolved."""
    lists(hosts(db, ("no-such-host.invalid", 1), here(db)))


@pytest.mark.parametrize("answer", [STARTING, FULL, b""])
def test_not_now(db, fake, answer):
    """One that takes no connections now, or hangs up, is passed over."""
    other = fake(answer)
    lists(hosts(db, ("127.0.0.1", other.port), here(db)))
    assert len(other.connections) >= 1


def test_no_postgresql(db, fake):
    """One that speaks something else ends the search."""
    other = fake(b"nonsense")
    fails("-c", hosts(db, ("127.0.0.1", other.port), here(db)), "list",
          naming=["PostgreSQL", str(other.port)], code=1)


def test_refusal_is_final(db, fake):
    """A host that says no has the last word, as with libpq."""
    first, second = fake(WRONG), fake(STARTING)
    fails("-c", hosts(db, ("127.0.0.1", first.port),
                      ("127.0.0.1", second.port)), "list",
          naming=["28P01", str(first.port)], code=1)
    assert len(second.connections) == 0


def test_all_are_named(db, fake):
    """When none will do, it is said of each why."""
    other, dead = fake(STARTING), free_port()
    fails("-c", hosts(db, ("127.0.0.1", other.port), ("127.0.0.1", dead)),
          "list", naming=["57P03", str(other.port), str(dead)], code=1)


def test_hostaddr(db):
    """The address is connected to, the name is not looked up."""
    lists(db.conninfo(host="no-such-host.invalid", hostaddr="127.0.0.1"))
    fails("-c", db.conninfo(host="127.0.0.1", hostaddr="localhost"), "list",
          naming=["hostaddr"])


def test_silent_host(db, fake):
    """One that says nothing costs connect_timeout, and no more."""
    other = fake(None)
    began = time.monotonic()
    lists(hosts(db, ("127.0.0.1", other.port), here(db), connect_timeout=2))
    assert 1.9 < time.monotonic() - began < 30 * SCALE
    assert len(other.connections) == 1


def test_in_their_order(db, fake):
    """Without load_balance_hosts the first is always the first."""
    other = fake(STARTING)
    for n in range(1, 6):
        lists(hosts(db, ("127.0.0.1", other.port), here(db)))
        assert len(other.connections) == n


def test_by_chance(db, fake):
    """load_balance_hosts=random: either may be the first."""
    other = fake(STARTING)
    for _ in range(25):
        lists(hosts(db, ("127.0.0.1", other.port), here(db))
              + " load_balance_hosts=random")
    assert 0 < len(other.connections) < 25


def test_streams_from_the_second(db, fake, server, client):
    """A server goes to the host that will do, and finds it again."""
    other = fake(STARTING)
    one = server(connection=hosts(db, ("127.0.0.1", other.port), here(db)))
    stream = client(one)
    db.fill(1, 1)
    stream.expect(1)
    db.sql("SELECT pg_terminate_backend(%s)", (db.walsender(),))
    one.wait_log("replication.started", 2, timeout=60)
    assert len(other.connections) >= 2


# target_session_attrs


class Standby(PgServer):
    """A hot standby of another server."""

    def __init__(self, primary):
        self.primary = primary
        super().__init__()

    def _initdb(self, hba, settings):
        del hba, settings
        if self._as:
            os.chown(self.dir, self._as["user"], self._as["group"])
        subprocess.run(
            [os.path.join(self.bindir, "pg_basebackup"), "-D", self.data,
             "-h", self.primary.dir, "-p", str(self.primary.port), "-U",
             "postgres", "-R", "-c", "fast", "-X", "stream"],
            cwd=self.dir, env=self._env, check=True, capture_output=True,
            timeout=300, **self._as)
        with open(os.path.join(self.data, "postgresql.conf"), "a",
                  encoding="utf-8") as conf:
            conf.write(f"port = {self.port}\n"
                       f"unix_socket_directories = '{self.dir}'\n")


@pytest.fixture(scope="module")
def two():
    """A primary with the slot `on_primary`, a standby with `on_standby`."""
    with contextlib.ExitStack() as stack:
        primary = PgServer(hba="local replication all trust\n")
        stack.callback(primary.remove)
        standby = Standby(primary)
        stack.callback(standby.remove)
        for one, slot in ((primary, "on_primary"), (standby, "on_standby")):
            with one.connect("postgres") as admin:
                admin.execute("SELECT pg_create_physical_replication_slot(%s)",
                              (slot,))
        yield primary, standby


def reached(*servers, **more):
    """The slots that list shows, of the server it came to."""
    words = {"host": ",".join("127.0.0.1" for _ in servers),
             "port": ",".join(str(one.port) for one in servers),
             "user": "postgres", "dbname": "postgres", **more}
    done = run("-c", " ".join(f"{key}='{value}'" for key, value in
                              words.items()), "list", timeout=60)
    if done.returncode != 0:
        return done.stderr
    return [name for name in ("on_primary", "on_standby")
            if name in done.stdout]


PRIMARY, STANDBY = ["on_primary"], ["on_standby"]


@pytest.mark.parametrize("wanted, primary_first, standby_first", [
    ("any", PRIMARY, STANDBY),
    ("read-write", PRIMARY, PRIMARY),
    ("read-only", STANDBY, STANDBY),
    ("primary", PRIMARY, PRIMARY),
    ("standby", STANDBY, STANDBY),
    ("prefer-standby", STANDBY, STANDBY)])
def test_target_session_attrs(two, wanted, primary_first, standby_first):
    """In whatever order they are."""
    primary, standby = two
    assert reached(primary, standby,
                   target_session_attrs=wanted) == primary_first
    assert reached(standby, primary,
                   target_session_attrs=wanted) == standby_first


@pytest.mark.parametrize("wanted, alone", [
    ("read-write", "standby"), ("primary", "standby"),
    ("read-only", "primary"), ("standby", "primary")])
def test_nobody_will_do(two, wanted, alone):
    """It is an error that says what the server is."""
    one = two[alone == "standby"]
    said = reached(one, target_session_attrs=wanted)
    assert "read-only" in said or "hot standby" in said


def test_prefer_standby_takes_any(two):
    """Where there is no standby."""
    primary, _ = two
    assert reached(primary, target_session_attrs="prefer-standby") == PRIMARY


@pytest.mark.parametrize("wanted", ["read-write", "read-only", "primary"])
def test_read_only_by_default(two, wanted):
    """A primary whose sessions are read-only is a primary all the same."""
    primary, standby = two
    with primary.connect("postgres") as admin:
        admin.execute("CREATE ROLE reader LOGIN SUPERUSER")
        admin.execute("ALTER ROLE reader"
                      " SET default_transaction_read_only = on")
        try:
            until(lambda: reached(standby, user="reader") == STANDBY, 60,
                  "the role on the standby")
            found = reached(primary, user="reader",
                            target_session_attrs=wanted)
        finally:
            admin.execute("DROP ROLE reader")
    if wanted == "read-write":
        assert "read-only" in found
    else:
        assert found == PRIMARY
