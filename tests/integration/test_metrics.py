"""/metrics: what it says is what happened."""

import time

import pytest

import httpget
import metrics
from proc import needs
from rawh2 import RawClient
from waiting import SCALE, until

pytest_plugins = ["subscriber"]


@pytest.fixture
def walstream(server):
    return server(*httpget.OPTION)


def wait_for(walstream, name, value, label=None):
    """Waits until a metric has this value; returns all of them."""
    def seen():
        found = metrics.scrape(walstream)
        one = found[name] if label is None else found[name].get(label)
        return one == value and found
    return until(seen, 15, lambda: f"{name} {label} to be {value}; it is"
                 f" {metrics.scrape(walstream)[name]}")


def test_promtool(db, walstream, subscribe):
    """Nothing to complain about, at the start and after traffic."""
    metrics.check(httpget.get(walstream).text)
    stream = subscribe(walstream, consumer="a")
    db.fill(1, 3)
    stream.expect(3)
    stream.ack_all()
    text = httpget.get(walstream).text
    metrics.check(text)
    assert 'walstream_events_total{operation="insert"} 3\n' in text


def test_events(db, server, subscribe):
    """Events by operation, transactions, bytes, what was sent, acks."""
    walstream = server(*httpget.OPTION, "--messages")
    one = subscribe(walstream, messages=["*"])
    two = subscribe(walstream)
    db.fill(1, 10)
    db.sql("UPDATE t SET v = 'y' WHERE id <= 4")
    db.sql("DELETE FROM t WHERE id <= 2")
    db.sql("TRUNCATE t")
    db.sql("SELECT pg_logical_emit_message(true, 'p', 'hello')")
    two.expect(17)
    found = wait_for(walstream, "walstream_transactions_total", 5)
    assert found["walstream_events_total"] == {
        "insert": 10, "update": 4, "delete": 2, "truncate": 1, "message": 1}
    assert found["walstream_streams"]["live"] == 2
    assert found["walstream_streams_opened_total"] == 2
    assert found["walstream_event_bytes_total"] > 18 * 20
    found = wait_for(walstream, "walstream_sent_events_total", 18 + 17)
    assert found["walstream_sent_bytes_total"] > \
        found["walstream_event_bytes_total"]
    assert 0 <= found["walstream_last_commit_age_seconds"] < 20 * SCALE
    assert abs(found["walstream_last_commit_timestamp_seconds"]
               - time.time()) < 60 * SCALE
    first, last = two.events[0].pg_lsn, two.events[-1].pg_lsn
    for lsn in first, last, first, 0:
        two.ack(lsn)
    found = wait_for(walstream, "walstream_acks_total", 4)
    assert found["walstream_acks_ignored_total"] == 2
    assert found["walstream_confirmed_lsn"] <= first
    two.ack(2 ** 60)
    two.ended()
    found = wait_for(walstream, "walstream_acks_bad_total", 1)
    assert found["walstream_streams_ended_total"]["INVALID_ARGUMENT"] == 1
    one.close()
    wait_for(walstream, "walstream_streams_ended_total", 1, "CANCELLED")


def test_held_by_whom(db, server, subscribe):
    """WAL held back, in all and by each consumer; positions."""
    walstream = server(*httpget.OPTION, "--require-consumer", "away")
    away = subscribe(walstream, consumer="away")
    quick = subscribe(walstream, consumer="quick")
    slow = subscribe(walstream, consumer="slow")
    nobody = subscribe(walstream)
    observer = subscribe(walstream, consumer="observer", observer=True)
    db.fill(1, 1)
    lsn = away.expect(1)[0].pg_lsn
    for stream in away, quick, slow, nobody, observer:
        stream.expect(1)
        stream.ack(lsn)
    db.wait_confirmed(lsn)
    away.close()
    wait_for(walstream, "walstream_consumer_streams", 0, "away")
    db.fill(2, 2001, 500)
    for stream in quick, slow, nobody, observer:
        stream.expect(2001)
    end = quick.ack_all()
    wait_for(walstream, "walstream_consumer_acked_lsn", end, "quick")
    nobody.ack(nobody.events[1000].pg_lsn)
    found = until(lambda: (now := metrics.scrape(walstream))[
        "walstream_consumer_held_bytes"][""] < 10000 and now, 15,
        "an ack")
    held = found["walstream_consumer_held_bytes"]
    assert held["slow"] > 500000 and held["away"] > 500000
    assert held[""] > 0  # C is the start of the commit record
    assert held["quick"] < 10000 and held["observer"] == 0
    assert found["walstream_held_bytes"] == max(held.values())
    # Whoever had acknowledged all moved on while nothing was to be sent.
    first = slow.events[1].pg_lsn
    assert lsn <= found["walstream_confirmed_lsn"] < first
    assert lsn <= found["walstream_consumer_acked_lsn"]["slow"] < first
    assert found["walstream_consumer_sent_lsn"]["slow"] == end
    assert found["walstream_sent_lsn"] >= end
    assert found["walstream_server_lsn"] >= end
    assert found["walstream_received_lsn"] >= end
    assert found["walstream_consumer_streams"] == {
        "": 1, "away": 0, "quick": 1, "slow": 1, "observer": 1}
    slow.ack_all()
    nobody.ack_all()
    subscribe(walstream, consumer="away").wait_for(2000)
    found = wait_for(walstream, "walstream_consumer_streams", 1, "away")
    assert found["walstream_consumer_held_bytes"]["slow"] < 100000


