"""What is not PostgreSQL, or does not log in as one."""

import struct
import time

import pytest

import fakepg
import proc
from fakecheck import SECRET, lost, refused, start_args, table
from fakewal import Backend, transaction

pytest_plugins = ["fakefixtures"]

TWO = pytest.mark.parametrize("command", ["list", "start"])
HEADER = struct.Struct(">cI")


def command_line(command):
    return [command] if command == "list" else start_args()


def says(data, login=False, after_query=False):
    """A script: the client is sent this, in place of a login or after it."""
    def script(c):
        if login or after_query:
            c.login()
        else:
            c.begin()
        if after_query:
            c.expect("Q")
        c.send(data)
        c.hold()
    return script


OTHERS = {
    "garbage": b"\x00\xff\x17\x80\x00\x01 nothing\r\n" * 20,
    "http_reply": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "tls_alert": bytes.fromhex("15030300020228"),
    "ssh_banner": b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
    "smtp_banner": b"220 mail.example ESMTP\r\n",
    "mysql_greeting": b"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00",
    "redis_error": b"-ERR unknown command\r\n",
    "nul_bytes": bytes(1000),
}


@TWO
@table("P26", OTHERS)
def test_not_postgres(fake, name, command):
    """Somebody else answers: it is said that this is not PostgreSQL."""
    refused(fake(says(OTHERS[name])), "PostgreSQL",
            command=command_line(command))


@table("P26", OTHERS)
def test_not_postgres_any_more(fake, start, attach, name):
    """A stream outlives another server that is there for a while."""
    backend = Backend(lambda c: (c.send(transaction(1)), c.hang_up()),
                      lambda c: c.send(transaction(1), transaction(2)))
    server = fake(backend, says(OTHERS[name]), backend)
    walstream = start(server)
    stream = attach(walstream)
    lost(walstream, "closed")
    lost(walstream, "PostgreSQL", count=2)
    stream.expect(2, 30)
    assert stream.ids() == [1, 2]


@TWO
def test_garbage_without_end(fake, command):
    """P26: no more is read of it than it takes to see what it is."""
    written = []

    def script(c):
        c.begin()
        for _ in range(1000):
            c.send(b"\xff" * 65536)
            written.append(65536)
    refused(fake(script), "PostgreSQL", command=command_line(command))
    assert sum(written) < 20 << 20  # what fits into the sockets' buffers


@pytest.mark.parametrize("command", ["list", "start"],
                         ids=["P26_silence_list", "P26_silence_start"])
def test_silence(fake, command):
    """One who says nothing is waited for as long as connect_timeout says."""
    begin = time.monotonic()
    refused(fake(fakepg.Connection.hold), "timed out", "127.0.0.1",
            command=command_line(command), connect_timeout=2)
    assert 1.5 < time.monotonic() - begin < 20


@pytest.mark.parametrize("command", ["list", "start"],
                         ids=["P26_drip_list", "P26_drip_start"])
def test_login_without_end(fake, command):
    """connect_timeout is of the whole login, not of a byte of it."""
    def script(c):
        c.begin()
        while True:
            c.send(fakepg.notification() if c.sent % 2 else
                   fakepg.auth_ok() if c.sent == 0 else
                   fakepg.parameter("a", "b"))
            time.sleep(0.05)
    refused(fake(script), "timed out", command=command_line(command),
            connect_timeout=2)


@pytest.mark.parametrize("command", ["list", "start"],
                         ids=["P26_eof_list", "P26_eof_start"])
def test_hung_up(fake, command):
    """One who hangs up at once."""
    refused(fake(lambda c: None), "closed", command=command_line(command))


# Lengths that are not true: (type, length that is claimed), and when.

BEFORE = [
    ("R", 0), ("R", 1), ("R", 3), ("R", 2005), ("R", 0x7fffffff),
    ("R", 0x80000000), ("R", 0xffffffff),
    ("E", 0), ("E", 3), ("E", 30005), ("E", 0x7fffffff), ("E", 0x80000000),
    ("N", 3), ("N", 30005), ("N", 0xffffffff), ("v", 3), ("v", 0x7fffffff),
]
AFTER = [
    ("S", 0), ("S", 3), ("S", 30005), ("S", 0x7fffffff), ("K", 30005),
    ("K", 0x80000000), ("Z", 0), ("Z", 30005), ("C", 30005), ("R", 30005),
    ("W", 30005), ("c", 30005), ("E", 3), ("E", 0x7fffffff), ("N", 0),
    ("N", 0xffffffff), ("A", 0x7fffffff), ("T", 0x7fffffff), ("D", 0),
    ("D", 0x7fffffff), ("D", 0xffffffff), ("d", 0x80000000),
    ("d", 0x7fffffff),
]


def names(cases, prefix):
    return [f"{prefix}_{kind}_{length:x}" for kind, length in cases]


