"""A process with many sessions: crowd.py PORT SESSIONS CONNINFO.

It commits a row of `bulk` every 50 ms, which every session gets; they are
half-closed, and hold nothing up. For each line
on standard input it prints how late they were since the last: their number,
the median, the 99th percentile and the most, in ms.
"""

import json
import re
import select
import sys
import threading
import time

import psycopg

from rawframes import RawConnection, data

STAMP = re.compile(rb'"v":"c(\d+)"')


def write(conninfo):
    with psycopg.connect(conninfo, autocommit=True) as db:
        while True:
            time.sleep(0.05)
            db.execute("INSERT INTO bulk VALUES (%s)",
                       ("c" + str(time.monotonic_ns()),))


def report(waits):
    waits.sort()
    n = len(waits)
    print(json.dumps({
        "count": n, "median": round(waits[n // 2], 2) if n else None,
        "p99": round(waits[n * 99 // 100], 2) if n else None,
        "most": round(waits[-1], 2) if n else None}), flush=True)
    waits.clear()


def main():
    port, count, conninfo = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    connections = [RawConnection(port) for _ in range(count)]
    streams = {c.socket: (c, c.session()) for c in connections}
    for c, stream in streams.values():
        c.send(data(stream, end=True))
    threading.Thread(target=write, args=(conninfo,), daemon=True).start()
    print("ready", flush=True)
    waits = []
    poll = select.epoll()
    poll.register(sys.stdin, select.EPOLLIN)
    for one in streams:
        poll.register(one, select.EPOLLIN)
    by_number = {one.fileno(): both for one, both in streams.items()}
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                if not sys.stdin.readline():
                    return
                report(waits)
                continue
            c, stream = by_number[number]
            c.read(0)
            if c.closed:
                sys.exit(f"a session is gone: {c.state()}")
            body = c.body.setdefault(stream, bytearray())
            now = time.monotonic_ns()
            waits += [(now - int(at)) / 1e6 for at in STAMP.findall(body)]
            body.clear()


main()
