"""A walsender of fakepg: answers what walstream asks, then plays a stream.

The messages of pgoutput below are those of protocol version 1.
"""

import struct
import threading

import fakepg
from fakepg import cstring

BASE = 0x1000000  # where the slot is confirmed at first
STEP = 0x1000
OID = 16384


def begin(commit_lsn, xid=700, at=0):
    return b"B" + struct.pack(">QqI", commit_lsn, at, xid)


def commit(commit_lsn, end_lsn, at=0, flags=0):
    return b"C" + struct.pack(">BQQq", flags, commit_lsn, end_lsn, at)


def relation(oid=OID, schema="public", name="t", identity="d",
             columns=(("id", 23, 1), ("v", 25, 0)), count=None):
    """columns: name, type OID, flags."""
    body = struct.pack(">I", oid) + cstring(schema) + cstring(name)
    body += identity.encode()
    body += struct.pack(">H", len(columns) if count is None else count)
    for column, of_type, flags in columns:
        body += struct.pack(">B", flags) + cstring(column)
        body += struct.pack(">Ii", of_type, -1)
    return b"R" + body


def values(*columns, count=None):
    """A tuple; a column that is None is NULL."""
    body = struct.pack(">H", len(columns) if count is None else count)
    for column in columns:
        if column is None:
            body += b"n"
        else:
            text = str(column).encode()
            body += b"t" + struct.pack(">I", len(text)) + text
    return body


def insert(row, oid=OID):
    return b"I" + struct.pack(">I", oid) + b"N" + row


def update(row, old=b"", oid=OID):
    """old: 'K' or 'O' and a tuple, if there is to be one."""
    return b"U" + struct.pack(">I", oid) + old + b"N" + row


def delete(row, oid=OID, kind=b"K"):
    return b"D" + struct.pack(">I", oid) + kind + row


def truncate(*oids, count=None, flags=0):
    return b"T" + struct.pack(
        ">IB", len(oids) if count is None else count, flags) \
        + b"".join(struct.pack(">I", oid) for oid in oids)


def logical_message(lsn, prefix=b"p\0", content=b"c", flags=0, length=None):
    return b"M" + struct.pack(">BQ", flags, lsn) + prefix + struct.pack(
        ">I", len(content) if length is None else length) + content


def place(n):
    """Commit LSN and end LSN of the transaction with row n."""
    return BASE + n * STEP, BASE + n * STEP + 0x40


def sent(*parts, lsn=BASE):
    """Messages of pgoutput as they go over the wire."""
    return b"".join(fakepg.xlog_data(lsn, lsn, part) for part in parts)


def parts_of(n):
    commit_lsn, end_lsn = place(n)
    return [begin(commit_lsn), relation(), insert(values(n, "x")),
            commit(commit_lsn, end_lsn)]


def transaction(n):
    """Commits the row with the id n, as bytes on the wire."""
    return sent(*parts_of(n))


class Backend:
    """A script of fakepg.Fake, of all the connections of a walstream.

    streams: functions of a Connection, played after START_REPLICATION; the
    first the first time, and so on; the last also all times after that. What
    is confirmed is where the slot is.
    """

    def __init__(self, *streams, login=fakepg.Connection.login,
                 wal_sender_timeout="60000"):
        self.streams = streams or (fakepg.Connection.hold,)
        self.started = []  # the connections that streamed
        self.confirmed = BASE
        self.lsn_format = "X"  # of the lower half; 19 writes 08X
        self._login = login
        self._lock = threading.Lock()
        self._answers = [
            ("START_REPLICATION", self._stream),
            ("IDENTIFY_SYSTEM", self._identify),
            ("DROP_REPLICATION_SLOT", self._done),
            ("CREATE_REPLICATION_SLOT", self._create),
            ("wal_sender_timeout", lambda c: self._rows(
                c, ("logical", "150000", wal_sender_timeout))),
            ("pg_replication_slots", lambda c: self._rows(
                c, ("logical", "pgoutput", "fake", "t", "f", None,
                    self._text(self.confirmed), "reserved"))),
            ("pg_publication", self._rows),
            ("pg_type", lambda c: self._rows(
                c, ("1", "t"),
                ("23", "integer", ",", "b", "0", "f", None, None, None),
                ("25", "text", ",", "b", "0", "f", None, None, None))),
        ]

    def __call__(self, c):
        self._login(c)
        while True:
            self.answer(c, c.expect("Q").decode())

    def answer(self, c, sql):
        for word, act in self._answers:
            if word in sql:
                act(c)
                return
        raise AssertionError(f"the fake does not know: {sql}")

    def _text(self, lsn):
        return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:{self.lsn_format}}"

    @staticmethod
    def _rows(c, *rows):
        names = [f"c{i}" for i in range(len(rows[0]) if rows else 1)]
        c.send(fakepg.row_description(*names),
               *(fakepg.row(*one) for one in rows),
               fakepg.complete(f"SELECT {len(rows)}"), fakepg.ready())

    def _done(self, c):
        self._rows(c)

    def _identify(self, c):
        end = self._text(BASE + 1000 * STEP)
        self._rows(c, ("7000000000000000001", "1", end, "fake"))

    def _create(self, c):
        self._rows(c, ("slot", self._text(self.confirmed), None, "pgoutput"))

    def _stream(self, c):
        with self._lock:
            number = len(self.started)
            self.started.append(c)
        c.send(fakepg.copy_both())
        self.streams[min(number, len(self.streams) - 1)](c)
        self.copy(c)

    def copy(self, c):
        """Listens until the client ends the COPY, and then ends it, too."""
        while c.message()[0] != "c":
            if c.statuses:
                self.confirmed = max(self.confirmed, c.statuses[-1].flush)
        c.send(fakepg.copy_done(), fakepg.complete("COPY 0"),
               fakepg.complete("START_REPLICATION"), fakepg.ready())