@pytest.mark.parametrize("kind, length", BEFORE, ids=names(BEFORE, "P27"))
def test_length_before_login(fake, kind, length):
    """A length no message has: refused at its header."""
    data = fakepg.message(kind, b"x" * 4, length=length)
    refused(fake(says(data)), "length", repr(kind))


@pytest.mark.parametrize("after_query", [False, True],
                         ids=["login", "query"])
@pytest.mark.parametrize("kind, length", AFTER, ids=names(AFTER, "P27"))
def test_length_after_login(fake, kind, length, after_query):
    """As above, once it is known that this is PostgreSQL."""
    def script(c):
        c.begin()
        c.send(fakepg.auth_ok())
        if after_query:
            c.welcome()
            c.expect("Q")
        c.send(fakepg.message(kind, b"x" * 4, length=length))
        c.hold()
    refused(fake(script), "length", repr(kind))


BODIES = {
    "R_short": fakepg.message("R", b"\0\0"),
    "R_empty": fakepg.message("R"),
    "K_first": fakepg.key_data(),
    "Z_first": fakepg.ready(),
    "S_first": fakepg.parameter("a", "b"),
    "D_first": fakepg.row("a"),
}


@table("P27", BODIES)
def test_out_of_turn_before_login(fake, name):
    """Bodies that are too small, and messages that come too early."""
    refused(fake(says(BODIES[name])), "server")


ROWS = {
    "no_count": fakepg.message("D"),
    "one_byte": fakepg.message("D", b"\0"),
    "too_few": fakepg.message("D", b"\0\x05" + b"\xff" * 8),
    "too_many_columns": fakepg.message("D", b"\xff\xff"),
    "past_the_end": fakepg.message("D", b"\0\x01\0\0\0\x09abc"),
    "huge_value": fakepg.message("D", b"\0\x01\x7f\xff\xff\xffabc"),
    "negative_value": fakepg.message("D", b"\0\x01\x80\0\0\0abc"),
    "left_over": fakepg.message("D", b"\0\x01\0\0\0\x01abc"),
}


@TWO
@table("P27_row", ROWS)
def test_rows(fake, name, command):
    """Rows whose inner lengths are wrong, for a command and for start."""
    refused(fake(says(ROWS[name], after_query=True)), "row",
            command=command_line(command))


# Error reports

LONG = "long " * 200000
UGLY = {
    "control": "bell\x07 back\x08 null-ish\x01 del\x7f",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "lines": "one\ntwo\r\nthree\x0b\x0c",
    "c1": b"csi \xc2\x9b31m",
    "not_utf8": b"\xe4\xf6 \x9b31m",
    "formats": "%s%s%n%99999d%%",
}
# What base/log passes on as it is.
ERRORS = {
    "no_nul": fakepg.message("E", b"SFATAL"),
    "no_last_nul": fakepg.message("E", b"SFATAL\0C28000\0Mtext\0"),
    "left_over": fakepg.message("E", b"SFATAL\0Mtext\0\0more"),
    "empty": fakepg.message("E"),
    "no_fields": fakepg.message("E", b"\0"),
    "no_message": fakepg.message("E", b"C28000\0\0"),
    "odd_state": fakepg.message("E", b"Cabcdefghi\0Mtext\0\0"),
    "many_fields": fakepg.message("E", b"Mtext\0" * 4000 + b"\0"),
}


def told(where, data):
    """A script that reports the error there."""
    if where == "login":
        return says(data)
    return says(data, login=True, after_query=True)


@pytest.mark.parametrize("where", ["login", "query"])
@table("P30", ERRORS)
def test_malformed_error(fake, name, where):
    """An error report that is none is an error all the same."""
    refused(fake(told(where, ERRORS[name])))


@pytest.mark.parametrize("where", ["login", "query"])
@pytest.mark.parametrize("field", ["M", "D", "H", "V", "C"])
@table("P30", UGLY)
def test_ugly_error(fake, name, field, where):
    """Nothing in an error report can colour or forge a line."""
    fields = {"V": "FATAL", "C": "28000", "M": "text", field: UGLY[name]}
    data = fakepg.message("E", b"".join(
        code.encode() + fakepg.cstring(text)
        for code, text in fields.items()) + b"\0")
    line = refused(fake(told(where, data)))
    if name == "formats" and field == "M":
        assert UGLY[name] in line


@pytest.mark.parametrize("where, size", [("login", 25000), ("query", 10**6)],
                         ids=["P30_login", "P30_query"])
