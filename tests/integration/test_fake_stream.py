"""A walsender that breaks the protocol while it streams."""

import os
import struct
import threading
import time

import grpc
import pytest

import fakepg
import fakewal as wal
from fakecheck import (check_memory, lost, nothing_confirmed, refused,
                       start_args, table)
from fakewal import BASE, OID, Backend, sent, transaction
from proc import run
from test_fake_login import ERRORS, UGLY
from waiting import SCALE, until

pytest_plugins = ["fakefixtures"]

C2, E2 = wal.place(2)
MIB = 1 << 20


def in_two(*parts):
    """Messages inside of transaction 2, which has begun and has a table."""
    return sent(wal.begin(C2), wal.relation(), *parts)


def on_t(kind, rest):
    return sent(wal.begin(C2), wal.relation(), kind + struct.pack(">I", OID)
                + rest)


MALFORMED = {
    # what is there
    "empty": (sent(b""), "pgoutput"),
    "unknown_tag": (sent(b"q\0\0"), "0x71"),
    "tag_nul": (sent(b"\0"), "0x00"),
    "tag_control": (sent(b"\x1b[31m"), "0x1b"),
    "stream_start": (sent(b"S" + bytes(5)), "0x53"),
    "stream_stop": (sent(b"E"), "0x45"),
    "prepare": (sent(b"P" + bytes(30)), "0x50"),
    # of what begins and ends a transaction
    "begin_short": (sent(wal.begin(C2)[:-1]), "Begin"),
    "begin_long": (sent(wal.begin(C2) + b"x"), "Begin"),
    "begin_only_tag": (sent(b"B"), "Begin"),
    "begin_at_0": (sent(wal.begin(0)), "Begin"),
    "begin_nested": (sent(wal.begin(C2), wal.begin(C2 + 1)), "Begin"),
    "begin_twice": (sent(wal.begin(C2), wal.begin(C2)), "Begin"),
    "begin_falls": (sent(wal.begin(BASE + 1),
                         wal.commit(BASE + 1, BASE + 2)), "commit LSN"),
    "begin_inside_the_last": (sent(
        wal.begin(wal.place(1)[0] + 1), wal.relation(),
        wal.insert(wal.values(77, "x")),
        wal.commit(wal.place(1)[0] + 1, wal.place(1)[0] + 2)), "commit LSN"),
    "commit_without_begin": (sent(wal.commit(C2, E2)), "Commit"),
    "commit_twice": (transaction(2) + sent(wal.commit(C2, E2)), "Commit"),
    "commit_short": (in_two(wal.commit(C2, E2)[:-1]), "Commit"),
    "commit_long": (in_two(wal.commit(C2, E2) + b"x"), "Commit"),
    "commit_other_lsn": (in_two(wal.commit(C2 + 1, E2)), "Commit"),
    "commit_lsn_0": (in_two(wal.commit(0, E2)), "Commit"),
    "commit_end_is_start": (in_two(wal.commit(C2, C2)), "Commit"),
    "commit_end_before": (in_two(wal.commit(C2, C2 - 1)), "Commit"),
    "commit_end_0": (in_two(wal.commit(C2, 0)), "Commit"),
    # of tables
    "relation_cut": (sent(wal.begin(C2), wal.relation()[:-1]), "Relation"),
    "relation_long": (sent(wal.begin(C2), wal.relation() + b"x"),
                      "Relation"),
    "relation_no_nul": (sent(wal.begin(C2), b"R" + struct.pack(">I", OID)
                             + b"public"), "Relation"),
    "relation_name_no_nul": (sent(
        wal.begin(C2), b"R" + struct.pack(">I", OID) + b"public\0t"),
        "Relation"),
    "relation_column_no_nul": (sent(
        wal.begin(C2), wal.relation(columns=())[:-2] + b"\0\1\0id"),
        "Relation"),
    "relation_count_high": (sent(wal.begin(C2), wal.relation(count=3)),
                            "Relation"),
    "relation_count_low": (sent(wal.begin(C2), wal.relation(count=1)),
                           "Relation"),
    "relation_65535_columns": (sent(
        wal.begin(C2), wal.relation(count=65535)), "Relation"),
    "relation_1665_columns": (sent(wal.begin(C2), wal.relation(
        columns=[(f"c{i}", 23, 0) for i in range(1665)])), "Relation"),
    "no_relation": (sent(wal.begin(C2), wal.insert(wal.values(2, "x"),
                                                   oid=999)), "999"),
    "no_relation_update": (sent(wal.begin(C2), wal.update(
        wal.values(2, "x"), oid=999)), "999"),
    "no_relation_delete": (sent(wal.begin(C2), wal.delete(
        wal.values(2, None), oid=999)), "999"),
    "no_relation_truncate": (sent(wal.begin(C2), wal.truncate(OID, 999)),
                             "999"),
    "no_relation_oid_0": (sent(wal.begin(C2), wal.insert(
        wal.values(2, "x"), oid=0)), "unknown relation 0"),
    # of rows
    "insert_outside": (sent(wal.relation(), wal.insert(wal.values(2, "x"))),
                       "outside"),
    "truncate_outside": (sent(wal.truncate(OID)), "outside"),
    "insert_only_tag": (sent(wal.begin(C2), b"I"), "Insert"),
    "insert_no_tuple": (on_t(b"I", b""), "Insert"),
    "insert_old_tuple": (on_t(b"I", b"K" + wal.values(2, "x")), "Insert"),
    "insert_long": (on_t(b"I", b"N" + wal.values(2, "x") + b"x"), "Insert"),
    "insert_cut": (on_t(b"I", b"N" + wal.values(2, "x")[:-1]), "Insert"),
    "count_high": (on_t(b"I", b"N" + wal.values(2, "x", count=3)), "Insert"),
    "count_low": (on_t(b"I", b"N" + wal.values(2, "x", count=1)), "Insert"),
    "count_65535": (on_t(b"I", b"N" + wal.values(2, "x", count=65535)),
                    "Insert"),
    "count_32768": (on_t(b"I", b"N" + wal.values(2, "x", count=32768)),
                    "Insert"),
    "too_few_columns": (on_t(b"I", b"N" + wal.values(2)), "columns"),
    "too_many_columns": (on_t(b"I", b"N" + wal.values(2, "x", "y")),
                         "columns"),
    "no_columns": (on_t(b"I", b"N" + wal.values()), "columns"),
    "length_past_the_end": (on_t(b"I", b"N\0\2t\0\0\0\1" b"2t\0\0\0\x09x"),
                            "Insert"),
    "length_2^31-1": (on_t(b"I", b"N\0\2t\x7f\xff\xff\xff" b"2"), "Insert"),
    "length_-1": (on_t(b"I", b"N\0\2t\xff\xff\xff\xff" b"2"), "Insert"),
    "unknown_kind": (on_t(b"I", b"N\0\2x"), "Insert"),
    "binary": (on_t(b"I", b"N\0\2b\0\0\0\4\0\0\0\2n"), "Insert"),
    "update_no_new": (on_t(b"U", b"K" + wal.values(2, None)), "Update"),
    "update_two_old": (on_t(b"U", b"K" + wal.values(2, None) + b"O"
                            + wal.values(2, None)), "Update"),
    "update_old_columns": (on_t(b"U", b"K" + wal.values(2) + b"N"
                                + wal.values(2, "x")), "columns"),
    "delete_no_old": (on_t(b"D", b""), "Delete"),
    "delete_new": (on_t(b"D", b"N" + wal.values(2, "x")), "Delete"),
    "delete_long": (on_t(b"D", b"K" + wal.values(2, None) + b"N"), "Delete"),
    "truncate_count_high": (in_two(wal.truncate(OID, count=2)), "Truncate"),
    "truncate_count_low": (in_two(wal.truncate(OID, OID, count=1)),
                           "Truncate"),
    "truncate_2^30": (in_two(wal.truncate(OID, count=1 << 30)), "Truncate"),
    "truncate_2^32-1": (in_two(wal.truncate(OID, count=(1 << 32) - 1)),
                        "Truncate"),
    # of others
    "origin_no_nul": (sent(wal.begin(C2), b"O" + bytes(8) + b"name"),
                      "Origin"),
    "origin_short": (sent(wal.begin(C2), b"O" + bytes(4)), "Origin"),
    "type_no_nul": (sent(wal.begin(C2), b"Y" + bytes(4) + b"public\0t"),
                    "Type"),
    "message_no_nul": (sent(wal.logical_message(C2, prefix=b"p")),
                       "Message"),
    "message_cut": (sent(wal.logical_message(C2, length=9)), "Message"),
    "message_2^31": (sent(wal.logical_message(C2, length=1 << 31)),
                     "Message"),
    "message_long": (sent(wal.logical_message(C2, length=0)), "Message"),
    "message_lsn_0": (sent(wal.logical_message(0)), "message"),
    "message_outside": (sent(wal.logical_message(C2, flags=1)), "outside"),
    "message_alone_inside": (in_two(wal.logical_message(C2)), "message"),
    "stream_abort_short": (sent(b"A\0\0"), "Stream Abort"),
    # of the walsender's frames
    "frame_empty": (fakepg.copy_data(b""), "empty"),
    "xlog_data_short": (fakepg.copy_data(b"w" + bytes(23)), "'w'"),
    "keepalive_short": (fakepg.copy_data(b"k" + bytes(16)), "'k'"),
    "keepalive_long": (fakepg.copy_data(b"k" + bytes(18)), "'k'"),
    # of the protocol around them
    "row": (fakepg.row("a", "b"), "'D'"),
    "row_description": (fakepg.row_description("a"), "'T'"),
    "complete": (fakepg.complete("SELECT 0"), "'C'"),
    "ready": (fakepg.ready(), "'Z'"),
    "copy_in": (fakepg.message("G", b"\0\0\0"), "'G'"),
    "copy_out": (fakepg.message("H", b"\0\0\0"), "'H'"),
    "copy_both_again": (fakepg.copy_both(), "'W'"),
    "authentication": (fakepg.auth_ok(), "'R'"),
    "cleartext": (fakepg.auth_cleartext(), "'R'"),
    "key_data": (fakepg.key_data(), "'K'"),
    "unknown_type": (fakepg.message("!"), "'!'"),
    "type_nul": (fakepg.message("\0"), "0x00"),
    "type_escape": (fakepg.message("\x1b"), "0x1b"),
    "copy_done": (fakepg.copy_done(), "COPY"),
}
LENGTHS = {
    f"{kind}_{length:x}": (fakepg.message(kind, b"abc", length=length),
                           "length")
    for kind, length in [
        ("d", 0), ("d", 3), ("d", 0x40000005), ("d", 0x7fffffff),
        ("d", 0x80000000), ("d", 0xffffffff), ("S", 30005), ("Z", 30005),
        ("C", 0x7fffffff), ("E", 0x7fffffff), ("N", 0xffffffff),
        ("A", 0), ("c", 30005), ("R", 30005)]}
