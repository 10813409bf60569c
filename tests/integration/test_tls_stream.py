"""Streaming from a PostgreSQL over TLS."""

import ssl
import socket
import struct
import threading

import pytest

from proc import run
from waiting import until


@pytest.fixture(scope="session")
def pg(tls):
    """The server of these tests; sslmode is prefer, so it is TLS."""
    return tls


@pytest.fixture(autouse=True)
def good(tls):
    tls.serve(tls.good)


def test_encrypted(db, server, client):
    """It is TLS, and the log says so."""
    walstream = server()
    client(walstream)
    pid = db.wait_walsender()
    version, = db.sql("SELECT version FROM pg_stat_ssl WHERE pid = %s AND ssl",
                      (pid,))[0]
    assert f", {version}, " in walstream.wait_log("pg.ready")[0]
    assert walstream.logged("pg.plaintext") == []


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_rows(db, server, client, version):
    """Many rows, small and of more bytes than a record or a read has."""
    stream = client(server(connection=db.conninfo(
        sslmode="require", ssl_min_protocol_version=version,
        ssl_max_protocol_version=version)))
    db.fill(1, 20000)
    for size in (16383, 16384, 16385, 131072, 1 << 20, 10 << 20):
        db.sql("INSERT INTO t SELECT max(id) + 1, repeat('x', %s) FROM t",
               (size,))
    stream.expect(20006, timeout=60)
    assert stream.ids() == list(range(1, 20007))
    stream.ack(stream.events[-1].pg_lsn)
    db.wait_confirmed(stream.events[-1].pg_lsn)


def test_backpressure(db, server, client):
    """What is not read for a while is not lost in OpenSSL's buffers."""
    walstream = server("--buffer-size", "256KiB")
    stream = client(walstream, held=True)
    db.sql("INSERT INTO t SELECT i, repeat('x', 3000) FROM"
           " generate_series(1, 10000) i")
    db.wait_stalled()
    stream.release()
    stream.expect(10000, timeout=60)
    assert stream.ids() == list(range(1, 10001))


@pytest.mark.files
def test_certificate_is_replaced(tls, db, server, client):
    """P34: a session goes on; the next connect is judged anew."""
    walstream = server(connection=db.conninfo(
        host="db.test", hostaddr="127.0.0.1", sslmode="verify-full",
        sslrootcert=tls.certs.root.crt))
    stream = client(walstream)
    db.fill(1, 1)
    stream.expect(1)
    tls.serve(tls.certs.issue("late", "db.test", by=tls.certs.root,
                              days=(-9, -1)))
    db.fill(2, 2)
    stream.expect(2)
    db.terminate_walsender()
    until(lambda: "certificate has expired" in walstream.text(), 20,
          "the expired certificate to be refused")
    tls.serve(tls.good)
    db.fill(3, 3)
    stream.expect(3)
    assert stream.ids() == [1, 2, 3]


class Listener:
    """Takes SSLRequest and a ClientHello, and keeps the name in it."""

    def __init__(self, certs):
        self.names = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certs.crt, certs.key)
        self._context.sni_callback = lambda _, name, __: self.names.append(
            name)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(10)
                assert struct.unpack("!ii", peer.recv(8)) == (8, 80877103)
                peer.sendall(b"S")
                try:
                    self._context.wrap_socket(peer, server_side=True).close()
                except OSError:
                    pass

    def close(self):
        self._socket.close()


@pytest.mark.parametrize("host, more, name", [
    ("db.test", "", "db.test"), ("db.test", "sslsni=0", None),
    ("127.0.0.1", "", None), ("::1", "", None)])
def test_sni(tls, host, more, name):
    """The name that was asked for, unless it is an address."""
    listener = Listener(tls.good)
    try:
        run("-c", f"host={host} hostaddr=127.0.0.1 port={listener.port}"
            f" user=u dbname=d sslmode=require {more}", "list")
        assert listener.names == [name]
    finally:
        listener.close()
