"""A listening port and where its connections go to, with faults in between."""

import asyncio
import socket
import struct
import time

CHUNK = 65536
LINGER_RST = struct.pack("ii", 1, 0)


def now():
    return time.monotonic()


class Shape:
    """What a link does to its bytes at the moment.

    stall_until: nothing passes until then. drip: how many bytes pass one by
    one. cut: after how many bytes the connection breaks, and how (rst, fin).
    The last two are for each direction.
    """

    def __init__(self):
        self.calm()

    def calm(self):
        self.stall_until = 0
        self.drip = {"up": 0, "down": 0}
        self.cut = {}


class Connection:
    """One connection through a link: two sockets and a pump each way."""

    def __init__(self, link, near, number):
        self.link = link
        self.number = number
        self._near, self._far = near, None
        self._over = False
        self._tasks = []
        self._waiting = 0  # chunks read and not passed on, downwards
        self.locks = {"up": asyncio.Lock(), "down": asyncio.Lock()}
        self.watcher = link.watch(self)

    async def run(self):
        loop = asyncio.get_running_loop()
        self.log("open")
        self._far = socket.socket()
        self._far.setblocking(False)
        try:
            await loop.sock_connect(self._far,
                                    ("127.0.0.1", self.link.target))
            for sock in (self._near, self._far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.break_("rst", "unreachable")
            return
        self._tasks = (self._pump(self._near, self._far, "up")
                       + self._pump(self._far, self._near, "down"))
        done, _ = await asyncio.wait(
            self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        if any(not task.cancelled() and task.exception() for task in done):
            self.break_("rst", "lost")
        self.break_("fin", "close")

    def log(self, kind, *fields):
        self.link.log(self.link.name, self.number, kind, *fields)

    async def _read(self, source, direction, queue):
        """Takes bytes from one side, at once, so that the watcher sees when
        they were sent; what goes up is little."""
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(source, CHUNK)
            if self.watcher is not None:
                getattr(self.watcher, direction)(data)
            self._waiting += direction == "down"
            await queue.put(data)
            if not data:
                return
            await asyncio.sleep(0)  # others, too, however much there is

    async def _write(self, to, direction, queue):
        while not self._over:
            data = await queue.get()
            if not data:
                to.shutdown(socket.SHUT_WR)
                return
            async with self.locks[direction]:
                await self._pass(data, to, direction)
                self._waiting -= direction == "down"
            await asyncio.sleep(0)

    def _pump(self, source, to, direction):
        queue = asyncio.Queue(0 if direction == "up" else 1)
        return [asyncio.ensure_future(self._read(source, direction, queue)),
                asyncio.ensure_future(self._write(to, direction, queue))]

    async def _pass(self, data, to, direction):
        loop = asyncio.get_running_loop()
        shape = self.link.shape
        while data and not self._over:
            while now() < shape.stall_until and not self._over:
                await asyncio.sleep(0.02)
            n = 1 if shape.drip[direction] > 0 else len(data)
            if direction in shape.cut:
                n = min(n, shape.cut[direction][0])
            if n:
                await loop.sock_sendall(to, data[:n])
                data = data[n:]
            if n and shape.drip[direction] > 0:
                shape.drip[direction] -= 1
                await asyncio.sleep(0)
            self._count_cut(shape, direction, n)

    def _count_cut(self, shape, direction, n):
        if direction not in shape.cut:
            return
        left, how = shape.cut[direction]
        shape.cut[direction] = (left - n, how)
        if left - n <= 0:
            del shape.cut[direction]
            self.break_(how, "cut")

    def break_(self, how, why):
        """Ends both sides. A socket is taken out of the loop before it is
        closed, because its number may be another's a moment later."""
        if self._over:
            return
        self._over = True
        self.log(why, how)
        loop = asyncio.get_running_loop()
        for sock in (self._near, self._far):
            loop.remove_reader(sock)
            loop.remove_writer(sock)
        for task in self._tasks:
            task.cancel()
        for sock in (self._near, self._far):
            if how == "rst":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                LINGER_RST)
            sock.close()

    async def inject(self, data):
        """Sends to the near side, at a boundary between messages only."""
        shape = self.link.shape
        if (now() < shape.stall_until or shape.drip["down"]
                or "down" in shape.cut or self.locks["down"].locked()):
            return False
        async with self.locks["down"]:
            if self._over or not self.watcher.streaming or \
                    self._waiting or not self.watcher.down_at_boundary:
                return False
            self.log("probe")
            await asyncio.get_running_loop().sock_sendall(self._near, data)
        return True


class Link:
    def __init__(self, name, target, log, watch=lambda connection: None):
        self.name = name
        self.target = target
        self.log = log
        self.watch = watch
        self.shape = Shape()
        self.connections = set()
        self._count = 0
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]

    async def serve(self):
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(self._listener)
            near.setblocking(False)
            self._count += 1
            asyncio.ensure_future(
                self._one(Connection(self, near, self._count)))

    async def _one(self, connection):
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)

    def reset(self, how):
        for connection in list(self.connections):
            connection.break_(how, "cut")
