"""Databases in other encodings, and what cannot be converted to UTF-8."""

import grpc
import pytest

from client import METHOD
from database import Database

pytest_plugins = ["subscriber"]

TEXTS = {"LATIN1": "é ß", "LATIN9": "€", "WIN1251": "Жук", "EUC_JP": "漢字",
         "EUC_KR": "한국", "EUC_JIS_2004": "漢字", "SQL_ASCII": "é 漢字"}

# What cannot be converted, and what PostgreSQL says of it.
POISON = {
    "SQL_ASCII": (r"\xff", 'invalid byte sequence for encoding "UTF8": 0xff'),
    "WIN1253": (r"\xd2", 'character with byte sequence 0xd2 in encoding'
                         ' "WIN1253" has no equivalent in encoding "UTF8"'),
}


@pytest.fixture
def encoded(pg, db):
    """Makes a database in an encoding."""
    made = []

    def make(encoding):
        name = f"{db.name}_{len(made)}"
        made.append(Database(pg, name, f"TEMPLATE template0 ENCODING"
                             f" '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"))
        return made[-1]

    yield make
    for one in made:
        one.drop()


@pytest.fixture(params=POISON)
def poisoned(request, encoded):
    """A database of an encoding, its poison, and the words of PostgreSQL."""
    return (encoded(request.param),) + POISON[request.param]


def serve(server, db, *options):
    return server(*options, connection=db.conninfo(), slot=db.slot)


def insert_poison(db, literal, key=666):
    db.sql(f"INSERT INTO t VALUES ({key}, E'{literal}')")


@pytest.mark.parametrize("encoding", TEXTS)
def test_everything_in_utf8(encoded, server, subscribe, encoding):
    """Values, names, keys and messages come in UTF-8."""
    db, text = encoded(encoding), TEXTS[encoding]
    db.sql(f'CREATE SCHEMA "{text}"')
    db.sql(f"CREATE TYPE \"m{text}\" AS ENUM ('{text}')")
    db.sql(f'CREATE TABLE "{text}"."{text}" (id text PRIMARY KEY,'
           f' "{text}" "m{text}")')
    db.publish(f'"{text}"."{text}"')
    stream = subscribe(serve(server, db, "--messages"), relations=True,
                       messages=["*"])
    db.transaction(f"SELECT pg_logical_emit_message(true, '{text}', '')",
                   f"INSERT INTO \"{text}\".\"{text}\" VALUES ('{text}',"
                   f" '{text}')",
                   f"UPDATE \"{text}\".\"{text}\" SET id = 'x'")
    stream.transactions(1)
    insert, update = stream.rows()
    assert (insert.schema, insert.table) == (text, text)
    assert insert.json_payload == f'{{"id":"{text}","{text}":"{text}"}}'
    assert update.old_json_payload == f'{{"id":"{text}"}}'
    relation, = stream.of("relation")
    assert (relation.schema, relation.columns[1].name) == (text, text)
    assert text in relation.columns[1].type_name
    assert stream.of("message")[0].prefix == text


def test_values(encoded, server, client):
    """Values of a LATIN1 database: every character it has."""
    db = encoded("LATIN1")
    stream = client(serve(server, db))
    text = "".join(map(chr, [*range(32, 127), *range(160, 256)]))
    db.sql("INSERT INTO t VALUES (1, %s)", (text,))
    stream.expect(1)
    assert stream.events[0].payload == db.printed("t")


def test_settings(db, server, client):
    """The database's own client_encoding changes nothing."""
    db.set("client_encoding", "LATIN1")
    stream = client(server())
    db.sql("INSERT INTO t VALUES (1, '漢字')")
    stream.expect(1)
    assert stream.events[0].payload == '{"id":1,"v":"漢字"}'


