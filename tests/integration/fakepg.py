"""A PostgreSQL server that says what a test's script tells it to.

A script is a function that is given a Connection, and runs in a thread of its
own; the functions below make the messages that it sends.
"""

import collections
import contextlib
import os
import socket
import ssl
import struct
import threading

from waiting import SCALE, until

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
PROTOCOL_3_0 = 3 << 16
PATIENCE = 30 * SCALE  # for what the client is to say next

Status = collections.namedtuple("Status", "write flush apply time reply")


# What a backend sends

def message(kind, body=b"", length=None):
    """length: what is claimed, when that is not the truth."""
    if length is None:
        length = len(body) + 4
    return kind.encode("latin-1") + struct.pack(">I", length) + body


def cstring(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def auth(code, body=b""):
    return message("R", struct.pack(">I", code) + body)


def auth_ok():
    return auth(0)


def auth_cleartext():
    return auth(3)


def auth_md5(salt=b"salt"):
    return auth(5, salt)


def auth_sasl(*mechanisms):
    return auth(10, b"".join(map(cstring, mechanisms)) + b"\0")


def auth_sasl_continue(data):
    return auth(11, data)


def auth_sasl_final(data):
    return auth(12, data)


def parameter(name, value):
    return message("S", cstring(name) + cstring(value))


def key_data(pid=1, secret=2):
    return message("K", struct.pack(">II", pid, secret))


def ready(status=b"I"):
    return message("Z", status)


def row_description(*names):
    body = struct.pack(">H", len(names))
    for name in names:
        body += cstring(name) + struct.pack(">IHIhiH", 0, 0, 25, -1, -1, 0)
    return message("T", body)


def row(*values):
    body = struct.pack(">H", len(values))
    for value in values:
        if value is None:
            body += struct.pack(">i", -1)
        else:
            body += struct.pack(">i", len(value.encode())) + value.encode()
    return message("D", body)


def complete(tag):
    return message("C", cstring(tag))


def _fields(kind, severity, sqlstate, text, more):
    pairs = [("S", severity), ("V", severity), ("C", sqlstate), ("M", text)]
    return message(kind, b"".join(
        code.encode() + cstring(value)
        for code, value in [*pairs, *more.items()]) + b"\0")


def error(sqlstate, text, severity="FATAL", **more):
    """more: other fields by their letter, D (detail) and H (hint) say."""
    return _fields("E", severity, sqlstate, text, more)


def notice(sqlstate, text, severity="WARNING", **more):
    return _fields("N", severity, sqlstate, text, more)


def notification(channel="c", payload="p", pid=1):
    return message("A", struct.pack(">I", pid) + cstring(channel)
                   + cstring(payload))


def negotiate(minor, options=(), count=None):
    """NegotiateProtocolVersion; count: what is claimed."""
    count = len(options) if count is None else count
    return message("v", struct.pack(">Ii", minor, count)
                   + b"".join(map(cstring, options)))


def copy_both():
    return message("W", b"\0\0\0")


def copy_data(body):
    return message("d", body)


def copy_done():
    return message("c")


def xlog_data(start, end, data, at=0):
    return copy_data(b"w" + struct.pack(">QQq", start, end, at) + data)


def keepalive(end, reply=False, at=0):
    return copy_data(b"k" + struct.pack(">QqB", end, at, reply))


class Gone(Exception):
    """The client hung up."""


class Connection:
    """A client's connection, and all that it has sent.

    clear: what came before TLS began, and inner: what came inside it, as
    bytes. startup: the parameters of the startup packet, or None. messages:
    (type, body) of those after it. statuses: the standby status updates among
    them. limit: after how many bytes in all the connection is cut.
    """

    def __init__(self, sock, number):
        self.sock = sock
        self.number = number
        self.clear, self.inner = bytearray(), bytearray()
        self.requests = []  # codes of the untyped packets
        self.startup = None
        self.messages = []
        self.tls = False
        self.limit = None
        self.sent = 0
        sock.settimeout(PATIENCE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def received(self):
        return bytes(self.clear + self.inner)

    @property
    def statuses(self):
        return [Status(*struct.unpack(">QQQqB", body[1:]))
                for kind, body in list(self.messages)
                if kind == "d" and body[:1] == b"r"]

    def queries(self):
        return [body[:-1].decode() for kind, body in list(self.messages)
                if kind == "Q"]

    # To the client

    def send(self, *data):
        data = b"".join(data)
        if self.limit is not None:
            data = data[:max(0, self.limit - self.sent)]
        try:
            self.sock.sendall(data)
        except ConnectionError as why:
            raise Gone from why
        self.sent += len(data)
        if self.limit is not None and self.sent >= self.limit:
            raise Gone

    def start_tls(self, context):
        """From here on inside TLS. A handshake that the client breaks off is
        as good as its hanging up."""
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True)
        except (ssl.SSLError, ConnectionError) as why:
            raise Gone from why
        self.tls = True

    # From the client

    def _recv(self, n):
        try:
            data = self.sock.recv(n)
        except ConnectionError as why:
            raise Gone from why
        if not data:
            raise Gone
        (self.inner if self.tls else self.clear).extend(data)
        return data

    def read(self, n):
        data = b""
        while len(data) < n:
            data += self._recv(n - len(data))
        return data

    def request(self):
        """Reads an untyped packet: its code, after a startup packet 3.0."""
        length, code = struct.unpack(">II", self.read(8))
        body = self.read(length - 8)
        self.requests.append(code)
        if code == PROTOCOL_3_0:
            words = body.rstrip(b"\0").decode().split("\0")
            # A value may be empty, and the last one then is cut off.
            words += [""] * (len(words) % 2)
            self.startup = dict(zip(words[::2], words[1::2]))
        return code

    def message(self):
        """Reads a message: its type and body."""
        kind, length = struct.unpack(">cI", self.read(5))
        one = kind.decode("latin-1"), self.read(length - 4)
        self.messages.append(one)
        if one[0] == "X":
            raise Gone
        return one

    def expect(self, kind):
        """Reads a message that must be of this type: its body."""
        got, body = self.message()
        assert got == kind, f"the client sent {got!r} {body!r}, not {kind}"
        return body

    def hold(self):
        """Says no more, and listens until the client hangs up."""
        self.sock.settimeout(None)
        while True:
            self._recv(65536)

    def close(self):
        """Hangs up; what is not read yet does not make that a reset."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(1)
            while self.sock.recv(65536):
                pass
        self.sock.close()

    def hang_up(self):
        """Ends the script, too."""
        raise Gone

    # What most scripts begin with

    def begin(self):
        """Reads up to the startup packet; there is no TLS here."""
        while self.request() != PROTOCOL_3_0:
            self.send(b"N")

    def welcome(self):
        """What follows authentication."""
        self.send(parameter("server_version", "15.0"),
                  parameter("client_encoding", "UTF8"),
                  parameter("in_hot_standby", "off"),
                  parameter("default_transaction_read_only", "off"),
                  key_data(), ready())

    def login(self):
        self.begin()
        self.send(auth_ok())
        self.welcome()


class Fake:
    """Listens; each connection is played the next of the scripts, those that
    follow the last one.

    port: on 127.0.0.1. unix: the directory of a Unix socket instead.
    """

    def __init__(self, *scripts, unix=None):
        self.scripts = list(scripts)
        self.connections = []
        self.problems = []
        self.unix = unix
        self.port = 5432
        self._threads = []
        self._closing = False
        if unix is None:
            self._listener = socket.create_server(("127.0.0.1", 0),
                                                  backlog=200)
            self.port = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(os.path.join(unix, ".s.PGSQL.5432"))
            self._listener.listen()
        self._spawn(self._accept)

    def _spawn(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number = len(self.connections)
            one = Connection(sock, number)
            self.connections.append(one)
            self._spawn(self._play, one, self.script(number))

    def script(self, number):
        return self.scripts[min(number, len(self.scripts) - 1)]

    def _play(self, one, script):
        try:
            with contextlib.closing(one):
                script(one)
        except Gone:
            pass
        except Exception as problem:  # reported by close(), of any kind
            if not self._closing:
                self.problems.append(problem)

    def conninfo(self, **more):
        words = {"host": self.unix or "127.0.0.1", "port": self.port,
                 "user": "fake", "dbname": "fake", "sslmode": "disable",
                 "connect_timeout": PATIENCE, **more}
        return " ".join(f"{name}='{value}'" for name, value in words.items()
                        if value is not None)

    def wait_connection(self, number, timeout=30):
        """The connection with this number, counted from 0."""
        until(lambda: len(self.connections) > number, timeout,
              f"connection {number}")
        return self.connections[number]

    def close(self):
        """Ends all; fails if a script met what it did not expect."""
        self._closing = True
        if self.unix is not None:
            os.unlink(self._listener.getsockname())
        for sock in [self._listener, *(c.sock for c in self.connections)]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)
        if self.problems:
            raise self.problems[0]
