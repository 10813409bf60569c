"""What start refuses, and with which words; odd but right names."""

import re
import socket
import threading
import time

import pytest

from pgserver import PgServer, free_port
from proc import fails


def start(db, publication="pub", slot=None, connection=None,
          host="127.0.0.1", port="0", temporary="false"):
    """A start command, of a permanent slot unless said otherwise."""
    return ["-c", connection or db.conninfo(), "start", "--publication",
            publication, "--slot", slot or db.slot, "--host", host,
            "--port", port, "--temporary", temporary]


@pytest.mark.parametrize("slot", [
    'quo"te', "quo'te", "Upper", "with space", "semi;colon", "dash-ed", "é",
    "x" * 64])
def test_bad_slot_name(db, slot):
    """A name PostgreSQL would refuse or fold is refused first, with 2."""
    fails(*start(db, slot=slot), naming=[slot[:63]], code=2)
    assert db.slots() == []


@pytest.mark.parametrize("name", [
    'My, "odd" pub\'s', "UPPER", "with space", "comma,comma", "back\\slash",
    "é", "sem;i", "x" * 63])
def test_publication_name(db, server, client, name):
    """Any publication name works."""
    quoted = name.replace('"', '""')
    db.sql(f'CREATE PUBLICATION "{quoted}" FOR TABLE t')
    stream = client(server(publication=name))
    db.fill(1, 1)
    stream.expect(1)


def test_missing_publication(db):
    """A missing publication is named; no slot is left behind."""
    fails(*start(db, publication="absent"), naming=["absent"], code=1)
    assert db.slots() == []


def test_publication_name_is_not_sql(db):
    """A publication name cannot be anything else."""
    db.sql("CREATE TABLE victim ()")
    name = "x'; DROP TABLE victim; --"
    fails(*start(db, publication=name), naming=[name], code=1)
    assert db.one("SELECT to_regclass('victim')") == "victim"


def test_wal_level():
    """wal_level=replica is named."""
    pg = PgServer(wal_level="replica")
    try:
        with pg.connect("postgres") as admin:
            admin.execute("CREATE PUBLICATION pub")
        fails("-c", f"host=127.0.0.1 port={pg.port} user=postgres", "start",
              "pub", "s", "-p", "0", "-t", "false", naming=["wal_level"],
              code=1)
    finally:
        pg.remove()


@pytest.mark.parametrize("temporary", ["true", "false"])
def test_port_in_use(db, temporary):
    """A port in use is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        fails(*start(db, port=port, temporary=temporary), naming=[port],
              code=1)


def test_host_that_is_not_ours(db):
    """A host that cannot be listened on is named."""
    fails(*start(db, host="203.0.113.1"), naming=["203.0.113.1"], code=1)


def test_unreachable(db):
    """PostgreSQL not there: the place is named."""
    port = free_port()
    fails(*start(db, connection=f"host=127.0.0.1 port={port} user=u dbname=d"),
          naming=["127.0.0.1", str(port)], code=1)


def test_no_socket(db, tmp_path):
    """A Unix socket that is not there: the path is named."""
    place = str(tmp_path)[:60]
    fails(*start(db, connection=f"host={place} port=5432 user=u dbname=d"),
          naming=[place], code=1)


def test_silent_peer(db):
    """connect_timeout bounds a peer that accepts and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        begin = time.monotonic()
        fails(*start(db, connection=f"host=127.0.0.1 port={port} user=u"
                     " dbname=d connect_timeout=2"), naming=[str(port)],
              code=1)
        assert time.monotonic() - begin < 10


def test_not_postgres(db):
    """A peer that speaks something else is refused."""
    with socket.socket() as peer:
        peer.bind(("127.0.0.1", 0))
        peer.listen()
        port = peer.getsockname()[1]

        def answer():
            conn, _ = peer.accept()
            with conn:
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                conn.settimeout(10)
                try:
                    while conn.recv(4096):
                        pass
                except OSError:
                    pass
        threading.Thread(target=answer, daemon=True).start()
        fails(*start(db, connection=f"host=127.0.0.1 port={port} user=u"
                     " dbname=d connect_timeout=5"), code=1)


def test_unknown_database(db):
    """A database that is not there is named."""
    fails(*start(db, connection=db.conninfo(dbname="nowhere")),
          naming=["nowhere", "3D000"], code=1)


def test_role_without_right(db):
    """A role that may not replicate is refused."""
    db.sql(f"CREATE ROLE {db.name}_r LOGIN")
    try:
        fails(*start(db, connection=db.conninfo(user=db.name + "_r")), code=1)
    finally:
        db.sql(f"DROP ROLE {db.name}_r")


@pytest.mark.parametrize("temporary", ["true", "false"])
def test_other_plugin(db, temporary):
    """A slot of another plugin is refused, and stays."""
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')",
           (db.slot,))
    line = fails(*start(db, temporary=temporary), naming=[db.slot], code=1)
    if temporary == "false":
        assert "test_decoding" in line
    assert db.slots() == [db.slot]


def test_physical_slot(db):
    """A physical slot is refused, and stays."""
    db.sql("SELECT pg_create_physical_replication_slot(%s)", (db.slot,))
    fails(*start(db), naming=[db.slot, "physical"], code=1)
    assert db.slots() == [db.slot]


def test_slot_of_other_database(pg, db):
    """A slot of another database is refused; that database is named."""
    with pg.connect("postgres") as other:
        other.execute("SELECT pg_create_logical_replication_slot("
                      "%s, 'pgoutput')", (db.slot,))
    fails(*start(db), naming=[db.slot, "postgres"], code=1)
    assert db.slots() == [db.slot]


def test_permanent_slot_asked_as_temporary(db):
    """An existing permanent slot is not taken for a temporary one."""
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (db.slot,))
    fails(*start(db, temporary="true"), naming=[db.slot], code=1)
    assert db.slots() == [db.slot]


def test_existing_slot(db, server, client):
    """A permanent slot made by somebody else is used from where it is."""
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (db.slot,))
    db.fill(1, 3)
    stream = client(server())
    stream.expect(3)
    assert stream.ids() == [1, 2, 3]


def test_error_is_escaped(db):
    """What a name holds cannot forge or colour a line."""
    name = "a\x1b[31mb\nc"
    line = fails(*start(db, publication=name), code=1)
    assert "\x1b" not in line
    assert re.search(r"a\\x1b\[31mb", line)


def test_listening_line(db, server):
    """The line says where it listens, in the format of the log."""
    walstream = server()
    line = walstream.logged("server.listening")[0]
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info server\.listening:"
        rf" listening on 127\.0\.0\.1:{walstream.port}", line)


def test_replication_line(server, client):
    """replication.started is logged once a client is there."""
    walstream = server()
    client(walstream)
    walstream.wait_log("replication.started")