LONG_ERROR = fakepg.error("XX000", "long " * 200000, D="long " * 200000)
REPORTS = {
    **{name: (data, "server") for name, data in ERRORS.items()
       if name in ("no_nul", "no_last_nul", "left_over", "empty")},
    **{name: (fakepg.error("XX000", text, D=text), "XX000")
       for name, text in UGLY.items()},
    "long": (LONG_ERROR, "XX000"),
}
# IDLE: on walstream's connections there is no time limit, but if there is.
TIMEOUTS = {
    "idle_session": (fakepg.error(
        "57P05", "terminating connection due to idle-session timeout"),
        "57P05"),
    "idle_in_transaction": (fakepg.error(
        "25P03", "terminating connection due to idle-in-transaction timeout"),
        "25P03"),
}
STREAMED = {
    **{f"P29_{name}": case for name, case in MALFORMED.items()},
    **{f"P27_{name}": case for name, case in LENGTHS.items()},
    **{f"P30_{name}": case for name, case in REPORTS.items()},
    **{f"P45_{name}": case for name, case in TIMEOUTS.items()},
}


@table("", STREAMED)
def test_streamed(fake, start, attach, name):
    """The connection is given up with the reason and made anew; nothing is
    confirmed; a stream sees none of it, and each row once."""
    data, naming = STREAMED[name]
    backend = Backend(
        lambda c: c.send(transaction(1), data, transaction(9)),
        lambda c: c.send(transaction(1), transaction(2), transaction(3)))
    walstream = start(fake(backend))
    stream = attach(walstream)
    until(lambda: walstream.logged("pg.lost") or len(stream.events) > 1, 30,
          "the connection to be given up")
    assert not walstream.logged("replication.stopped"), walstream.text()
    assert 9 not in stream.ids(), "it was passed over"
    lost(walstream, "streaming: ", naming)
    stream.wait_for(3, 30)
    assert stream.ids() == [1, 2, 3] and stream.open()
    for one in backend.started[:1]:
        nothing_confirmed(one)
    stream.ack_all()
    until(lambda: backend.confirmed == wal.place(3)[1], 15,
          "the ack to be confirmed")


