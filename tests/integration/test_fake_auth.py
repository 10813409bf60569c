"""Servers that authenticate us otherwise than they should."""

import re
import struct

import pytest

import fakepg
import proc
from fakecheck import SECRET, check_line, lost, refused, start_args, table
from fakescram import PLAIN, PLUS, Scram, b64
from fakewal import Backend, transaction

pytest_plugins = ["fakefixtures"]


def go_on(c, *messages):
    """Sends these, waits for an answer to each request that has one, and lets
    the client in. A client that refuses one has hung up by then."""
    for one in messages:
        c.send(one)
        if one[:1] == b"R" and one[5:9] in ANSWERED:
            c.expect("p")
    c.welcome()
    c.expect("Q")
    c.send(fakepg.complete("SELECT 0"), fakepg.ready())
    c.hold()


def requests(*messages):
    """A script: these, before anything else."""
    def script(c):
        c.begin()
        go_on(c, *messages)
    return script


def check_kept(server):
    """The password was not sent to anybody."""
    for one in server.connections:
        assert SECRET.encode() not in one.received


# Cleartext, MD5, SASL, SASLContinue
ANSWERED = [struct.pack(">I", code) for code in (3, 5, 10, 11)]
OK, CLEAR, MD5 = fakepg.auth_ok(), fakepg.auth_cleartext(), fakepg.auth_md5()
SASL = fakepg.auth_sasl(PLAIN)

POLICIES = [  # require_auth, what the server does, named in the line
    ("scram-sha-256", CLEAR, "password"),
    ("scram-sha-256", MD5, "md5"),
    ("scram-sha-256", OK, "require_auth"),
    ("md5", CLEAR, "password"),
    ("md5", SASL, "scram-sha-256"),
    ("md5,scram-sha-256", CLEAR, "password"),
    ("!password", CLEAR, "password"),
    ("!password,!md5", MD5, "md5"),
    ("!none", OK, "require_auth"),
    ("none", CLEAR, "password"),
    ("none", MD5, "md5"),
    ("none", SASL, "scram-sha-256"),
    ("password", MD5, "md5"),
    ("password", OK, "require_auth"),
]


def policy_id(value):
    return value.replace(",", "+") if isinstance(value, str) else {
        CLEAR: "cleartext", MD5: "md5", OK: "ok", SASL: "sasl"}[value]


@pytest.mark.parametrize("require, request_, naming", POLICIES,
                         ids=[f"P37_{policy_id(r)}_{policy_id(m)}"
                              for r, m, _ in POLICIES])
def test_require_auth(fake, require, request_, naming):
    """A method that require_auth does not allow is not taken part in."""
    server = fake(requests(request_))
    refused(server, "require_auth", naming, require_auth=require,
            password=SECRET)
    check_kept(server)
    assert server.connections[0].messages == []


@pytest.mark.parametrize("request_", [CLEAR, MD5, OK],
                         ids=["P37_cleartext", "P37_md5", "P37_ok"])
def test_require_auth_start(fake, request_):
    """The same for start, by its environment."""
    server = fake(requests(request_))
    line = proc.fails("-c", server.conninfo(), *start_args(), code=1,
                      env={"PGREQUIREAUTH": "scram-sha-256",
                           "PGPASSWORD": SECRET})
    check_line(line)
    assert server.connections[0].messages == []


@pytest.mark.parametrize("require, request_", [
    ("password", CLEAR), ("md5", MD5), ("none", OK), ("!scram-sha-256", MD5),
    ("password,md5", MD5), ("", CLEAR)], ids=lambda value: policy_id(value))
def test_allowed(fake, require, request_):
    """What require_auth allows works."""
    messages = [request_] if request_ == OK else [request_, OK]
    server = fake(requests(*messages))
    done = proc.run("-c", server.conninfo(
        require_auth=require, password=SECRET), "list")
    assert done.returncode == 0, done.stderr


