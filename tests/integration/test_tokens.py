"""Bearer tokens: who is let in, what each may see, and that nobody hears of
them."""

import functools
import json
import os
import signal
import stat

import grpc
import pytest

from client import METHOD, channel
from proc import Server, fails, is_program, run
from rawframes import message
from rawh2 import RawClient
from subscriber import SUBSCRIBE
from waiting import SANITIZED, until

pytest_plugins = ["subscriber"]

ALL = "all-tables-Canary-0123456789abcdef"
SOME = "some-tables-Canary-0123456789abcdef"
WRONG = "wrong-Canary-0123456789abcdef"
LINES = f"# who may see what\n\n{ALL} admin\n{SOME} clerk public.t* s.*\r\n"


@pytest.fixture
def tokens(tmp_path):
    """A file of tokens, and how to write it anew."""
    class File:
        path = tmp_path / "tokens"

        def write(self, text, mode=0o600):
            new = tmp_path / "tokens.new"
            new.write_text(text)
            new.chmod(mode)
            new.replace(self.path)
            return self

        def __str__(self):
            return str(self.path)

    return File().write(LINES)


@pytest.fixture
def guarded(server, tokens):
    """A server that wants tokens."""
    def start(**options):
        return server("--auth-token-file", str(tokens), **options)
    return start


@pytest.fixture
def session(subscribe):
    """Opens a Session with a token."""
    def attach(to, token=ALL, **options):
        return subscribe(to, method=METHOD, begin=False,
                         metadata=bearer(token), **options)
    return attach


def bearer(token):
    return {} if token is None else {"authorization": f"Bearer {token}"}


def reload(walstream, count=1):
    walstream.child.send_signal(signal.SIGHUP)
    walstream.wait_log("server.reloaded", count)


HEADERS = [
    None, "", "Bearer", f"Bearer {WRONG}", f"Bearer {ALL[:-1]}",
    f"Bearer {ALL}x", f"Bearer {ALL.upper()}", f"Bearer {ALL.lower()}",
    "Bearer admin", f"Basic {ALL}", ALL, f"Bearer{ALL}",
    f"Bearer {ALL} {SOME}", f"Bearer {ALL},{SOME}", "Bearer " + "x" * 7000]


def test_refused(db, guarded, subscribe, stubs):
    """G42: none, wrong, wrong case, long: UNAUTHENTICATED, before any
    event."""
    walstream = guarded()
    db.fill(1, 3)
    for method, begin in ((METHOD, False), (SUBSCRIBE, True)):
        for header in HEADERS:
            metadata = {} if header is None else {"authorization": header}
            one = subscribe(walstream, wait=False, method=method,
                            begin=begin, metadata=metadata)
            assert one.ended() == grpc.StatusCode.UNAUTHENTICATED, header
            assert one.messages == [] and "token" in one.details
            one.close()
    with channel(walstream.address) as on:
        stub = stubs.reflection
        call = on.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            stub.ServerReflectionRequest.SerializeToString,
            stub.ServerReflectionResponse.FromString)
        ask = [stub.ServerReflectionRequest(list_services="")]
        with pytest.raises(grpc.RpcError) as failed:
            list(call(iter(ask), timeout=10))
        assert failed.value.code() == grpc.StatusCode.UNAUTHENTICATED
        answer, = call(iter(ask), timeout=10,
                       metadata=(("authorization", f"bearer {SOME}"),))
        assert len(answer.list_services_response.service) == 4
    # No position moved, no replication was begun, and the log is no longer
    # for it.
    assert db.walsender() is None
    assert 1 <= len(walstream.logged("access.refused")) < 5
    assert not walstream.logged("session.opened")


def test_two_authorizations(guarded):
    """One of them right: none."""
    walstream = guarded()
    with channel(walstream.address) as on:
        call = on.stream_stream(METHOD)(iter([]), timeout=10, metadata=(
            ("authorization", f"Bearer {ALL}"),
            ("authorization", f"Bearer {WRONG}")))
        with pytest.raises(grpc.RpcError) as failed:
            list(call)
    assert failed.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_huge_token(guarded, session):
    """G42: 1 MB of it costs that connection, and nothing else."""
    walstream = guarded()
    good = session(walstream)
    before = walstream.status("VmRSS")
    for size in (8000, 60000, 1 << 20):
        raw = RawClient(walstream.port)
        raw.conn.encoder.encode = functools.partial(
            raw.conn.encoder.encode, huffman=False)
        try:
            stream = raw.request({"authorization": "Bearer " + "x" * size})
            raw.data(stream, message(b""))
            assert raw.status(stream) in (None, 8, 16)
        except (ConnectionError, AssertionError):
            assert raw.closed or size > 8000
        raw.close()
    if not SANITIZED:
        assert walstream.status("VmRSS") - before < 16 << 20
    assert good.open()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
