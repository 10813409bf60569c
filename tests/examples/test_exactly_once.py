"""examples/exactly-once: the target is the source, whatever is killed."""

import random
import signal

import pytest

from database import Database, lsn_text
from load import Load
from pgserver import PgServer
from place import HERE

TABLES = ["account", "pair", "log", "scratch", "scratch_of"]
SCHEMA = (HERE / "schema.sql").read_text(encoding="utf-8")
NAME = "exactly-once"
SEED = 1
KILLS = 25


@pytest.fixture(scope="module")
def target_pg():
    server = PgServer()
    yield server
    server.remove()


@pytest.fixture
def target(target_pg, db):
    """The other database, its tables made and empty, as those of db."""
    database = Database(target_pg, db.name)
    for one in (db, database):
        one.sql(SCHEMA)
    yield database
    database.drop()


@pytest.fixture
def run(launch, walstream, target):
    """Starts the example."""
    def start():
        return launch(NAME, walstream.address, "--target", target.conninfo())
    return start


def contents(database, table):
    return [row for row, in database.sql(
        f"SELECT row_to_json(x)::text FROM {table} x ORDER BY 1")]


def position(target):
    """What the target has stored; 0 before there is anything."""
    if target.one("SELECT to_regclass('walstream_position')") is None:
        return 0
    rows = target.sql("SELECT (lsn - '0/0')::bigint FROM walstream_position")
    return int(rows[0][0]) if rows else 0


def marked(db, target, program):
    """Waits until everything that db has by now is in the target."""
    db.sql("INSERT INTO log VALUES (-1, 'the end')")
    program.wait_for(
        lambda: target.one("SELECT count(*) FROM log WHERE n = -1")
        == db.one("SELECT count(*) FROM log WHERE n = -1"),
        60, "the last transaction in the target")


def same(db, target):
    for table in TABLES:
        there, here = contents(db, table), contents(target, table)
        assert here == there, \
            f"{table}: {len(there)} rows, in the target {len(here)}"


def settled(db, target):
    """What is acknowledged is stored, and all of it is acknowledged."""
    db.wait_confirmed(position(target))


def test_copies(db, target, run):
    """Every kind of change, to every kind of table."""
    program = run()
    load = Load(db, SEED)
    load.reach(300)
    load.stop()
    marked(db, target, program)
    same(db, target)
    settled(db, target)
    assert all(contents(target, table) for table in TABLES)
    program.send(signal.SIGTERM)
    assert program.wait(5) == 0, program.state()


def test_goes_on(db, target, run):
    """After a stop it goes on behind what it has stored, also when the tables
    have changed: first in the target."""
    program = run()
    db.sql("INSERT INTO account (name) VALUES ('a')")
    marked(db, target, program)
    program.send(signal.SIGTERM)
    assert program.wait(5) == 0, program.state()
    for one in (target, db):
        one.sql("ALTER TABLE account ADD more text, DROP name")
    db.sql("INSERT INTO account (more) VALUES ('b')")
    program = run()
    marked(db, target, program)
    same(db, target)


def test_quiet(db, target, run):
    """While there is nothing to copy the position moves all the same, so that
    the slot holds no WAL back."""
    program = run()
    marked(db, target, program)
    settled(db, target)
    before = position(target)
    db.sql("CREATE TABLE unused ()")
    program.wait_for(lambda: position(target) > before, 25,
                     "progress to be stored")
    settled(db, target)
    assert db.confirmed() > before


def refused(program, *words):
    """It ends for good, and says why."""
    assert program.wait(15) == 1, program.state()
    said = "".join(program.errors)
    assert all(word in said for word in words), said


def stopped(db, target, run):
    """It has copied something, and is away."""
    program = run()
    db.sql("INSERT INTO account (name) VALUES ('a')")
    marked(db, target, program)
    settled(db, target)
    program.send(signal.SIGTERM)
    assert program.wait(5) == 0, program.state()


def test_confirmed_by_another(db, target, walstream, launch, run):
    """OUT_OF_RANGE: what it has not seen was confirmed while it was away."""
    stopped(db, target, run)
    other = launch("python-client", walstream.address)
    db.sql("INSERT INTO account (name) VALUES ('b')")
    other.wait_rows(1)
    db.wait_confirmed(other.committed())
    other.send(signal.SIGTERM)
    assert other.wait(5) == 0
    for _ in range(2):
        refused(run(), "OUT_OF_RANGE", lsn_text(position(target)))
    assert target.one("SELECT count(*) FROM account") == 1


def test_target_restored(db, target, run):
    """Its position is of long ago, while walstream remembers better."""
    program = run()
    marked(db, target, program)
    old = position(target)
    program.kill()
    stopped(db, target, run)
    target.sql("UPDATE walstream_position"
               " SET lsn = '0/0'::pg_lsn + %s::numeric", (old,))
    refused(run(), lsn_text(old))


def test_other_cluster(db, target, run):
    stopped(db, target, run)
    target.sql("UPDATE walstream_position SET system_identifier = '12345'")
    refused(run(), "FAILED_PRECONDITION", "12345")


def test_diverged(db, target, run):
    """A row that should be there is not."""
    stopped(db, target, run)
    target.sql("DELETE FROM account")
    before = position(target)
    db.sql("UPDATE account SET name = 'c'")
    refused(run(), "update", "public.account", "0 rows")
    assert position(target) == before


class Killer:
    """The things that can be killed, a method for each."""

    def __init__(self, db, target, walstream, run):
        self.db, self.target, self.walstream = db, target, walstream
        self.run = run
        self.program = run()

    def example(self):
        self.program.kill()
        self.program = self.run()

    def walstream_(self):
        self.walstream.kill()
        self.walstream.start()

    def source(self):
        self.db.pg.restart("immediate")

    def target_(self):
        self.target.pg.restart("immediate")

    def connection(self):
        """The target's, in the middle of something."""
        self.target.sql("SELECT pg_terminate_backend(pid)"
                        " FROM pg_stat_activity WHERE datname = %s"
                        " AND pid <> pg_backend_pid()", (self.target.name,))

    KINDS = [example, walstream_, source, target_, connection]


def test_kills(db, target, walstream, run):
    """kill -9 of everything there is, at any moment: nothing is lost, nothing
    comes twice."""
    dice = random.Random(SEED)
    killer = Killer(db, target, walstream, run)
    load = Load(db, SEED)
    kinds = (Killer.KINDS * KILLS)[:KILLS]
    dice.shuffle(kinds)
    for kill in kinds:
        load.reach(load.count + dice.randint(50, 250))
        before = position(target)
        killer.program.wait_for(lambda: position(target) > before, 30,
                                f"a position behind {lsn_text(before)}")
        kill(killer)
    load.stop()
    marked(db, target, killer.program)
    same(db, target)
    settled(db, target)
    print(f"{load.count} transactions, {len(kinds)} kills")