HARMLESS = {
    "P29_unknown_frame": fakepg.copy_data(b"s" + bytes(100)),
    "P29_type": sent(b"Y" + struct.pack(">I", 20000) + b"public\0x\0"),
    "P29_stream_abort": sent(b"A" + bytes(8)),
    "P29_relation_outside": sent(wal.relation(oid=4711, name="other")),
    "P29_relation_same_column_twice": sent(wal.relation(
        oid=4711, columns=(("a", 23, 0), ("a", 23, 0)))),
    "P29_empty_truncate": sent(wal.begin(C2 - 100), wal.truncate(),
                               wal.commit(C2 - 100, C2 - 50)),
    "P31_parameter": fakepg.parameter("TimeZone", "Asia/Tokyo"),
    "P31_parameter_odd": fakepg.message("S", b"no end"),
    "P31_parameter_empty": fakepg.message("S"),
    "P31_notification": fakepg.notification(),
    "P31_notification_odd": fakepg.message("A", b""),
    "P31_notice": fakepg.notice("01000", "something"),
    "P31_notice_long": fakepg.notice("01000", "something " * 100000),
    "P31_notice_malformed": fakepg.message("N", b"Mtext"),
    "P31_parameter_1_MB": fakepg.notification("c", "p" * MIB),
    "P42_keepalive_time_0": fakepg.keepalive(BASE, at=0),
    "P42_keepalive_time_-1": fakepg.keepalive(BASE, at=-1),
    "P42_keepalive_time_least": fakepg.keepalive(BASE, at=-1 << 63),
    "P42_keepalive_time_most": fakepg.keepalive(BASE, at=(1 << 63) - 1),
    "P42_keepalive_below": fakepg.keepalive(1),
    "P42_keepalive_reply_255": fakepg.copy_data(
        b"k" + struct.pack(">QqB", BASE, 0, 255)),
    "P42_data_time_least": fakepg.xlog_data(
        0, 0, wal.relation(oid=4711, name="other"), at=-1 << 63),
    "P42_data_time_most": fakepg.xlog_data(
        0, 0, wal.relation(oid=4711, name="other"), at=(1 << 63) - 1),
    "P42_commit_time_least": sent(
        wal.begin(C2 - 100, at=-1 << 63),
        wal.commit(C2 - 100, C2 - 50, at=-1 << 63)),
    "P42_commit_time_most": sent(
        wal.begin(C2 - 100, at=(1 << 63) - 1),
        wal.commit(C2 - 100, C2 - 50, at=(1 << 63) - 1)),
}


