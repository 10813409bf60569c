"""SIGUSR1: the state of everything, in the log."""

import signal
import time

import httpget
import metrics
from waiting import until

pytest_plugins = ["subscriber"]


def state(walstream):
    """What one SIGUSR1 logs: (the server's lines, the streams')."""
    before = [len(walstream.logged(f"{of}.state"))
              for of in ("server", "session")]
    time.sleep(1.1)  # it is asked at most once a second
    walstream.child.send_signal(signal.SIGUSR1)
    walstream.wait_log("server.state", before[0] + 4)
    time.sleep(0.1)
    return [walstream.logged(f"{of}.state")[n:]
            for of, n in zip(("server", "session"), before)]


def test_nobody(db, server):
    of_server, of_streams = state(server())
    text = "\n".join(of_server)
    assert "0 streams, 0 connections, ready" in text
    assert f'permanent slot "{db.slot}"' in text
    assert "buffer: 0 of 16777216 bytes" in text
    assert not of_streams


def test_streams(db, server, client, subscribe):
    """Each by its name and address: position, sent, acknowledged, WAL."""
    walstream = server()
    named = subscribe(walstream, consumer='a"b\n\x1b')
    client(walstream)
    db.fill(1, 5)
    named.expect(5)
    named.ack_all()
    db.fill(6, 6)
    named.expect(6)
    of_server, of_streams = state(walstream)
    assert "2 streams, 2 connections" in of_server[0]
    assert "PostgreSQL: streaming, last 127.0.0.1" in of_server[1]
    assert len(of_streams) == 2
    first = next(line for line in of_streams if "Subscribe" in line)
    assert r'"a"b\x0a\x1b" of 127.0.0.1:' in first and ", live" in first
    assert "6 events sent, 1 acks" in first
    assert any("Session without a name" in line for line in of_streams)


def test_bounded(server, client, subscribe):
    walstream = server()
    for _ in range(3):
        first = subscribe(walstream)
        for _ in range(49):
            subscribe(walstream, on=first._channel)
    _, of_streams = state(walstream)
    assert len(of_streams) == 101
    assert "and 50 more streams" in of_streams[-1]
    del client


def test_flood(db, server, subscribe):
    """X6: signals as fast as they go hold nothing up."""
    walstream = server(*httpget.OPTION)
    stream = subscribe(walstream)
    end = time.monotonic() + 3
    row = sent = 0
    while time.monotonic() < end:
        row += 1
        db.fill(row, row)
        for _ in range(500):
            walstream.child.send_signal(signal.SIGUSR1)
            sent += 1
    stream.expect(row)
    lines = len(walstream.logged("server.state"))
    assert 4 <= lines <= 4 * 6, f"{lines} lines for {sent} signals"
    assert metrics.scrape(walstream)["walstream_log_dropped_total"] == 0
    until(lambda: httpget.get(walstream, "/healthz").status == 200)
