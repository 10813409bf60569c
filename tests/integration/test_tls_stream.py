"""Streaming over TLS."""

import pytest

from agree import HOST
from proc import run
from waiting import SCALE, until

pytest_plugins = ["tlspg"]

MB = 1 << 20


@pytest.fixture
def pg(tls):
    """What db and server are of."""
    return tls


@pytest.fixture
def secure(db, tls):
    """A connection string for this test's database."""
    return db.conninfo(host=HOST, hostaddr="127.0.0.1",
                       sslmode="verify-full", sslrootcert=str(tls.ca.cert))


def is_encrypted(db, slot):
    return db.one("SELECT ssl FROM pg_stat_ssl JOIN pg_replication_slots"
                  " ON pid = active_pid WHERE slot_name = %s", (slot,))


def test_same_events(db, server, client, secure):
    """Many rows, and large ones: what comes over TLS is what comes
    without."""
    other = db.slot + "_clear"
    one = client(server(connection=secure))
    two = client(server(connection=db.conninfo(sslmode="disable"),
                        slot=other, shared=True))
    assert is_encrypted(db, db.slot) and not is_encrypted(db, other)
    db.fill(1, 20000, 100)
    for key in range(20001, 20006):  # of no two lengths
        db.fill(key, key, MB + key)
    db.fill(30001, 30002, 10 * MB)
    db.transaction("UPDATE t SET v = left(v, 5) WHERE id > 20000",
                   "DELETE FROM t WHERE id < 100", "TRUNCATE t")
    count = 20000 + 5 + 2 + 7 + 99 + 1
    one.expect(count, 120)
    two.expect(count, 120)
    assert one.events == two.events
    assert len(one.events[20005].payload) > 10 * MB
    lsn = one.ack_all()
    db.wait_confirmed(lsn)


def test_slow_client(db, server, client, secure):
    """A client that does not read: PostgreSQL is not read from either, and
    nothing is lost in between."""
    started = server("--buffer-size", "8MiB", connection=secure)
    stream = client(started, held=True)
    db.sql("CREATE TABLE big (id int PRIMARY KEY, v text)")
    db.publish("big")
    db.sql("INSERT INTO big SELECT i, repeat(md5(i::text), 8000)"
           " FROM generate_series(1, 400) i")  # 100 MB
    db.wait_stalled()
    stream.release()
    stream.expect(400, 120)
    assert stream.ids() == list(range(1, 401))


def judged_anew(secure, word):
    """What a connection that begins now comes to."""
    done = run("-c", secure, "list")
    return done.returncode != 0 and word in done.stderr


def test_expiry(db, tls, serving, server, client, secure):
    """P34: the certificate expires, or is replaced by another's: the session
    goes on, and the next one is judged anew."""
    short = tls.ca.issue(HOST, hours=(-1, 10 * SCALE / 3600))
    serving(short)
    started = server(connection=secure)
    stream = client(started)
    db.fill(1, 1)
    stream.expect(1)
    pid = db.wait_walsender()
    until(lambda: judged_anew(secure, "certificate has expired"), 30,
          "the certificate to expire")
    db.fill(2, 2)
    stream.expect(2)
    serving(tls.stranger.issue(HOST))
    db.fill(3, 3)
    stream.expect(3)
    assert db.walsender() == pid and not started.logged("pg.lost")

    db.terminate_walsender()
    lines = started.wait_log("pg.lost", 2)
    assert "certificate verify failed: unable to get local issuer" \
        in lines[-1], lines
    serving()
    db.wait_walsender(other_than=pid)
    db.fill(4, 4)
    stream.expect(4)
    assert stream.ids() == [1, 2, 3, 4]