def test_let_in(db, guarded, subscribe, scheme):
    """The scheme in any case (RFC 9110, 11.1)."""
    one = subscribe(guarded(), metadata={"authorization": f"{scheme} {ALL}"})
    db.fill(1, 1)
    one.wait_for(1)


def test_health_needs_none(guarded, stubs):
    walstream = guarded()
    with channel(walstream.address) as on:
        health = stubs.health_grpc.HealthStub(on)
        assert health.Check(stubs.health.HealthCheckRequest()).status == 1
        watch = health.Watch(stubs.health.HealthCheckRequest())
        assert next(watch).status == 1
        watch.cancel()
    assert run("health", walstream.address).stdout == "SERVING\n"


@pytest.fixture
def tables(db):
    """public.t, public.other and s.u, published."""
    db.sql("CREATE SCHEMA s")
    db.sql("CREATE TABLE s.u (id int PRIMARY KEY, v text)")
    db.publish("other", "s.u")
    return db


def everything(db):
    """Something of every kind in every table."""
    db.transaction("INSERT INTO t VALUES (1, 'x')",
                   "INSERT INTO other VALUES (1, 'hidden')",
                   "INSERT INTO s.u VALUES (1, 'x')")
    db.sql("INSERT INTO other VALUES (2, 'hidden')")
    db.transaction("UPDATE t SET v = 'y'",
                   "UPDATE other SET v = 'hidden, too'")
    db.sql("TRUNCATE t, other, s.u")
    db.sql("DELETE FROM other")
    db.sql("INSERT INTO t VALUES (2, 'last')")


SEEN = [("insert", "t"), ("insert", "u"), ("update", "t"), ("truncate", "t"),
        ("truncate", "u"), ("insert", "t")]


def seen(one):
    return [(event.op, event.table) for event in one.events]


def test_sees_its_tables(tables, guarded, session, subscribe):
    """On Session and on Subscribe, rows and truncations, relations; and what
    it may not see holds no WAL back."""
    walstream = guarded()
    every = session(walstream, ALL)
    some = session(walstream, SOME)
    chosen = subscribe(walstream, metadata=bearer(SOME), relations=True,
                       tables=["*"], batch=True)
    everything(tables)
    until(lambda: every.events and every.events[-1].table == "t"
          and "last" in str(every.events[-1].payload), 20, every.state)
    assert len(every.events) == 11
    for one in (some, chosen):
        one.wait_for(len(SEEN))
        assert sorted(seen(one)) == sorted(SEEN)
        assert "hidden" not in str(one.messages)
    assert {relation.table for relation in chosen.of("relation")} == \
        {"t", "u"}
    # The last events are acknowledged; then only what is hidden is written.
    every.ack_all()
    some.ack_all()
    chosen.ack_last()
    every.close()
    tables.sql("INSERT INTO other VALUES (-1, 'hidden')")
    end = tables.unrelated_wal()
    tables.wait_confirmed(end)
    assert len(some.events) == len(chosen.events) == len(SEEN)


def test_hidden_transactions_hold_nothing(tables, guarded, session):
    """A stream that may see nothing of what is written moves on without a
    word."""
    walstream = guarded()
    some = session(walstream, SOME)
    for i in range(10):
        tables.sql("INSERT INTO other VALUES (%s, 'hidden')", (-i,))
    end = tables.unrelated_wal()
    tables.wait_confirmed(end)
    assert some.events == []


@pytest.mark.parametrize("asked, named", [
    ({"tables": ["public.other"]}, "public.other"),
    ({"tables": ["public.t", "public.\\other"]}, "public.other"),
    ({"tables": ["s.*", "no.such"]}, "no.such"),
    ({"messages": ["*"]}, "messages")], ids=str)
def test_permission_denied(guarded, subscribe, asked, named):
    """Who names what it may not see is told so."""
    one = subscribe(guarded(), wait=False, metadata=bearer(SOME), **asked)
    assert one.ended() == grpc.StatusCode.PERMISSION_DENIED
    assert named in one.details
    assert one.messages == []