def test_impostor(fake, start, attach):
    """P37: nor later, when the connection is made anew: streams stay, and
    the password too."""
    scram = Scram(SECRET)
    backend = Backend(lambda c: (c.send(transaction(1)), c.hang_up()),
                      lambda c: c.send(transaction(1), transaction(2)),
                      login=scram)
    server = fake(backend, requests(CLEAR, OK), requests(MD5, OK),
                  requests(OK), backend)
    walstream = start(server, require_auth="scram-sha-256", password=SECRET)
    stream = attach(walstream)
    for count in (2, 3, 4):
        lost(walstream, "require_auth", count=count)
    stream.expect(2, 30)
    assert stream.ids() == [1, 2]
    assert not any(one.messages for one in server.connections[1:4])
    check_kept(server)


def sasl_then(*then):
    """SASL is begun, and goes on otherwise than it should."""
    def script(c):
        c.begin()
        Scram(SECRET).start(c)
        go_on(c, *then)
    return script


def continued_then(*then):
    def script(c):
        c.begin()
        scram = Scram(SECRET)
        scram.start(c)
        c.send(fakepg.auth_sasl_continue(scram.server_first().encode()))
        c.expect("p")
        go_on(c, *then)
    return script


def finished_then(*then):
    def script(c):
        c.begin()
        scram = Scram(SECRET)
        scram.start(c)
        scram.go_on(c)
        go_on(c, *then)
    return script


FIRST = fakepg.auth_sasl_continue(b"r=abc,s=QSXCR+Q6sek8bf92,i=4096")
LAST = fakepg.auth_sasl_final(b"v=" + b64(b"s" * 32).encode())

DOWNGRADES = {
    "ok_after_sasl": sasl_then(OK),
    "cleartext_after_sasl": sasl_then(CLEAR, OK),
    "md5_after_sasl": sasl_then(MD5, OK),
    "sasl_again": sasl_then(SASL, OK),
    "final_after_sasl": sasl_then(LAST, OK),
    "ready_after_sasl": sasl_then(fakepg.ready()),
    "ok_after_continue": continued_then(OK),
    "cleartext_after_continue": continued_then(CLEAR, OK),
    "sasl_after_continue": continued_then(SASL, OK),
    "continue_again": continued_then(FIRST, OK),
    "error_free_final": continued_then(fakepg.auth_sasl_final(b""), OK),
    "final_again": finished_then(LAST, OK),
    "continue_after_final": finished_then(FIRST, OK),
    "sasl_after_final": finished_then(SASL, OK),
    "cleartext_after_final": finished_then(CLEAR, OK),
    "ok_twice": finished_then(OK, OK),
    "cleartext_after_ok": finished_then(OK, CLEAR),
    "unsolicited_continue": requests(FIRST),
    "unsolicited_final": requests(LAST, OK),
    "cleartext_twice": requests(CLEAR, CLEAR, OK),
    "md5_twice": requests(MD5, MD5, OK),
    "cleartext_after_md5": requests(MD5, CLEAR, OK),
    "sasl_after_md5": requests(MD5, SASL),
    "no_code": requests(fakepg.message("R"), OK),
    "md5_without_salt": requests(fakepg.auth(5)),
    "md5_short_salt": requests(fakepg.auth(5, b"abc")),
    "no_mechanism": requests(fakepg.auth_sasl()),
    "no_list": requests(fakepg.auth(10)),
    "list_without_end": requests(fakepg.auth(10, b"SCRAM-SHA-256")),
    "list_without_last_nul": requests(fakepg.auth(10, b"SCRAM-SHA-256\0")),
    "unknown_mechanism": requests(fakepg.auth_sasl("SCRAM-SHA-1", "PLAIN")),
    "lower_case": requests(fakepg.auth_sasl("scram-sha-256")),
    "kerberos": requests(fakepg.auth(2), OK),
    "crypt": requests(fakepg.auth(4, b"ab"), OK),
    "scm": requests(fakepg.auth(6), OK),
    "gss": requests(fakepg.auth(7), OK),
    "gss_continue": requests(fakepg.auth(8, b"abc"), OK),
    "sspi": requests(fakepg.auth(9), OK),
    "unknown": requests(fakepg.auth(99), OK),
    "negative": requests(fakepg.auth(0xffffffff), OK),
    "ok_and_more": requests(fakepg.auth(0, b"more")),
    "cleartext_and_more": requests(fakepg.auth(3, b"more"), OK),
    "md5_and_more": requests(fakepg.auth(5, b"saltmore"), OK),
}
# The password was asked for, and may be sent.
GIVEN_AWAY = {"cleartext_twice", "cleartext_and_more"}


