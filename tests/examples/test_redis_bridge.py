"""The bridge: every committed row is in the stream, once and in order,
whatever dies."""

import json
import random
import signal
import threading
import time

import pytest

from database import lsn_text
from redisserver import RedisServer
from waiting import until

STREAM = "walstream:changes"
POSITION = STREAM + ":position"


@pytest.fixture
def redis():
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def bridge(launch, walstream, redis):
    """Runs the bridge between the two."""
    def start(*options):
        return launch("redis-bridge", "-redis", redis.url, *options,
                      walstream.address)
    return start


def ids(redis):
    """The ids of the rows of t in the stream."""
    return [json.loads(fields["payload"])["id"]
            for _, fields in redis.entries(STREAM)]


def wait_entries(redis, count, program, timeout=20):
    """Waits until the stream has so many; checks that it has no more."""
    until(lambda: redis.call("XLEN", STREAM) >= count, timeout,
          lambda: f"{count} entries; there are"
          f" {redis.call('XLEN', STREAM)}: {program.state()}")
    assert redis.call("XLEN", STREAM) == count


def position(redis):
    [(key, _)] = redis.entries(POSITION)
    return int(key.partition("-")[0])


def first_id(redis):
    [[key, _]] = redis.call("XRANGE", STREAM, "-", "+", "COUNT", 1)
    return key


def ended(program, text):
    """It has given up, and says why."""
    assert program.wait(20) == 1, program.state()
    assert text in "".join(program.errors), program.state()


def test_entries(db, redis, bridge):
    """What is in an entry; its ID is that of the event."""
    one = bridge()
    db.watch()
    db.sql("INSERT INTO t VALUES (1, 'żółć \"quoted\"\n'), (2, NULL)")
    db.sql("ALTER TABLE t ALTER v SET STORAGE EXTERNAL")
    db.sql("UPDATE t SET v = repeat('x', 9000) WHERE id = 2")
    db.transaction("UPDATE t SET id = 3 WHERE id = 2",
                   "DELETE FROM t WHERE id = 1", "TRUNCATE t")
    wait_entries(redis, 6, one)
    entries = redis.entries(STREAM)
    transactions = db.transactions()
    assert [key for key, _ in entries] == [
        f"{commit}-{seq + 1}" for commit, _, rows in transactions
        for seq in range(rows)]
    fields = [fields for _, fields in entries]
    assert [f["op"] for f in fields] == [
        "insert", "insert", "update", "update", "delete", "truncate"]
    assert {(f["schema"], f["table"]) for f in fields} == {("public", "t")}
    assert [f.get("payload") for f in fields] == [
        r'{"id":1,"v":"żółć \"quoted\"\n"}', '{"id":2,"v":null}',
        '{"id":2,"v":"' + 9000 * "x" + '"}', '{"id":3}', '{"id":1}', None]
    assert [f.get("old_payload") for f in fields] == [
        None, None, None, '{"id":2}', None, None]
    assert [f.get("unchanged_columns") for f in fields] == [
        None, None, None, '["v"]', None, None]
    assert len({f["xid"] for f in fields}) == 3
    now = db.one("SELECT extract(epoch FROM now())::float8")
    assert all(abs(int(f["commit_time_us"]) / 1e6 - now) < 60
               for f in fields)
    db.wait_confirmed(transactions[-1][1])
    assert position(redis) == transactions[-1][1]
    assert "cmdstat_exec:" in redis.cli("INFO", "commandstats"), \
        "what belongs together was not written in one step"
    one.send(signal.SIGTERM)
    assert one.wait(5) == 0, one.state()


def test_confirms_after_redis(db, redis, bridge):
    """What Redis has not answered for is not acknowledged."""
    one = bridge()
    db.fill(1, 10)
    wait_entries(redis, 10, one)
    done = position(redis)
    db.wait_confirmed(done)
    redis.kill()
    db.fill(11, 20)
    one.wait_said("trying again")
    time.sleep(0.5)
    assert db.confirmed() == done
    redis.start()
    wait_entries(redis, 20, one)
    db.wait_confirmed(position(redis))
    assert ids(redis) == list(range(1, 21))


def test_given_up_for_lost(db, redis, bridge):
    """What Redis carries out after the bridge has stopped waiting for it does
    no harm when it comes again."""
    one = bridge()
    db.fill(1, 10)
    wait_entries(redis, 10, one)
    redis.send(signal.SIGSTOP)
    db.fill(11, 20)
    one.wait_said("trying again")
    redis.send(signal.SIGCONT)
    db.fill(21, 30)
    wait_entries(redis, 30, one)
    assert ids(redis) == list(range(1, 31))


class Load(threading.Thread):
    """Commits rows 1, 2, 3 ... of t, one to five a transaction and now and
    then 2500, until stop(), which returns the last."""

    def __init__(self, db, dice):
        super().__init__(daemon=True)
        self.last = 0
        self._db = db
        self._dice = dice
        self._enough = threading.Event()

    def run(self):
        with self._db.connect() as conn:
            while not self._enough.is_set():
                size = self._dice.choice([1, 2, 3, 5] * 10 + [2500])
                conn.execute(
                    "INSERT INTO t SELECT i, repeat('x', 50)"
                    " FROM generate_series(%s::int, %s::int) i",
                    (self.last + 1, self.last + size))
                self.last += size
                time.sleep(0.004)

    def stop(self):
        self._enough.set()
        self.join(30)
        return self.last