def test_names_of_all_kinds(db, walstream, subscribe):
    """A name is a label's value whatever is in it, and forges no line."""
    names = ['"', "\\", "\n", 'x"} 1\nwalstream_forged{a="b', "\x1b[2J",
             "\u00e4\U0001f600", "\\n", " ", "a,b", "\t\r\x7f"]
    streams = [subscribe(walstream, consumer=name) for name in names]
    text = httpget.get(walstream).text
    metrics.check(text)
    found = metrics.parse(text)
    assert found["walstream_consumer_streams"] == {
        "": 0, **{name: 1 for name in names}}
    assert "\nwalstream_forged" not in text
    # metadata may be bytes that are no text
    raw = RawClient(walstream.port)
    stream = raw.conn.get_next_available_stream_id()
    raw.conn.config.header_encoding = None
    raw.conn.send_headers(stream, [
        (b":method", b"POST"), (b":scheme", b"http"),
        (b":path", b"/plugin.PluginService/Session"),
        (b":authority", b"h"), (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"walstream-consumer", b"\xff\xfe")])
    raw.flush()
    found = wait_for(walstream, "walstream_consumer_streams", 1, "")
    assert len(found["walstream_consumer_streams"]) == len(names) + 1
    metrics.check(httpget.get(walstream).text)
    assert len(streams) == len(names)
    raw.close()
    del db


def test_never_backwards(db, server, client, role):
    """Counters only rise, through rewinds and the loss of PostgreSQL."""
    walstream = server(*httpget.OPTION, "--buffer-size", "64KiB",
                       connection=db.conninfo(user=role))
    one = client(walstream)
    db.fill(1, 300, 1000)
    one.expect(300)
    before = metrics.scrape(walstream)
    assert before["walstream_rewinds_total"] == 0
    client(walstream).expect(300)  # what is not in memory any more
    after = metrics.scrape(walstream)
    assert not list(metrics.falls(before, after))
    assert after["walstream_rewinds_total"] == 1
    assert after["walstream_events_total"]["insert"] >= 600
    failures = after["walstream_postgres_failures_total"]
    db.terminate_walsender()
    before = after
    after = until(lambda: (now := metrics.scrape(walstream))
                  ["walstream_postgres_failures_total"] > failures and now,
                  15, "a failure to be counted")
    after = wait_for(walstream, "walstream_postgres_streaming", 1)
    assert not list(metrics.falls(before, after))
    assert after["walstream_postgres_connections_total"] > \
        before["walstream_postgres_connections_total"]
    with db.locked_out(role):
        found = wait_for(walstream, "walstream_postgres_connected", 0)
        assert found["walstream_ready"] == 0
    wait_for(walstream, "walstream_ready", 1)


def test_buffer(db, server, client):
    """A client that reads nothing fills it, up to its size and no further."""
    walstream = server(*httpget.OPTION, "--buffer-size", "1MiB")
    held = client(walstream, held=True)
    db.fill(1, 2000, 10000)
    found = wait_for(walstream, "walstream_buffer_full", 1)
    assert found["walstream_buffer_size_bytes"] == 2 ** 20
    end = db.one("SELECT pg_current_wal_flush_lsn() - '0/0'")
    found = until(lambda: (now := metrics.scrape(walstream))
                  ["walstream_server_lsn"] >= end and now, 30,
                  "the server's position to be known")
    assert found["walstream_server_lsn"] <= db.one(
        "SELECT pg_current_wal_insert_lsn() - '0/0'")
    assert found["walstream_behind_bytes"] > 0
    assert found["walstream_consumer_held_bytes"][""] > 0
    assert 2 ** 19 < found["walstream_buffer_unsent_bytes"] <= \
        found["walstream_buffer_bytes"] < 2 ** 20 + 20000
    held.release()
    held.expect(2000)
    held.ack_all()
    wait_for(walstream, "walstream_buffer_unsent_bytes", 0)


