"""X22: positions beyond 2^63, from the server's WAL to the client's ack."""

import json
import os
import subprocess

import pytest

import httpget
import metrics
from database import lsn_number
from pgserver import PgServer, unprivileged

pytest_plugins = ["subscriber"]

HIGH = 0xFFFFFF00 << 32  # where the WAL begins


@pytest.fixture(scope="module")
def pg():
    server = PgServer()
    try:
        server.stop()
        subprocess.run(
            [os.path.join(server.bindir, "pg_resetwal"), "-D", server.data,
             "-l", f"00000001{HIGH >> 32:08X}00000001"], cwd=server.dir,
            check=True, capture_output=True, **unprivileged())
        server.start()
        yield server
    finally:
        server.remove()


def test_high_positions(db, server, subscribe):
    walstream = server(*httpget.OPTION)
    stream = subscribe(walstream, consumer="a")
    db.fill(1, 3)
    stream.transactions(1)
    assert all(row.pg_lsn > HIGH and row.commit_lsn > HIGH
               for row in stream.rows())
    last = stream.ack_last()
    db.wait_confirmed(last)
    assert lsn_number(db.one(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots")) >= last
    # It goes on where it acknowledged, by its name and by its word.
    db.fill(4, 6)
    stream.transactions(2)
    stream.close()
    for options in {"consumer": "a"}, {"after_lsn": last}:
        again = subscribe(walstream, **options)
        again.transactions(1)
        assert again.ids() == [4, 5, 6]
        again.close()
    found = metrics.scrape(walstream)
    assert found["walstream_received_lsn"] >= HIGH
    status = json.loads(httpget.get(walstream, "/status.json").text)
    assert lsn_number(status["slot"]["confirmed_lsn"]) >= last
