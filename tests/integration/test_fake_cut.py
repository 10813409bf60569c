"""Sessions that are cut after any byte, or come in pieces."""

import concurrent.futures
import random
import time

import pytest

import fakepg
import proc
from fakecheck import SECRET, check_line, lost, refused, start_args
from fakelink import Link, cut, replay, turns
from fakescram import Scram
from fakewal import Backend, sent, transaction, parts_of
from waiting import until

pytest_plugins = ["fakefixtures"]

AT_ONCE = 4  # commands that run beside each other


@pytest.fixture
def link():
    made = []

    def make(target, *args):
        made.append(Link(target, *args))
        return made[-1]

    yield make
    for one in made:
        one.close()


def length(said):
    return sum(map(len, said))


def all_refused(server, count, *command, **conninfo):
    """So many runs of the command, each of which fails in one clear line."""
    def one(_):
        return refused(server, "closed", command=command, **conninfo)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(count)))


def cut_by_number(script, step=1):
    """Each connection is cut a little later than the one before."""
    return lambda c: cut(script, c.number * step)(c)


def record(link, db, *command):
    """What PostgreSQL says to the command."""
    one = link(db.pg.port)
    done = proc.run("-c", db.conninfo(port=one.port, sslmode="disable"),
                    *command)
    assert done.returncode == 0, done.stderr
    return [data for data in turns(one.recorded[0]) if data]


def test_list_cut(fake, link, db):
    """P28: after every byte of what PostgreSQL says."""
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (db.slot,))
    said = record(link, db, "list")
    whole = proc.run("-c", fake(replay(said)).conninfo(), "list")
    assert whole.returncode == 0 and db.slot in whole.stdout
    all_refused(fake(cut_by_number(replay(said))), length(said), "list")


def test_scram_cut(fake):
    """P28: after every byte of a login with SCRAM."""
    def script(c):
        Scram(SECRET)(c)
        c.expect("Q")
    whole = fake(script)
    refused(whole, "closed", password=SECRET)
    assert whole.connections[0].queries()
    server = fake(cut_by_number(script))
    all_refused(server, whole.connections[0].sent, "list", password=SECRET)
    assert not any(one.queries() for one in server.connections)


def attached(link, db, server, attach, rows):
    """A session of start, with these rows, as it was recorded. They are there
    before it begins: played again, its first answers say where WAL ends, and a
    server that has sent more has been set back."""
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (db.slot,))
    for row in rows:
        db.fill(row, row, 10 * row)
    one = link(db.pg.port)
    stream = attach(server(connection=db.conninfo(port=one.port,
                                                  sslmode="disable")))
    stream.expect(len(rows))
    return turns(list(one.recorded[0])), stream.events


def test_start_cut(fake, link, db, server, client):
    """P28: after every fifth byte up to where start listens."""
    said, _ = attached(link, db, server, client, [1])
    first = length(said[:5])  # login and four answers
    all_refused(fake(cut_by_number(replay(said), 5)), first // 5,
                *start_args())


def test_recorded_stream_cut(fake, start, attach, link, db, server, client):
    """P28: cut anywhere after that, the stream has every row once."""
    said, events = attached(link, db, server, client, range(1, 21))
    total, first = length(said), length(said[:5])
    copy = length(said[:-1])
    draw = random.Random(28)
    places = [first, *(draw.randrange(first, copy) for _ in range(3)),
              *(draw.randrange(copy, total) for _ in range(8))]
    for place in places:
        again = start(fake(cut(replay(said), place), replay(said)))
        stream = attach(again)
        lost(again, "closed")
        stream.expect(20, 30)
        assert stream.events == events, f"cut after {place} bytes"


def test_stream_cut(fake, start, attach):
    """P28: one connection after the other is cut a little further in a
    transaction; every row comes once."""
    step, part = 7, len(sent(*parts_of(1)))
    count = part // step + 1

    def play(c):
        whole = min(c.number + 1, count)
        c.send(*(transaction(n) for n in range(1, whole + 1)))
        if c.number < count:
            c.limit = c.sent + step * c.number
            c.send(transaction(whole + 1))
            c.hang_up()
    backend = Backend(play)
    server = fake(backend)
    walstream = start(server)
    stream = attach(walstream)
    stream.expect(count, 60)
    lost(walstream, "closed", count=count)
    until(lambda: len(backend.started) == count + 1, 10, "the last COPY")
    assert stream.ids() == list(range(1, count + 1))


def test_mangled(fake, link, db):
    """P28: one byte of a session is another. Whatever the command makes of
    it, it ends, and well."""
    said = b"".join(record(link, db, "list"))
    draw = random.Random(1)

    def changed():
        wrong = bytearray(said)
        wrong[draw.randrange(len(said))] ^= draw.randrange(1, 256)
        return bytes(wrong)

    def one(data):
        server = fake(lambda c: (c.begin(), c.send(data)))
        done = proc.run("-c", server.conninfo(), "list")
        assert done.returncode in (0, 1), done
        return done.stderr.splitlines()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        lines = sum(pool.map(one, [changed() for _ in range(200)]), [])
    for line in lines:
        check_line(line)


# In pieces

def one_by_one(sink, data):
    for i in range(len(data)):
        sink.sendall(data[i:i + 1])


def in_pieces():
    draw = random.Random(25)

    def deliver(sink, data):
        while data:
            n = draw.randrange(1, 2000)
            time.sleep(draw.random() / 100)
            sink.sendall(data[:n])
            data = data[n:]
    return deliver


@pytest.mark.parametrize("deliver", [one_by_one, in_pieces()],
                         ids=["P25_bytes", "P25_delays"])
def test_pieces(link, db, server, client, deliver):
    """How the bytes come has no effect on what they mean."""
    one = link(db.pg.port, deliver)
    connection = db.conninfo(port=one.port)
    walstream = server(connection=connection)
    stream, other = client(walstream), client(
        server(slot=db.name + "_x", shared=True))
    for i in range(1, 101, 10):
        db.fill(i, i + 9, 5 * i)
    stream.expect(100, 60)
    other.expect(100, 60)
    assert stream.events == other.events
    db.wait_confirmed(stream.ack_all())
    assert not walstream.logged("pg.lost")
    done = proc.run("-c", connection, "list")
    assert done.returncode == 0 and db.slot in done.stdout


def test_slow_login(fake):
    """P25: a login of single bytes."""
    def script(c):
        send = c.sock.sendall
        c.begin()
        for data in (fakepg.auth_ok(), fakepg.parameter("a", "b"),
                     fakepg.ready(), fakepg.row_description("slot_name"),
                     fakepg.complete("SELECT 0"), fakepg.ready()):
            for i in range(len(data)):
                send(data[i:i + 1])
                time.sleep(0.001)
        c.hold()
    assert proc.run("-c", fake(script).conninfo(), "list").returncode == 0