@table("", HARMLESS)
def test_harmless(fake, start, attach, name):
    """What asks for nothing has no effect."""
    backend = Backend(lambda c: c.send(
        transaction(1), HARMLESS[name], transaction(2)))
    walstream = start(fake(backend))
    stream = attach(walstream)
    stream.expect(2, 30)
    assert stream.ids() == [1, 2]
    nothing_confirmed(backend.started[0])
    assert not walstream.logged("pg.lost") and len(backend.started) == 1


@pytest.mark.parametrize("at", [-1 << 63, -1, 0, (1 << 63) - 1],
                         ids=lambda at: f"P42_{at}")
def test_clock_jumps(fake, start, attach, at):
    """The server's clock decides nothing: a row with any commit time comes,
    and keepalives of any time are answered."""
    commit_lsn, end_lsn = wal.place(1)
    backend = Backend(lambda c: c.send(
        sent(wal.begin(commit_lsn, at=at), wal.relation(),
             wal.insert(wal.values(1, "x")),
             wal.commit(commit_lsn, end_lsn, at=-at - 1)),
        fakepg.keepalive(end_lsn, reply=True, at=at)))
    walstream = start(fake(backend))
    stream = attach(walstream)
    stream.expect(1, 30)
    until(lambda: len(backend.started[0].statuses) >= 2, 15, "an answer")
    assert not walstream.logged("pg.lost")