def test_globs_are_cut_down(tables, guarded, subscribe):
    """A glob over more than it may see, and a name that it may."""
    walstream = guarded()
    one = subscribe(walstream, metadata=bearer(SOME),
                    tables=["*.o*", "public.t"])
    other = subscribe(walstream, metadata=bearer(ALL),
                      tables=["public.other"], messages=["*"])
    everything(tables)
    one.transactions(4)
    assert {event.table for event in one.events} == {"t"}
    other.wait_for(5)


def test_no_messages(db, server, tokens, subscribe):
    """Logical messages are of no table: not for who may see certain ones."""
    walstream = server("--auth-token-file", str(tokens), "--messages")
    every = subscribe(walstream, metadata=bearer(ALL), messages=["*"])
    some = subscribe(walstream, metadata=bearer(SOME))
    db.sql("SELECT pg_logical_emit_message(true, 'p', 'hidden')")
    db.sql("SELECT pg_logical_emit_message(false, 'p', 'hidden')")
    db.fill(1, 1)
    every.wait_of("message", 2)
    some.transactions(1)
    assert some.ops() == ["begin", "insert", "commit"]


def test_names_in_the_log(db, guarded, session, subscribe):
    walstream = guarded()
    session(walstream, SOME)
    subscribe(walstream, metadata=bearer(ALL), consumer="c1").close()
    assert "stream (token clerk) opened" in \
        walstream.wait_log("session.opened", 2)[0]
    assert "stream of c1 (token admin) closed" in \
        walstream.wait_log("session.closed")[0]


# Whose a consumer is

OTHER = "other-clerk-Canary-0123456789abcdef"


@pytest.fixture
def taken(subscribe):
    """Tries a consumer's name, in both ways; what becomes of each."""
    def attempt(to, token, name="c1"):
        one = subscribe(to, wait=False, metadata=bearer(token), consumer=name)
        two = subscribe(to, wait=False, begin=False, method=METHOD, metadata={
            **bearer(token), "walstream-consumer": name})
        codes = one.ended(), two.ended()
        assert f'"{name}" is another token\'s' in one.details
        one.close()
        two.close()
        return set(codes)
    return attempt


DENIED = {grpc.StatusCode.PERMISSION_DENIED}


def test_consumer_is_its_tokens(db, guarded, subscribe, taken):
    """Another token neither replaces its stream nor acknowledges for it, with
    globs or without, while it is there or away."""
    walstream = guarded()
    some = subscribe(walstream, metadata=bearer(SOME), consumer="c1")
    db.fill(1, 1)
    some.wait_for(1)
    assert taken(walstream, ALL) == DENIED
    assert some.open()
    acked = some.ack_last()
    db.wait_confirmed(acked)
    some.close()
    walstream.wait_log("session.closed")
    assert taken(walstream, ALL) == DENIED
    again = subscribe(walstream, metadata=bearer(SOME), consumer="c1")
    assert again.started.start_lsn >= acked
    newer = subscribe(walstream, metadata=bearer(SOME), consumer="c1")
    assert again.ended() == grpc.StatusCode.ABORTED
    assert newer.open()
    # A name of its own is everybody's.
    subscribe(walstream, metadata=bearer(ALL), consumer="c2")
    assert taken(walstream, SOME, "c2") == DENIED


def test_required_consumer_is_the_firsts(db, server, tokens, subscribe, taken):
    """Named on the command line it is nobody's, until somebody uses it."""
    walstream = server("--auth-token-file", str(tokens),
                       "--require-consumer", "c1")
    some = subscribe(walstream, metadata=bearer(SOME), consumer="c1")
    assert taken(walstream, ALL) == DENIED
    some.close()
    walstream.wait_log("session.closed")
    assert taken(walstream, ALL) == DENIED


def test_consumer_through_a_reload(db, tokens, guarded, subscribe, taken):
    """X3: a new token of the old name has the consumer; it goes along when
    its stream's token is called otherwise; it is free when nobody of that name
    is left."""
    walstream = guarded()
    tokens.write(f"{LINES}{OTHER} clerk s.*\n")
    reload(walstream)
    old = subscribe(walstream, metadata=bearer(SOME), consumer="c1")
    new = subscribe(walstream, metadata=bearer(OTHER), consumer="c1")
    assert old.ended() == grpc.StatusCode.ABORTED
    tokens.write(f"{ALL} admin\n{SOME} clerk\n{OTHER} scribe s.*\n")
    reload(walstream, 2)
    assert taken(walstream, SOME) == DENIED
    assert new.open()
    tokens.write(f"{ALL} admin\n{SOME} clerk\n")
    reload(walstream, 3)
    assert new.ended() == grpc.StatusCode.UNAUTHENTICATED
    subscribe(walstream, metadata=bearer(SOME), consumer="c1")
    assert taken(walstream, ALL) == DENIED


