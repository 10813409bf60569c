"""The proxies: between walstream and PostgreSQL, and before each client.

One process. Standard input says what to do, a JSON array a line; each is
answered with a line of JSON. The log has a line for each thing seen:

    time link connection what fields...

    tap.py PG_PORT
"""

import asyncio
import json
import struct
import sys
import time

from frames import Watcher
from link import Link, now

PROBE_INTERVAL = 0.4
TICK = 0.05  # s: later than that, and it is seen late what passes
# A keepalive that wants an answer. Its wal_end is below every other, which
# PostgreSQL's first keepalives may be, too.
PROBE = struct.pack(">cIcQQB", b"d", 22, b"k", 0, 0, 1)


class Tap:
    def __init__(self, pg_port):
        self._file = None
        self.links = {}
        self.pg = self._add("pg", pg_port,
                            lambda one: Watcher(one.log))

    def _add(self, name, target, watch=lambda connection: None):
        link = self.links[name] = Link(name, target, self._log, watch)
        asyncio.ensure_future(link.serve())
        return link

    def _log(self, *words):
        if self._file is not None:
            print(f"{time.monotonic():.6f}", *words, file=self._file)

    async def probe(self):
        while True:
            await asyncio.sleep(PROBE_INTERVAL)
            for one in list(self.pg.connections):
                if one.watcher.streaming:
                    try:
                        await one.inject(PROBE)
                    except OSError:
                        pass

    async def tick(self):
        """Notes when this process does not get its turn."""
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            late = time.monotonic() - due
            if late > TICK:
                self._log("tap", 0, "late", f"{late:.3f}")

    # Commands

    def do_ports(self):
        return self.pg.port

    def do_log(self, path):
        if self._file is not None:
            self._file.close()
        self._file = open(path, "a", encoding="utf-8")

    def do_flush(self):
        self._file.flush()

    def do_link(self, name, target):
        link = self.links.get(name)
        return (link or self._add(name, target)).port

    def do_stall(self, name, seconds):
        self.links[name].shape.stall_until = now() + seconds

    def do_drip(self, name, direction, count):
        self.links[name].shape.drip[direction] = count

    def do_cut(self, name, direction, after, how):
        self.links[name].shape.cut[direction] = (after, how)

    def do_reset(self, name, how):
        self.links[name].reset(how)

    def do_calm(self):
        for link in self.links.values():
            link.shape.calm()

    def command(self, line):
        name, *args = json.loads(line)
        return getattr(self, "do_" + name)(*args)


async def main():
    tap = Tap(int(sys.argv[1]))
    asyncio.ensure_future(tap.probe())
    asyncio.ensure_future(tap.tick())
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        line = await reader.readline()
        if not line:
            return
        print(json.dumps(tap.command(line)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
