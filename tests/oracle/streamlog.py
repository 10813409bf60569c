"""What one stream was sent and what it sent, in a file: one write a record.

A record is its kind, the time (CLOCK_MONOTONIC, which all processes share),
and a body. It is in the file when put() returns, so a client that is killed
loses none, at most the one it was writing.
"""

import json
import os
import struct
import time

OPEN = b"O"         # before the call; JSON: client, kind, start
PLACED = b"H"       # the response headers are here
EVENT = b"E"        # a ServerMessage
ACK = b"A"          # before it is sent; u64
LIE = b"L"          # an ack above everything received; u64
HALF_CLOSED = b"C"  # before END_STREAM is sent
LEFT = b"X"         # before the call is cancelled
ENDED = b"Z"        # JSON: code, details

HEAD = struct.Struct("<cdI")
LSN = struct.Struct("<Q")


class Writer:
    def __init__(self, path):
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL
                           | os.O_APPEND, 0o644)

    def put(self, kind, body=b""):
        os.write(self._fd, HEAD.pack(kind, time.monotonic(), len(body)) + body)

    def put_lsn(self, kind, lsn):
        self.put(kind, LSN.pack(lsn))

    def put_json(self, kind, value):
        self.put(kind, json.dumps(value).encode())

    def close(self):
        os.close(self._fd)


def read(path):
    """Yields (kind, time, body); a torn last record is not there."""
    with open(path, "rb") as log:
        data = log.read()
    at = 0
    while at + HEAD.size <= len(data):
        kind, when, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + length > len(data):
            return
        yield kind, when, data[at:at + length]
        at += length