def test_tokens_without_names_are_one(guarded, tokens, subscribe, taken):
    walstream = guarded()
    tokens.write(f"{ALL}\n{OTHER}\n{SOME} clerk public.t* s.*\n")
    reload(walstream)
    one = subscribe(walstream, metadata=bearer(ALL), consumer="c1")
    subscribe(walstream, metadata=bearer(OTHER), consumer="c1")
    assert one.ended() == grpc.StatusCode.ABORTED
    assert taken(walstream, SOME) == DENIED


# SIGHUP

def test_reload(db, tokens, guarded, session):
    """X3: a token that is gone ends its streams; others go on; new ones are
    let in."""
    walstream = guarded()
    every, some = session(walstream, ALL), session(walstream, SOME)
    tokens.write(f"{SOME} another-name public.t* s.*\n{WRONG}\n")
    reload(walstream)
    assert every.ended() == grpc.StatusCode.UNAUTHENTICATED
    db.fill(1, 1)
    some.wait_for(1)
    session(walstream, WRONG).close()
    until(lambda: "(token of line 2)" in walstream.logged(
        "session.closed")[-1], 10, "the end of the one without a name")
    some.close()
    until(lambda: "token another-name" in walstream.logged(
        "session.closed")[-1], 10, "the new name in the log")
    gone = session(walstream, ALL, wait=False)
    assert gone.ended() == grpc.StatusCode.UNAUTHENTICATED


def test_reload_with_other_rights(tables, tokens, guarded, session):
    """X3: it may see something else now: UNAVAILABLE, so that the client
    comes again, and sees that."""
    walstream = guarded()
    every, some = session(walstream, ALL), session(walstream, SOME)
    tokens.write(LINES.replace("public.t*", "public.o*"))
    reload(walstream)
    assert some.ended() == grpc.StatusCode.UNAVAILABLE
    some = session(walstream, SOME)
    everything(tables)
    some.wait_for(6)
    assert {event.table for event in some.events} == {"other", "u"}
    assert every.open()
    assert len(walstream.logged("access.revoked")) == 1


def test_reload_while_reading(db, tokens, guarded, session):
    """X3: again and again, in the middle of everything."""
    walstream = guarded()
    one = session(walstream, SOME)
    for i in range(20):
        tokens.write(f"{SOME} n{i} public.t* s.*\n" + "# \n" * i)
        walstream.child.send_signal(signal.SIGHUP)
        db.fill(i * 100, i * 100 + 99)
    one.wait_for(2000, 60)
    assert one.ids() == list(range(2000))


@pytest.mark.parametrize("text, mode", [
    ("", 0o600), ("short\n", 0o600), (LINES, 0o644), (LINES + ALL, 0o600),
    (None, 0)], ids=["empty", "short", "mode", "twice", "missing"])
def test_bad_reload(db, tokens, guarded, session, text, mode):
    """X3: what cannot be used changes nothing; the log says why."""
    walstream = guarded()
    one = session(walstream, SOME)
    if text is None:
        tokens.path.unlink()
    else:
        tokens.write(text, mode)
    walstream.child.send_signal(signal.SIGHUP)
    line = walstream.wait_log("access.reload_failed")[0]
    assert str(tokens) in line and "Canary" not in line
    db.fill(1, 1)
    one.wait_for(1)
    session(walstream, ALL)
    tokens.write(LINES)
    reload(walstream)
    assert one.open()


# The file

@pytest.mark.parametrize("text, naming", [
    ("", "no token"), ("short-Canary\n", "line 1"),
    (f"{ALL}\n{WRONG} public.t\n", "line 2"),
    (f"{ALL}\n\n\n{ALL}\n", "line 4"), (f"{ALL} name t\n", "line 1"),
    ("Canary-\x00-0123456789\n", "line 1")],
    ids=["empty", "short", "name", "twice", "glob", "nul"])
def test_bad_file(tokens, text, naming):
    """X14: exit 2 with the file and the line, and no word of it, before
    PostgreSQL is asked anything."""
    tokens.write(text)
    line = fails("-c", "host=127.0.0.1 port=1", "start", "p", "s", "--port",
                 "0", "--auth-token-file", str(tokens),
                 naming=[str(tokens), naming], code=2)
    assert "Canary" not in line