def test_many_consumers(db, walstream, subscribe):
    """Thousands of names: as many series as names are remembered."""
    stream = subscribe(walstream, consumer="stays")
    db.fill(1, 1)
    stream.expect(1)
    for number in range(1200):
        subscribe(walstream, consumer=f"{number:_>250}",
                  on=stream._channel).close()
    found = metrics.scrape(walstream)
    assert len(found["walstream_consumer_streams"]) <= 1025
    began = time.monotonic()
    text = httpget.get(walstream).text
    print(f"{len(text)} bytes in {time.monotonic() - began:.3f} s")
    assert time.monotonic() - began < 1 * SCALE
    metrics.check(text)


def test_connections_and_http(walstream, client):
    before = metrics.scrape(walstream)
    one = client(walstream)
    found = wait_for(walstream, "walstream_connections", 1)
    assert found["walstream_connections_accepted_total"] == \
        before["walstream_connections_accepted_total"] + 1
    httpget.get(walstream, "/no")
    found = metrics.scrape(walstream)
    assert found["walstream_http_requests_total"]["404"] == 1
    assert found["walstream_http_requests_total"]["200"] >= 2
    one.close()
    wait_for(walstream, "walstream_connections", 0)


def test_process_and_loop(walstream):
    needs("/proc")
    found = metrics.scrape(walstream)
    assert found["process_resident_memory_bytes"] == pytest.approx(
        walstream.status("VmRSS"), rel=0.3)
    assert found["process_open_fds"] == pytest.approx(
        walstream.descriptors(), abs=2)
    assert abs(time.time() - found["process_start_time_seconds"]) < 60 * SCALE
    assert 0 < found["process_cpu_seconds_total"] < 60
    buckets = found["walstream_loop_turn_seconds_bucket"]
    assert "0.05" in buckets and "+Inf" in buckets
    assert list(buckets.values()) == sorted(buckets.values())
    assert buckets["+Inf"] == found["walstream_loop_turn_seconds_count"] > 1
    assert found["walstream_loop_turn_longest_seconds"] <= \
        found["walstream_loop_turn_seconds_sum"]
    time.sleep(0.1)
    later = metrics.scrape(walstream)
    assert not list(metrics.falls(found, later))


def test_slow_turn_is_seen(db, server, client):
    """The histogram notices: a stopped process is one long turn or none, a
    field of 50 MB is one that cannot be cut."""
    walstream = server(*httpget.OPTION, "--log-level", "debug")
    walstream.longest_turn = 10000
    one = client(walstream)
    db.sql("INSERT INTO t VALUES (1, repeat('x', 50000000))")
    one.expect(1, 60)
    found = metrics.scrape(walstream)
    longest = found["walstream_loop_turn_longest_seconds"]
    slow = (found["walstream_loop_turn_seconds_bucket"]["+Inf"]
            - found["walstream_loop_turn_seconds_bucket"]["0.05"])
    print(f"longest turn {longest} s, {slow} above 50 ms")
    assert (longest > 0.05) == (slow > 0)
    assert bool(walstream.logged("server.slow_turn")) == (slow > 0)


def test_nobody_attached(db, server, client, role):
    """What a permanent slot keeps grows also while nobody is there; and a
    role that may not ask how far it is does no harm."""
    walstream = server(*httpget.OPTION)
    one = client(walstream)
    db.fill(1, 1)
    one.expect(1)
    db.wait_confirmed(one.ack_all())
    one.close()
    wait_for(walstream, "walstream_postgres_streaming", 0)
    db.fill(2, 3000, 1000)
    until(lambda: metrics.scrape(walstream)["walstream_held_bytes"]
          > 3000000, 30, "the WAL that is held to be known")
    assert walstream.stop() == 0
    db.sql("REVOKE EXECUTE ON FUNCTION pg_current_wal_flush_lsn FROM PUBLIC")
    walstream = server("--log-level", "debug", *httpget.OPTION,
                       connection=db.conninfo(user=role))
    client(walstream).wait_for(2999)
    walstream.wait_log("walend.retry")
    assert metrics.scrape(walstream)["walstream_ready"] == 1