@table("P37", DOWNGRADES)
def test_downgrade(fake, name):
    """No way leads to a session past a proof that was begun, no request is
    answered twice, and the password stays here."""
    server = fake(DOWNGRADES[name])
    refused(server, password=SECRET)
    if name not in GIVEN_AWAY:
        check_kept(server)
    assert not server.connections[0].queries()


# SCRAM

def swap(attribute, value):
    """Another value for an attribute of the server's message."""
    def change(text, scram):
        new = value(scram) if callable(value) else value
        return re.sub(rf"(^|,){attribute}=[^,]*",
                      lambda m: f"{m[1]}{attribute}={new}", text)
    return change


FIRSTS = {
    "nonce_not_ours": swap("r", "abcdefghijklmnopqrstuvwxyz0123456789"),
    "nonce_is_ours": swap("r", lambda s: s.client_nonce),
    "nonce_cut": swap("r", lambda s: s.client_nonce[:-1]),
    "nonce_empty": swap("r", ""),
    "nonce_ours_is_last": swap("r", lambda s: "server" + s.client_nonce),
    "nonce_other_case": swap("r", lambda s: s.client_nonce.swapcase() + "x"),
    "nonce_control": swap("r", lambda s: s.client_nonce + "\x07"),
    "nonce_space": swap("r", lambda s: s.client_nonce + " x"),
    "nonce_nul": swap("r", lambda s: s.client_nonce + "x\0y"),
    "nonce_latin1": swap("r", lambda s: s.client_nonce + "\xe4"),
    "salt_empty": swap("s", ""),
    "salt_not_base64": swap("s", "!!!!"),
    "salt_no_padding": swap("s", "QSXCR"),
    "salt_padding_inside": swap("s", "QS==CR+Q"),
    "salt_with_spaces": swap("s", "QSXC R+Q6"),
    "salt_with_newline": swap("s", "QSXC\nR+Q6sek8bf9"),
    "salt_huge": swap("s", b64(b"x" * 1200)),
    "salt_missing": lambda text, _: re.sub(",s=[^,]*", "", text),
    "i_missing": lambda text, _: re.sub(",i=.*", "", text),
    "i_empty": swap("i", ""),
    "i_zero": swap("i", "0"),
    "i_negative": swap("i", "-1"),
    "i_negative_4096": swap("i", "-4096"),
    "i_plus": swap("i", "+4096"),
    "i_space": swap("i", " 4096"),
    "i_leading_zero": swap("i", "04096"),
    "i_hexadecimal": swap("i", "0x1000"),
    "i_fraction": swap("i", "4096.5"),
    "i_letters": swap("i", "4096abc"),
    "i_above_the_cap": swap("i", "100001"),
    "i_10^9": swap("i", "1000000000"),
    "i_2^31": swap("i", "2147483648"),
    "i_2^32": swap("i", "4294967297"),
    "i_2^64": swap("i", "18446744073709551617"),
    "i_400_digits": swap("i", "9" * 400),
    "mandatory_extension": lambda text, _: "m=x," + text,
    "mandatory_at_the_end": lambda text, _: text + ",m=x",
    "extension": lambda text, _: text + ",x=y",
    "trailing_comma": lambda text, _: text + ",",
    "trailing_garbage": lambda text, _: text + "garbage",
    "trailing_nul": lambda text, _: text + "\0",
    "leading_comma": lambda text, _: "," + text,
    "other_order": lambda text, _: ",".join(reversed(text.split(","))),
    "twice": lambda text, _: text + "," + text,
    "upper_case": lambda text, _: text.replace("r=", "R=", 1),
    "empty": lambda text, _: "",
    "final_in_its_place": lambda text, _: "v=" + b64(b"s" * 32),
    "error_in_its_place": lambda text, _: "e=other-error",
    "garbage": lambda text, _: "\x00\xff\x1b[31m",
    "gs2_header": lambda text, _: "n,," + text,
    "1900_bytes": lambda text, _: "r=" + "x" * 1880,
}
FINALS = {
    "wrong_signature": swap("v", b64(b"s" * 32)),
    "one_bit": lambda text, _: "v=" + ("B" if text[2] == "A" else "A")
    + text[3:],
    "short_signature": swap("v", b64(b"s" * 31)),
    "long_signature": swap("v", b64(b"s" * 33)),
    "long_and_right": lambda text, _: text + text[2:],
    "empty_signature": swap("v", ""),
    "not_base64": swap("v", "!" * 44),
    "no_padding": lambda text, _: text.rstrip("="),
    "trailing_garbage": lambda text, _: text + "x",
    "trailing_comma": lambda text, _: text + ",",
    "extension": lambda text, _: text + ",x=y",
    "trailing_nul": lambda text, _: text + "\0",
    "leading_comma": lambda text, _: "," + text,
    "upper_case": lambda text, _: "V" + text[1:],
    "empty": lambda text, _: "",
    "error": lambda text, _: "e=invalid-proof",
    "error_and_signature": lambda text, _: "e=other-error," + text,
    "signature_and_error": lambda text, _: text + ",e=other-error",
    "error_ansi": lambda text, _: "e=\x1b[31m\x07\n\xff" + "x" * 1500,
    "error_formats": lambda text, _: "e=%s%n%99999d",
    "error_empty": lambda text, _: "e=",
    "first_again": lambda text, s: f"r={s.nonce},s=AAAA,i=1",
}