def test_back_off(fake, start, attach):
    """P29: a server that is always wrong is asked less and less often."""
    backend = Backend(lambda c: c.send(sent(b"")))
    walstream = start(fake(backend))
    attach(walstream)
    lines = walstream.wait_log("pg.lost", 6, 30)
    pauses = [int(line.split(" ")[-2]) for line in lines[:6]]
    for n, pause in enumerate(pauses):
        assert 80 * 2**n <= pause <= 120 * 2**n, pauses
    assert len(backend.started) <= len(walstream.logged("pg.lost")) + 1


# What one byte claims and no memory is to be had for

CLAIMS = {
    "P27_copy_data": fakepg.message("d", b"w" * 100000,
                                    length=(1 << 30) + 4),
    "P27_error": fakepg.message("E", b"M" * 100000, length=(1 << 30) + 4),
    "P27_notice": fakepg.message("N", b"M" * 100000, length=(1 << 30) + 4),
    "P27_row": fakepg.message("D", b"M" * 100000, length=(1 << 30) + 4),
}


@table("", CLAIMS)
def test_claimed(fake, start, attach, name):
    """A message may be of 1 GiB; memory is taken as it comes."""
    backend = Backend(lambda c: c.send(transaction(1), CLAIMS[name]),
                      lambda c: c.send(transaction(1), transaction(2)))
    walstream = start(fake(backend), "--server-timeout", "2")
    stream = attach(walstream)
    stream.expect(1, 30)
    lost(walstream, "silent")
    stream.expect(2, 30)
    check_memory(walstream)


# Floods