def test_unconvertible(poisoned, server, subscribe):
    """What PostgreSQL cannot convert ends all streams with its words, after
    all that was committed before; the log has them, too."""
    db, literal, words = poisoned
    walstream = serve(server, db)
    streams = [subscribe(walstream),
               subscribe(walstream, begin=False, method=METHOD)]
    db.fill(1, 3)
    insert_poison(db, literal)
    db.fill(4, 6)
    for stream in streams:
        assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
        assert words in stream.details
        assert stream.ids() == [1, 2, 3]
    assert streams[0].ops()[-1] == "commit"
    assert words in walstream.wait_log("server.streams_ended")[0]


def test_slot_stays(poisoned, server, subscribe):
    """The slot does not pass it; who comes later gets the same again."""
    db, literal, words = poisoned
    walstream = serve(server, db)
    stream = subscribe(walstream)
    db.fill(1, 3)
    first, = stream.transactions(1)
    stream.ack(first.commit.pg_lsn)
    db.wait_confirmed_is(first.commit.pg_lsn)
    db.fill(4, 6)
    db.transaction("INSERT INTO t VALUES (7, '')",
                   f"INSERT INTO t VALUES (666, E'{literal}')",
                   "INSERT INTO t VALUES (8, '')")
    db.fill(9, 11)
    end = db.unrelated_wal()
    assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
    for _ in range(2):
        late = subscribe(walstream, wait=False)
        assert late.ended() == grpc.StatusCode.FAILED_PRECONDITION
        assert words in late.details
        assert [i for i in late.ids() if i < 7] == [4, 5, 6]
        assert not {9, 10, 11} & set(late.ids())
        assert len(late.of("commit")) == 1
    assert first.commit.pg_lsn <= db.confirmed() < end
    assert db.confirmed() <= stream.of("commit")[-1].pg_lsn


def test_backlog(poisoned, server, subscribe):
    """All that was committed before it is delivered first, however much that
    is and however slowly it is taken."""
    db, literal, words = poisoned
    walstream = serve(server, db)
    for first in range(0, 20000, 2000):
        db.fill(first, first + 1999, 500)
    insert_poison(db, literal, 99999)
    streams = [subscribe(walstream, held=True), subscribe(walstream),
               subscribe(walstream, batch=True)]
    for stream in streams:
        stream.release()
        assert stream.ended(30) == grpc.StatusCode.FAILED_PRECONDITION
        assert words in stream.details
        assert stream.ids() == list(range(20000))
        assert len(stream.of("commit")) == 10


def test_past_it(poisoned, server, subscribe):
    """Once somebody has moved the slot past it by hand, all goes on."""
    db, literal, _ = poisoned
    walstream = serve(server, db)
    stream = subscribe(walstream)
    insert_poison(db, literal)
    assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
    assert walstream.stop() == 0
    db.wait_inactive()
    db.sql("SELECT pg_replication_slot_advance(%s,"
           " pg_current_wal_flush_lsn())", (db.slot,))
    again = subscribe(serve(server, db))
    db.fill(7, 9)
    again.transactions(1)
    assert again.ids() == [7, 8, 9]


def test_not_published(poisoned, server, subscribe):
    """What is not published, or not by this column list, harms nobody."""
    db, literal, _ = poisoned
    db.needs(15, "column lists")
    db.sql("CREATE TABLE c (id int PRIMARY KEY, v text)")
    db.sql("ALTER PUBLICATION pub ADD TABLE c (id)")
    stream = subscribe(serve(server, db))
    db.sql(f"INSERT INTO other (v) VALUES (E'{literal}')")
    db.sql(f"INSERT INTO c VALUES (1, E'{literal}')")
    db.fill(2, 2)
    stream.transactions(2)
    assert stream.ids() == [1, 2]


def test_one_attempt(poisoned, server, subscribe):
    """It is tried once for a stream, not over and over again; walstream
    stays."""
    db, literal, words = poisoned
    walstream = serve(server, db)
    stream = subscribe(walstream)
    insert_poison(db, literal)
    assert stream.ended() == grpc.StatusCode.FAILED_PRECONDITION
    db.wait_inactive()
    walstream.wait_log("server.streams_ended")
    said = [line for line in walstream.lines if words in line]
    assert 1 <= len(said) <= 2, walstream.text()
    assert walstream.child.poll() is None
