"""Messages of a PostgreSQL connection, cut out of the bytes passing by."""

import struct

KEEP = 400  # bytes of a message that are looked at

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104

COMMIT = struct.Struct(">BQQ")
STATUS = struct.Struct(">QQQQB")
KEEPALIVE = struct.Struct(">QQB")
BEGIN_FINAL = struct.Struct(">Q")


class Framer:
    """Calls on_message(type, body) for each; body may be cut short."""

    def __init__(self, on_message):
        self._on_message = on_message
        self._rest = b""
        self._skip = 0

    @property
    def at_boundary(self):
        return not self._rest and not self._skip

    def feed(self, data):
        if self._skip:
            step = min(self._skip, len(data))
            self._skip -= step
            data = data[step:]
        data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 5:
            length = 1 + int.from_bytes(data[at + 1:at + 5], "big")
            if end - at < min(length, KEEP):
                break
            self._on_message(data[at:at + 1],
                             data[at + 5:at + min(length, KEEP)])
            at += length
        if at > end:
            self._skip, at = at - end, end
        self._rest = data[at:]


class Startup:
    """What the client says before its messages have a type."""

    def __init__(self):
        self.done = False
        self.answers = 0  # single bytes the server owes
        self._rest = b""

    def feed(self, data):
        """Returns what follows the start-up packets."""
        data = self._rest + data
        while not self.done and len(data) >= 8:
            length, code = struct.unpack_from(">II", data)
            if len(data) < length:
                break
            if code in (SSL_REQUEST, GSS_REQUEST):
                self.answers += 1
            else:
                self.done = True
            data = data[length:]
        if self.done:
            return data
        self._rest = data
        return b""


class Watcher:
    """Logs what matters of one replication connection."""

    def __init__(self, log):
        self._log = log
        self._startup = Startup()
        self._up = Framer(self._from_client)
        self._down = Framer(self._from_server)
        self.streaming = False

    def up(self, data):
        if not self._startup.done:
            data = self._startup.feed(data)
        if data:
            self._up.feed(data)

    def down(self, data):
        if self._startup.answers:
            skip = min(self._startup.answers, len(data))
            self._startup.answers -= skip
            data = data[skip:]
        self._down.feed(data)

    @property
    def down_at_boundary(self):
        return self._down.at_boundary

    def _from_client(self, kind, body):
        if kind == b"d" and body[:1] == b"r":
            write, flush, apply, _, reply = STATUS.unpack_from(body, 1)
            self._log("status", f"{write:X}", f"{flush:X}", f"{apply:X}",
                      reply)
        elif kind == b"Q" and body.startswith(b"START_REPLICATION"):
            lsn = body.split(b" LOGICAL ")[1].split(b" ")[0].decode()
            high, low = lsn.split("/")
            self._log("start", f"{int(high, 16) << 32 | int(low, 16):X}")
        elif kind == b"c":
            self.streaming = False
            self._log("copydone")

    def _from_server(self, kind, body):
        if kind == b"d":
            self._copy_data(body)
        elif kind == b"W":
            self.streaming = True
            self._log("streaming")
        elif kind == b"E":
            fields = dict((f[:1], f[1:]) for f in body.split(b"\0"))
            self._log("error", fields.get(b"C", b"").decode(),
                      fields.get(b"M", b"").decode(errors="replace"))

    def _copy_data(self, body):
        if body[:1] == b"k":
            end, _, reply = KEEPALIVE.unpack_from(body, 1)
            self._log("keepalive", f"{end:X}", reply)
        elif body[25:26] == b"C":
            _, commit, end = COMMIT.unpack_from(body, 26)
            self._log("commit", f"{commit:X}", f"{end:X}")
