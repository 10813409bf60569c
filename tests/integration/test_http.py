"""The HTTP listener of --metrics-listen: health, limits, junk."""

import contextlib
import re
import socket
import time

import httpget
from proc import Server, fails
from waiting import SCALE, until

GET = b"GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n"


def statuses(data):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def test_pages(server):
    one = server(*httpget.OPTION)
    assert httpget.get(one, "/healthz").text == "ok\n"
    ready = httpget.get(one, "/readyz?verbose")
    assert (ready.status, ready.text) == (200, "ok\n")
    assert httpget.get(one, "/nothing").status == 404
    assert httpget.get(one, "//healthz").status == 404
    assert httpget.get(one, "/healthz", "POST").status == 405
    head = httpget.get(one, "/healthz", "HEAD")
    assert (head.status, head.text) == (200, "")
    assert head.getheader("Content-Length") == "3"


def test_off_by_default(server):
    assert not server().logged("http.listening")


def test_ipv6(server):
    one = server("--metrics-listen", "[::1]:0")
    assert httpget.address(one)[0] == "::1"
    assert httpget.get(one, "/healthz").status == 200


def test_bad_address(db):
    for wrong in "9090:", "127.0.0.1", "127.0.0.1:x", "[::1]", "h:65536":
        fails("-c", db.conninfo(), "start", "pub", "slot", "--port", "0",
              "--metrics-listen", wrong, code=2,
              naming=["--metrics-listen", wrong])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fails("-c", db.conninfo(), "start", "pub", "slot", "--port", "0",
              "--metrics-listen", f"127.0.0.1:{port}", code=1,
              naming=["cannot listen", str(port)])


def test_before_postgresql():
    """It serves before PostgreSQL was reached, and says why nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = Server("-c", f"host=127.0.0.1 port={silent.getsockname()[1]}"
                     " user=u dbname=d", "start", "p", "s", "--port", "0",
                     *httpget.OPTION)
        try:
            assert httpget.get(one, "/healthz").status == 200
            ready = httpget.get(one, "/readyz")
            assert (ready.status, ready.text) == (
                503, "not ready: connecting to PostgreSQL\n")
        finally:
            one.finish()


def test_while_postgresql_is_away(db, server, client, role):
    """Ready again by itself; meanwhile the reason is told."""
    one = server(*httpget.OPTION, connection=db.conninfo(user=role))
    client(one)
    with db.locked_out(role):
        def away():
            page = httpget.get(one, "/readyz")
            return page.status == 503 and role in page.text and page
        page = until(away, 20, "it not to be ready")
        assert page.text.startswith("not ready: ")
        assert httpget.get(one, "/healthz").status == 200
    until(lambda: httpget.get(one, "/readyz").status == 200, 30,
          "it to be ready again")


def test_while_draining(db, server, client):
    one = server(*httpget.OPTION, drain="5")
    stream = client(one)
    db.fill(1, 1)
    stream.wait_for(1)  # and never acknowledge
    one.child.terminate()
    one.wait_log("server.stopping")
    assert httpget.get(one, "/healthz").status == 200
    ready = httpget.get(one, "/readyz")
    assert (ready.status, ready.text) == (503, "not ready: shutting down\n")


def test_keep_alive_and_pipelining(server):
    """Each answered in its turn; the connection closes when it is told to."""
    one = server(*httpget.OPTION)
    many = GET % (b"/healthz", b"") * 20 + GET % (b"/no", b"") * 3
    said = httpget.exchange(
        one, many + GET % (b"/readyz", b"Connection: close\r\n"))
    assert statuses(said) == [200] * 20 + [404] * 3 + [200]
    assert statuses(httpget.exchange(
        one, b"GET /healthz HTTP/1.0\r\n\r\n" * 2)) == [200]


def test_dripped(server):
    """A request byte by byte, two of them in a row."""
    one = server(*httpget.OPTION)
    data = GET % (b"/healthz", b"") + GET % (b"/", b"Connection: close\r\n")
    with httpget.connect(one) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            sock.send(bytes([byte]))
        assert len(statuses(httpget.read_all(sock))) == 2


def test_half_closed(server):
    """Who has sent all it has to say is answered all the same."""
    one = server(*httpget.OPTION)
    with httpget.connect(one) as sock:
        sock.sendall(GET % (b"/healthz", b"") * 2)
        sock.shutdown(socket.SHUT_WR)
        assert statuses(httpget.read_all(sock)) == [200, 200]


JUNK = {
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": 400,
    b"SSH-2.0-OpenSSH_9.2\r\n": 400,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 505,
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f": 400,
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n" + b"x" * 9: 405,
    b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n" + b"x" * 9: 413,
    b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n": 413,
    b"GET /" + b"a" * 20000: 414,
    b"GET / HTTP/1.1\r\nX: " + b"a" * 20000: 431,
    b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 200: 431,
    b"GET /\x1b[2J HTTP/1.1\r\nHost: h\r\n\r\n": 400,
}


def test_junk(server):
    """One clear status, then the end; and the next is served."""
    one = server(*httpget.OPTION)
    for data, status in JUNK.items():
        assert statuses(httpget.exchange(one, data)) == [status], data[:50]
    assert httpget.get(one, "/healthz").status == 200


def test_slowloris(server):
    """Half requests take every place and no more, and hold nobody up."""
    one = server(*httpget.OPTION)
    before = one.descriptors()
    with contextlib.ExitStack() as stack:
        socks = []
        for number in range(200):
            sock = stack.enter_context(httpget.connect(one))
            sock.sendall((b"GET / HT", b"", b"GET /healthz HTTP/1.1\r\nX:")
                         [number % 3])
            socks.append(sock)
        began = time.monotonic()
        assert httpget.get(one, "/healthz").status == 200
        assert time.monotonic() - began < 2 * SCALE
        assert one.descriptors() <= before + 64
        # and after their time they are gone
        until(lambda: one.descriptors() <= before, 15,
              "half requests to be given up")


def test_answers_not_taken(server):
    """Pages that are asked for and never read cost a bounded amount."""
    one = server(*httpget.OPTION)
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            sock = socket.socket()
            stack.enter_context(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            sock.connect(httpget.address(one))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                for _ in range(100):
                    sock.send(GET % (b"/metrics", b"") * 100)
        assert httpget.get(one, "/healthz").status == 200
        assert one.status("VmRSS") < (100 if SCALE == 1 else 400) * 2 ** 20


def test_pipelining_is_rationed(server):
    """Many who ask without waiting for answers get them all, and hold nobody
    up; who asks like that for ever is hung up on, after an answer."""
    one = server(*httpget.OPTION)
    one.longest_turn = 20 * SCALE
    asked = GET % (b"/metrics", b"") * 50 + GET % (
        b"/metrics", b"Connection: close\r\n")
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(httpget.connect(one)) for _ in range(60)]
        for sock in socks:
            sock.sendall(asked)
        for sock in socks:
            assert statuses(httpget.read_all(sock)) == [200] * 51
    said = httpget.exchange(one, GET % (b"/healthz", b"") * 250)
    assert statuses(said) == [200] * 100
    assert said.count(b"Connection: close") == 1