def check_scram(fake, scram):
    server = fake(scram)
    refused(server, "SCRAM", password=SECRET)
    check_kept(server)
    assert not server.connections[0].queries()
    return server.connections[0]


@table("P38_first", FIRSTS)
def test_server_first(fake, name):
    """A server-first-message that is wrong gets no proof."""
    connection = check_scram(fake, Scram(SECRET, first=FIRSTS[name]))
    assert [kind for kind, _ in connection.messages] == ["p"]


@table("P38_final", FINALS)
def test_server_final(fake, name):
    """A server-final-message that is wrong leads nowhere."""
    scram = Scram(SECRET, final=FINALS[name])
    check_scram(fake, scram)
    assert scram.authenticated


@pytest.mark.parametrize("iterations", [1, 4095, 4096, 100000],
                         ids=lambda i: f"P38_i_{i}")
def test_iterations(fake, start, iterations):
    """Counts up to the limit work, and a low one is complained of."""
    scram = Scram(SECRET, iterations=iterations)
    walstream = start(fake(Backend(login=scram)), password=SECRET)
    assert scram.authenticated and scram.gs2 == "n,,"
    low = [line for line in walstream.lines if "iterations" in line]
    assert bool(low) == (iterations < 4096), walstream.text()


def test_wrong_password(fake):
    """P38: what a server is sent that should not learn the password."""
    scram = Scram("another one", final=lambda text, _: "e=invalid-proof")
    check_scram(fake, scram)
    assert not scram.authenticated


def test_nonces(fake):
    """P38: each exchange has a nonce of its own, of 18 bytes."""
    seen = set()
    for _ in range(5):
        scram = Scram(SECRET, first=lambda text, _: "")
        check_scram(fake, scram)
        seen.add(scram.client_nonce)
    assert len(seen) == 5 and all(len(nonce) == 24 for nonce in seen)


# Channel binding without TLS

UNBOUND = {
    "plus_without_tls": (Scram(SECRET, (PLUS, PLAIN)), {}),
    "only_plus_without_tls": (Scram(SECRET, (PLUS,)), {}),
    "plus_without_tls_disable": (Scram(SECRET, (PLUS, PLAIN)),
                                 {"channel_binding": "disable"}),
    "require_plain": (Scram(SECRET), {"channel_binding": "require"}),
    "require_plus": (Scram(SECRET, (PLUS, PLAIN)),
                     {"channel_binding": "require"}),
    "require_cleartext": (requests(CLEAR), {"channel_binding": "require"}),
    "require_md5": (requests(MD5), {"channel_binding": "require"}),
    "require_ok": (requests(OK), {"channel_binding": "require"}),
}


@table("P39", UNBOUND)
def test_no_tls(fake, name):
    """-PLUS has no place where there is no TLS, and a binding that is
    required cannot be had there."""
    script, words = UNBOUND[name]
    server = fake(script)
    line = refused(server, password=SECRET, **words)
    assert re.search("channel binding|SCRAM-SHA-256-PLUS", line), line
    check_kept(server)
    assert server.connections[0].messages == []