def start_with(path, **options):
    return fails("-c", "host=127.0.0.1 port=1", "start", "p", "s", "--port",
                 "0", "--auth-token-file", str(path),
                 naming=[str(path)], code=1, **options)


def test_bad_kinds_of_file(tokens, tmp_path):
    """X14: not there, a directory, a FIFO, a device, too large, open to
    others."""
    assert "No such file" in start_with(tmp_path / "none")
    assert "no regular file" in start_with(tmp_path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "no regular file" in start_with(tmp_path / "fifo")
    if is_program():  # a wrapper gives it no /dev
        assert "no regular file" in start_with("/dev/null")
    tokens.write(LINES)
    os.truncate(tokens.path, 1 << 30)
    assert "more than" in start_with(tokens)
    for mode in (0o604, 0o660, 0o602, 0o610):
        tokens.write(LINES, mode)
        assert "chmod" in start_with(tokens)
    tokens.write(LINES, 0o640)
    if tokens.path.stat().st_uid != 0:
        assert "chmod" in start_with(tokens)


def test_link(db, tokens, tmp_path, server, session):
    """A symbolic link, as containers mount secrets, is followed."""
    (tmp_path / "link").symlink_to(tokens.path)
    walstream = server("--auth-token-file", str(tmp_path / "link"))
    session(walstream)


# The commands

def test_commands(db, tokens, guarded, session, tmp_path):
    """--token-file of tail and health: the first token in it."""
    walstream = guarded()
    fails("tail", walstream.address, naming=["UNAUTHENTICATED"], code=1)
    keeper = session(walstream)
    db.fill(1, 1)
    keeper.wait_for(1)
    done = run("tail", walstream.address, "--count", "1", "--token-file",
               str(tokens))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["table"] == "t"
    done = run("tail", walstream.address, "--count", "1", "--table", "*",
               "--token-file", str(tokens))
    assert done.returncode == 0, done.stderr
    assert run("health", walstream.address, "--token-file",
               str(tokens)).stdout == "SERVING\n"
    tokens.write(f"{WRONG}\n")
    line = fails("tail", walstream.address, "--token-file", str(tokens),
                 naming=["UNAUTHENTICATED"], code=1)
    assert "Canary" not in line
    tokens.write("# nothing\n")
    for command in ("tail", "health"):
        fails(command, walstream.address, "--token-file", str(tokens),
              naming=[str(tokens)], code=2)
        fails(command, walstream.address, "--token-file",
              str(tmp_path / "none"), naming=["none"], code=1)


# Who hears of them

def test_canary(db, tokens, guarded, session, subscribe):
    """X15: no token in the log, the command line, the environment, or what
    clients are told; and not in memory that is the server's own."""
    walstream = guarded()
    every, some = session(walstream, ALL), session(walstream, SOME)
    refused = session(walstream, WRONG, wait=False)
    refused.ended()
    db.fill(1, 10)
    every.wait_for(10)
    some.wait_for(10)
    every.close()
    tokens.write(f"{ALL}\n{WRONG}\nshort-Canary\n")
    walstream.child.send_signal(signal.SIGHUP)
    walstream.wait_log("access.reload_failed")
    tokens.write(f"{WRONG}\n")
    reload(walstream)
    some.ended()
    for told in (refused.details, some.details, walstream.text(100000)):
        assert "Canary" not in told
    for name in ("cmdline", "environ", "comm"):
        with open(f"/proc/{walstream.pid}/{name}", "rb") as file:
            assert b"Canary" not in file.read()


def test_no_core(guarded):
    """X15: no core file, and nobody but root reads its memory."""
    walstream = guarded()
    status = os.stat(f"/proc/{walstream.pid}/mem")
    assert status.st_uid == 0 and not status.st_mode & stat.S_IRGRP


# The warning

@pytest.mark.parametrize("host, warned", [
    ("0.0.0.0", True), ("127.0.0.1", False)])
def test_warning(db, server, tokens, host, warned):
    """An open port is worth a word, tokens make it less so."""
    del server
    for options, expected in (((), warned),
                              (("--auth-token-file", str(tokens)), False)):
        one = Server("-c", db.conninfo(), "start", "pub", db.slot, "--host",
                     host, "--port", "0", *options)
        try:
            one.wait_log("server.listening")
            assert one.stop() == 0
            assert bool(one.logged("server.exposed")) == expected
        finally:
            one.finish()