class Victims:
    """All that may die."""

    def __init__(self, redis, walstream, bridge):
        self._redis = redis
        self._walstream = walstream
        self._bridge = bridge
        self.program = bridge()

    def bridge(self):
        self.program.kill()
        self.program = self._bridge()

    def redis(self):
        self._redis.kill()
        self._redis.start()

    def walstream(self):
        self._walstream.kill()
        self._walstream.start()


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_under_load(db, redis, walstream, bridge, seed):
    """SIGKILL for the bridge, for walstream and for Redis, in any order, at
    any moment: at the end the stream has every committed row once, in order,
    and under the ID that PostgreSQL gives it."""
    dice = random.Random(seed)
    db.watch()
    victims = Victims(redis, walstream, bridge)
    load = Load(db, dice)
    load.start()
    rounds = ["bridge", "redis", "walstream"] * 5
    dice.shuffle(rounds)
    for name in rounds:
        time.sleep(dice.uniform(0.05, 0.6))
        getattr(victims, name)()
    last = load.stop()
    assert last > 1000
    wait_entries(redis, last, victims.program, 40)
    assert ids(redis) == list(range(1, last + 1))
    assert [key for key, _ in redis.entries(STREAM)] == [
        f"{commit}-{seq + 1}" for commit, _, rows in db.transactions()
        for seq in range(rows)]
    db.wait_confirmed(position(redis))


def test_killed_in_a_transaction(db, redis, bridge):
    """A transaction too large for one piece is completed, not repeated."""
    count = 30000
    victims = [bridge()]
    db.fill(1, count, 100)
    for part in (1, 2):
        until(lambda: redis.call("XLEN", STREAM) >= part * 2000, 20,
              lambda: victims[-1].state())
        victims[-1].kill()
        assert redis.call("XLEN", STREAM) < count, "it was killed too late"
        assert position(redis) < int(first_id(redis).partition("-")[0])
        victims.append(bridge())
    wait_entries(redis, count, victims[-1], 30)
    assert ids(redis) == list(range(1, count + 1))


@pytest.mark.parametrize("restarted", [False, True],
                         ids=["same-walstream", "walstream-restarted"])
def test_redis_loses(db, redis, walstream, bridge, restarted):
    """A Redis that comes back with less than it had confirmed is found out,
    instead of going on with a gap. Without its position it starts anew."""
    one = bridge()
    db.fill(1, 5)
    wait_entries(redis, 5, one)
    before = position(redis)
    redis.keep()
    db.fill(6, 9)
    wait_entries(redis, 9, one)
    db.wait_confirmed(position(redis))
    redis.kill()
    redis.restore()
    if restarted:
        one.kill()
        walstream.stop()
        walstream.start()
    redis.start()
    if restarted:
        one = bridge()
    db.fill(10, 10)
    ended(one, lsn_text(before))
    assert ids(redis) == [1, 2, 3, 4, 5]
    redis.call("DEL", POSITION)
    wait_entries(redis, 6, bridge())
    assert ids(redis) == [1, 2, 3, 4, 5, 10]


def test_other_cluster(db, redis, bridge):
    """A position of another cluster means nothing."""
    redis.call("XADD", POSITION, f"{db.one('SELECT 1')}-0",
               "system_identifier", "1234567890")
    ended(bridge(), "FAILED_PRECONDITION")


def test_foreign_entries(db, redis, bridge):
    """Entries of somebody else, above all that can come, are found out."""
    redis.call("XADD", STREAM, "*", "op", "other")
    one = bridge()
    db.fill(1, 1)
    ended(one, "did not come from here")
    assert redis.call("XLEN", STREAM) == 1


def test_quiet(db, redis, bridge):
    """WAL that has nothing for the stream is confirmed, too, and the bridge
    goes on from there."""
    db.sql("ALTER PUBLICATION publication SET (publish = 'insert')")
    one = bridge()
    db.fill(1, 1)
    wait_entries(redis, 1, one)
    first = position(redis)
    db.sql("UPDATE t SET v = 'not published'")
    until(lambda: position(redis) > first, 25,
          lambda: "progress: " + one.state())
    db.wait_confirmed(position(redis))
    one.kill()
    one = bridge()
    db.fill(2, 2)
    wait_entries(redis, 2, one)


def test_maxlen(db, redis, bridge):
    """-maxlen bounds the stream, roughly."""
    one = bridge("-maxlen", "200")
    for i in range(10):
        db.fill(100 * i + 1, 100 * i + 100)
    until(lambda: ids(redis)[-1:] == [1000], 20, one.state)
    assert 200 <= redis.call("XLEN", STREAM) < 500


def test_waits_for_redis(db, redis, bridge):
    """It may be started first; it ends on SIGTERM while it waits."""
    redis.kill()
    one, other = bridge(), bridge("-consumer", "other")
    one.wait_said("trying again")
    other.wait_said("trying again")
    other.send(signal.SIGTERM)
    assert other.wait(5) == 0, other.state()
    redis.start()
    db.fill(1, 1)
    wait_entries(redis, 1, one)
