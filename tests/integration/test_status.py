"""/status.json of a real server, and the page that shows it."""

import base64
import hashlib
import json
import re

import httpget
from subscriber import Subscriber
from waiting import until


def told(server):
    answer = httpget.get(server, "/status.json")
    assert (answer.status, answer.getheader("Content-Type")) == \
        (200, "application/json")
    return json.loads(answer.text)


def test_nobody(db, server):
    one = server(*httpget.OPTION)
    now = told(one)
    assert now["walstream"]["state"] == "serving"
    assert now["server"]["connected"] and now["server"]["problem"] is None
    assert now["server"]["database"] == db.name
    assert now["server"]["system_identifier"] == str(db.one(
        "SELECT system_identifier FROM pg_control_system()"))
    assert now["slot"]["name"] == db.slot and not now["slot"]["temporary"]
    assert now["slot"]["confirmed_lsn"] == db.one(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots"
        " WHERE slot_name = %s", (db.slot,))
    assert now["streams"] == now["absent"] == []


def test_no_secret(db, role, server):
    db.sql(f"ALTER ROLE {role} PASSWORD 'hunter-2'")
    one = server(*httpget.OPTION,
                 connection=db.conninfo(user=role, password="hunter-2"))
    answer = httpget.get(one, "/status.json")
    assert "hunter" not in answer.text
    assert json.loads(answer.text)["server"]["user"] == role


def test_streams(db, server, stubs):
    """Positions and counts are those that PostgreSQL and the clients know."""
    one = server(*httpget.OPTION)
    fast = Subscriber(stubs, one.address, consumer="fast", ack_commits=True)
    slow = Subscriber(stubs, one.address, consumer="slow\n\u202e<b>")
    try:
        fast.attached()
        slow.attached()
        db.fill(1, 3)
        fast.wait_for(3)
        slow.wait_for(3)
        now = until(lambda: (lambda s: s if any(
            x["state"] == "current" for x in s["streams"]) else None)(
                told(one)), 10, "the ack of one stream")
        first, second = now["streams"]
        assert first["consumer"] == "slow\n\u202e<b>"
        assert (first["state"], first["holds"]) == ("unacknowledged", True)
        assert (second["consumer"], second["holds"]) == ("fast", False)
        assert first["events"] == second["events"] == 3
        assert (first["acks"], second["acks"] > 0) == (0, True)
        assert first["sent_lsn"] == second["acked_lsn"]
        assert first["acked_lsn"] == now["slot"]["confirmed_lsn"]
        assert first["behind_seconds"] >= second["behind_seconds"] == 0
        assert now["slot"]["held_by"] == [first["consumer"]]
        assert now["received"]["events"] == 3
        assert now["sent"]["events"] == 6
        peers = {x["peer"] for x in now["streams"]}
        assert len(peers) == 2
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+", p) for p in peers)
        later = until(lambda: (lambda x: x if x > 1 else None)(
            told(one)["streams"][0]["behind_seconds"]), 10, "its lag to grow")
        assert told(one)["slot"]["behind_seconds"] >= later
        slow.ack(slow.messages[-1].body.pg_lsn)
        until(lambda: told(one)["slot"]["held_by"] == [], 10, "no holder")
    finally:
        fast.close()
        slow.close()
    until(lambda: told(one)["streams"] == [], 10, "no stream")


def test_absent_consumer(db, server, stubs):
    one = server(*httpget.OPTION, "--require-consumer", "audit")
    assert [c["consumer"] for c in told(one)["absent"]] == ["audit"]
    here = Subscriber(stubs, one.address, consumer="audit", ack_commits=True)
    try:
        here.attached()
        until(lambda: told(one)["absent"] == [], 10, "it to be there")
        db.fill(1, 2)
        here.wait_for(2)
    finally:
        here.close()
    until(lambda: told(one)["absent"], 10, "it to be away")


def test_while_postgresql_is_away(pg, server):
    one = server(*httpget.OPTION)
    pg.stop()
    try:
        until(lambda: told(one)["server"]["problem"], 20, "a problem")
        now = told(one)
        assert now["walstream"]["state"] == "not serving"
        assert not now["server"]["connected"]
        assert now["server"]["retry_seconds"] is None or \
            now["server"]["retry_seconds"] <= 10
    finally:
        pg.start()
    until(lambda: told(one)["server"]["problem"] is None, 30, "its return")
    server_now = told(one)["server"]
    assert server_now["connected"] and server_now["failures"] > 0
    assert server_now["last_failure"]


def test_page(server):
    """Its own policy allows its own style and script, by their hashes."""
    one = server(*httpget.OPTION)
    answer = httpget.get(one, "/")
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
    assert "no-store" in answer.getheader("Cache-Control")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"',
                       answer.text)[1]
    assert "unsafe" not in policy and "default-src 'none'" in policy
    for tag in ("style", "script"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)[1]
        digest = hashlib.sha256(text.encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" \
            in policy
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", answer.text)
    assert httpget.get(one, "/", "HEAD").getheader("Content-Length") == \
        str(len(answer.text.encode()))
    assert httpget.get(one, "/index.html").status == 404