def flood(c, data, count, between=lambda: None):
    chunk = data * (MIB // len(data) + 1)
    while count > 0:
        c.send(chunk)
        count -= len(chunk) // len(data)
        between()


FLOODS = {
    "P31_parameters": fakepg.parameter("application_name", "x"),
    "P31_notifications": fakepg.notification("channel", "payload"),
    "P31_keepalives": fakepg.keepalive(BASE),
}


@table("", FLOODS)
def test_flood(fake, start, attach, name):
    """A million: memory is bounded, and all others are served meanwhile."""
    begun = threading.Event()

    def stream(c):
        c.send(transaction(1))
        begun.set()
        flood(c, FLOODS[name], 10**6)
        c.send(fakepg.keepalive(BASE, reply=True), transaction(2))

    backend = Backend(stream)
    walstream = start(fake(backend))
    client = attach(walstream)
    begun.wait(30)
    began = time.monotonic()
    assert run("health", walstream.address).returncode == 0
    assert time.monotonic() - began < 10 * SCALE
    client.expect(2, 60)
    until(lambda: len(backend.started[0].statuses) >= 2, 15, "an answer")
    check_memory(walstream)
    assert len(walstream.lines) < 10 and not walstream.logged("pg.lost")


def test_flood_of_notices(fake, start, attach):
    """P31: nor do they fill the disk that the log is on."""
    count = 1000000

    def stream(c):
        c.send(transaction(1))
        flood(c, fakepg.notice("01000", "something is odd"), count)
        c.send(transaction(2))

    walstream = start(fake(Backend(stream)))
    attach(walstream).expect(2, 60)
    check_memory(walstream)
    assert len(walstream.lines) < 1000


@table("", FLOODS)
def test_flood_at_login(fake, name):
    """Before the first ReadyForQuery."""
    def login(c):
        c.begin()
        c.send(fakepg.auth_ok())
        flood(c, FLOODS[name], 200000)
        c.welcome()
        c.expect("Q")
        c.send(fakepg.complete("SELECT 0"), fakepg.ready())
        c.hold()
    server = fake(login)
    if name == "P31_keepalives":  # have no place there
        refused(server, "'d'")
    else:
        assert run("-c", server.conninfo(), "list").returncode == 0


# Silence

def test_silent_while_streaming(fake, start, attach):
    """P24: half-way to the limit the server is asked, and then left."""
    backend = Backend(lambda c: c.send(transaction(1)),
                      lambda c: c.send(transaction(1), transaction(2)))
    walstream = start(fake(backend), "--server-timeout", "2")
    stream = attach(walstream)
    stream.expect(1, 30)
    began = time.monotonic()
    until(lambda: any(s.reply for s in backend.started[0].statuses), 20,
          "a status update that wants an answer")
    assert time.monotonic() - began < 10
    lost(walstream, "silent for 2 s")
    stream.expect(2, 30)
    nothing_confirmed(backend.started[0])


def answer(c, seconds):
    """Whatever walstream asks for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _, body = c.message()
        if body[:1] == b"r" and body[-1]:
            c.send(fakepg.keepalive(BASE))


def test_quiet_but_answering(fake, start, attach):
    """P24: one that answers is kept, however little it has to say."""
    def quiet(c):
        c.send(transaction(1))
        answer(c, 5)
        c.send(transaction(2))
    backend = Backend(quiet)
    walstream = start(fake(backend), "--server-timeout", "2")
    stream = attach(walstream)
    stream.expect(2, 30)
    assert len(backend.started) == 1


def test_busy(fake, start, attach):
    """P24: one that sends much all the time is not silent."""
    each, rounds = 200, 500
    pieces = [b"".join(transaction(i * each + j + 1) for j in range(each))
              for i in range(rounds)]

    def busy(c):
        for piece in pieces:
            c.send(piece)
            time.sleep(0.008)
        answer(c, 30)
    backend = Backend(busy)
    walstream = start(fake(backend), "--server-timeout", "2")
    stream = attach(walstream)
    stream.expect(each * rounds, 120)
    assert len(backend.started) == 1


def test_silent_to_a_question(fake, start, attach):
    """P24: while an answer does not come, walstream can still be ended."""
    asked = threading.Event()

    def silent(c):
        c.login()
        c.expect("Q")
        asked.set()
        c.hold()
    backend = Backend(lambda c: c.hang_up())
    walstream = start(fake(backend, silent))
    stream = attach(walstream)
    assert asked.wait(30)
    assert walstream.stop() == 0
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE


# Between the streams

@table("P45", TIMEOUTS)
def test_timed_out_while_idle(fake, start, attach, name):
    """Nobody is attached, the connection is ended by a limit: it is made
    anew, and the next client is served."""
    told = threading.Event()

    def ends(c):
        c.login()
        backend_of = Backend()
        for _ in range(4):
            backend_of.answer(c, c.expect("Q").decode())
        told.wait(30)
        c.send(TIMEOUTS[name][0])
    backend = Backend(lambda c: c.send(transaction(1)))
    walstream = start(fake(ends, backend))
    told.set()
    lost(walstream, TIMEOUTS[name][1])
    stream = attach(walstream)
    stream.expect(1, 30)


STATES = ["IDENTIFY_SYSTEM", "wal_sender_timeout", "pg_publication",
          "pg_replication_slots"]
ANSWERS = {
    "P29_copy_data": (fakepg.copy_data(b"x"), "'d'"),
    "P29_copy_both": (fakepg.copy_both(), "'W'"),
    "P29_authentication": (fakepg.auth_ok(), "'R'"),
    "P30_error": (fakepg.error("XX000", UGLY["ansi"]), "XX000"),
}


@pytest.mark.parametrize("state", STATES)
@table("", ANSWERS)
def test_answers(fake, name, state):
    """What has no place in the answer to what start asks first."""
    data, naming = ANSWERS[name]

    def script(c):
        c.login()
        backend = Backend()
        while True:
            sql = c.expect("Q").decode()
            if state in sql:
                c.send(data)
                c.hold()
            backend.answer(c, sql)
    refused(fake(script), naming, command=start_args())


IDENTITIES = {
    "no_columns": ("row",),
    "empty": ("", "1", "0/0", None),
    "no_timeline": ("1", "", "0/1", None),
    "bad_timeline": ("1", "x", "0/1", None),
    "bad_lsn": ("1", "1", "nowhere", None),
    "lsn_too_long": ("1", "1", "123456789/123456789", None),
    "null": (None, None, None, None),
}


@table("P29_identify", IDENTITIES)
def test_identify(fake, name):
    """IDENTIFY_SYSTEM with no use."""
    def script(c):
        c.login()
        c.expect("Q")
        c.send(fakepg.row_description("a", "b", "c", "d"),
               fakepg.row(*IDENTITIES[name]),
               fakepg.complete("IDENTIFY_SYSTEM"), fakepg.ready())
        c.hold()
    refused(fake(script), "IDENTIFY_SYSTEM", command=start_args())


@pytest.mark.parametrize("lsn_format", ["X", "08X", "x"],
                         ids=lambda f: f"P44_{f}")
def test_lsn_texts(fake, start, attach, lsn_format):
    """As 19 writes LSNs, too."""
    backend = Backend(lambda c: c.send(transaction(1)))
    backend.lsn_format = lsn_format
    walstream = start(fake(backend))
    stream = attach(walstream)
    stream.expect(1, 30)
    nothing_confirmed(backend.started[0])
    stream.ack_all()
    until(lambda: backend.confirmed == wal.place(1)[1], 15, "the ack")


def test_sql_is_only_ours(fake, start, attach):
    """P29: what a server says is never put into a statement; and streams end
    well with the server."""
    backend = Backend(lambda c: c.send(sent(
        wal.begin(C2), wal.relation(schema="'; DROP", name='"; x'),
        wal.insert(wal.values(2, "'; DROP TABLE t; --")),
        wal.commit(C2, E2))))
    server = fake(backend)
    walstream = start(server)
    stream = attach(walstream)
    stream.expect(1, 30)
    for one in server.connections:
        assert not any("DROP" in sql for sql in one.queries())
    assert walstream.stop() == 0
    assert stream.ended() == grpc.StatusCode.UNAVAILABLE


def cpu(pid):
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_server_that_does_not_read(fake, start, attach):
    """Status updates that are not taken wait for the socket, not in a loop."""
    full = threading.Event()

    def stream(c):
        for n in range(1, 3000):
            c.send(transaction(n))
        full.wait(60 * SCALE)

    walstream = start(fake(Backend(stream, wal_sender_timeout="3000"),
                           unix=True))
    client = attach(walstream)
    client.expect(2999, 60)
    try:
        for event in client.events:
            client.ack(event.pg_lsn)
            time.sleep(0.001)
        time.sleep(2)  # until an update is due
        before = cpu(walstream.pid)
        time.sleep(3)
        assert cpu(walstream.pid) - before < 1.5
    finally:
        full.set()


def test_answers_are_a_sign_of_life(fake, start, attach):
    """A server that answered is soon found out when it is silent; only one
    that never did is given more time."""
    def stream(c):
        asked = 0
        c.sock.settimeout(60)
        while asked < 2:
            kind, body = c.message()
            if kind == "d" and body[:1] == b"r" and body[-1]:
                asked += 1
                c.send(fakepg.keepalive(BASE))
        c.hold()

    walstream = start(fake(Backend(stream)), "--server-timeout", "2")
    attach(walstream)
    lines = walstream.wait_log("pg.lost", 3, 40)
    assert all("silent for 2 s" in line for line in lines[:3]), lines