def test_long_error(fake, where, size):
    """All fields of it are cut, and its SQLSTATE is still told."""
    data = fakepg.error("28000", LONG[:size // 4], D=LONG[:size // 4],
                        H=LONG[:size // 4], W=LONG[:size // 4])
    refused(fake(told(where, data)), "28000", "long long")


def test_longest_error(fake):
    """P30: before authentication libpq takes 30,000 bytes, and so do we."""
    data = fakepg.error("28000", LONG[:10**6])
    refused(fake(says(data)), "length")


@table("P30_notice", UGLY)
def test_ugly_notice(fake, start, name):
    """A notice is logged like that, too; before authentication as well."""
    def login(c):
        c.begin()
        c.send(fakepg.notice("01000", UGLY[name], D=UGLY[name]))
        c.send(fakepg.auth_ok(), fakepg.notice("01000", UGLY[name]))
        c.welcome()
    walstream = start(fake(Backend(login=login)))
    for line in walstream.wait_log("pg.notice", 2):
        assert line.isprintable() and "\N{REPLACEMENT CHARACTER}" not in line
    events = [line.split(" ")[2] for line in walstream.lines]
    assert set(events) <= {"pg.notice:", "pg.ready:", "server.listening:",
                           "pg.scram:", "pg.tls:", "pg.plaintext:"}, events


# NegotiateProtocolVersion

NEGOTIATE = {
    "older": fakepg.negotiate(0),
    "newer": fakepg.negotiate(2),
    "much_newer": fakepg.negotiate(0x7fffffff),
    "option": fakepg.negotiate(0, ["_pq_.something"]),
    "negative_count": fakepg.negotiate(0, count=-1),
    "huge_count": fakepg.negotiate(0, count=0x7fffffff),
    "short": fakepg.message("v", b"\0\0"),
    "empty": fakepg.message("v"),
}


@pytest.mark.parametrize("when", ["login", "authenticated", "query"])
@table("P32", NEGOTIATE)
def test_negotiate(fake, name, when):
    """3.0 was asked for and there is nothing below it: an error."""
    def script(c):
        c.begin()
        if when != "login":
            c.send(fakepg.auth_ok())
        if when == "query":
            c.welcome()
            c.expect("Q")
        c.send(NEGOTIATE[name])
        if when == "login":
            c.send(fakepg.auth_ok())
            c.welcome()
        c.hold()
    line = refused(fake(script), command=command_line("start"))
    assert "protocol" in line or "'v'" in line, line


def test_negotiate_while_listing(fake):
    """P32: for a command, in the place of an answer."""
    server = fake(says(NEGOTIATE["older"], login=True, after_query=True))
    done = proc.run("-c", server.conninfo(), "list", timeout=5)
    assert done.returncode == 1 and "'v'" in done.stderr


def test_negotiate_while_streaming(fake, start, attach):
    """P32: the connection is given up, and the stream goes on."""
    backend = Backend(
        lambda c: c.send(transaction(1), NEGOTIATE["older"]),
        lambda c: c.send(transaction(1), transaction(2)))
    walstream = start(fake(backend))
    stream = attach(walstream)
    lost(walstream, "'v'")
    stream.expect(2, 30)


# Servers that take no connections now

PASSING = {
    "starting_up": ("57P03", "the database system is starting up"),
    "shutting_down": ("57P03", "the database system is shutting down"),
    "too_many": ("53300", "sorry, too many clients already"),
}


@TWO
@table("P4", PASSING)
def test_next_host(fake, start, name, command):
    """The next host is tried."""
    busy = fake(says(fakepg.error(*PASSING[name])))
    well = fake(Backend() if command == "start" else answers_list)
    connection = well.conninfo(host="127.0.0.1,127.0.0.1",
                               port=f"{busy.port},{well.port}")
    if command == "start":
        start(connection)
    else:
        done = proc.run("-c", connection, "list")
        assert done.returncode == 0, done.stderr
    assert len(busy.connections) == 1 and len(well.connections) == 1


@table("P4", PASSING)
def test_waits(fake, start, name):
    """start waits for such a server, and says so; list does not."""
    busy = says(fakepg.error(*PASSING[name]))
    server = fake(busy, busy, busy, Backend())
    walstream = start(server)
    lines = walstream.logged("pg.wait")
    assert len(lines) == 3
    assert all(PASSING[name][0] in line and PASSING[name][1] in line
               for line in lines)
    refused(fake(busy), *PASSING[name])


@table("P4", PASSING)
def test_waits_while_streaming(fake, start, attach, name):
    """Streams stay open meanwhile."""
    backend = Backend(lambda c: (c.send(transaction(1)), c.hang_up()),
                      lambda c: c.send(transaction(1), transaction(2)))
    busy = says(fakepg.error(*PASSING[name]))
    walstream = start(fake(backend, busy, busy, backend))
    stream = attach(walstream)
    lost(walstream, *PASSING[name], count=3)
    stream.expect(2, 30)
    assert stream.ids() == [1, 2]


def answers_list(c):
    c.login()
    c.expect("Q")
    c.send(fakepg.row_description("slot_name"), fakepg.complete("SELECT 0"),
           fakepg.ready())
    c.hold()


def test_secret_is_not_told(fake):
    """What the server says of the password it was given is not our doing, but
    nothing of ours holds it."""
    def script(c):
        c.begin()
        c.send(fakepg.auth_md5())
        c.expect("p")
        c.send(fakepg.error("28P01", "password authentication failed"))
        c.hold()
    refused(fake(script), "28P01", password=SECRET)
