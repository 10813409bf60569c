"""SASLprep against libpq's: a password must hash to what libpq stores.

libpq does not give away what it makes of a password, but what it hashes that
to, in PQencryptPasswordConn; hashing what ours is made of must give the same.
"""

import base64
import hashlib
import hmac
import random
import stringprep
import subprocess
import sys
import unicodedata

import pytest

from proc import REPOSITORY
from waiting import SANITIZED

SOURCES = ["tests/integration/saslprep.c", "src/pg/saslprep.c",
           "src/base/utf8.c"]

# Many to a password, so that every character there is can be tried.
TOGETHER = 64
RANDOM = 1500

# Without it, a password that is left as it is would look like one that need
# not be changed.
CHANGES = "\u2168"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """What becomes of a list of passwords."""
    place = tmp_path_factory.mktemp("saslprep")
    tables, program = place / "tables.c", place / "saslprep"
    with open(tables, "wb") as out:
        subprocess.run([sys.executable, "src/pg/saslprep_tables.py"],
                       cwd=REPOSITORY, stdout=out, check=True)
    sanitize = ["-fsanitize=address,undefined"] if SANITIZED else []
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Isrc", "-O1",
                    *sanitize, "-o", program, *SOURCES, tables, "-lcrypto"],
                   cwd=REPOSITORY, check=True)

    def prepare(passwords):
        lines = "".join(password.hex() + "\n" for password in passwords)
        done = subprocess.run([program], input=lines, check=True, text=True,
                              stdout=subprocess.PIPE)
        return [bytes.fromhex(line) for line in done.stdout.splitlines()]
    return prepare


@pytest.fixture(scope="module")
def stored_by_libpq(pg):
    with pg.connect("postgres") as conn:
        yield lambda password: conn.pgconn.encrypt_password(
            password, b"user", b"scram-sha-256").decode()


def is_of(secret, password):
    """Is SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey of password?"""
    _, count_and_salt, keys = secret.split("$")
    count, salt = count_and_salt.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(salt),
                                 int(count))
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return keys == ":".join(base64.b64encode(key).decode()
                            for key in (stored, server))


@pytest.fixture
def agree(prepared, stored_by_libpq):
    def check(passwords):
        passwords = [text if isinstance(text, bytes) else text.encode()
                     for text in passwords]
        ours = prepared(passwords)
        assert len(ours) == len(passwords)
        wrong = [(password, mine) for password, mine in zip(passwords, ours)
                 if not is_of(stored_by_libpq(password), mine)]
        assert not wrong, (f"{len(wrong)} of {len(passwords)} differ:"
                           f" {wrong[:5]}")
        return ours
    return check


PROHIBITED = (
    stringprep.in_table_a1, stringprep.in_table_c21_c22,
    stringprep.in_table_c3, stringprep.in_table_c4, stringprep.in_table_c6,
    stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9)


def is_mapped(char):
    return stringprep.in_table_c12(char) or stringprep.in_table_b1(char)


def is_refused(char):
    return not is_mapped(char) and any(has(char) for has in PROHIBITED)


CHARS = [chr(code) for code in range(1, sys.maxunicode + 1)
         if not 0xD800 <= code <= 0xDFFF]
REFUSED = [char for char in CHARS if is_refused(char)]
TAKEN = [char for char in CHARS if not is_refused(char)]
RTL = [char for char in TAKEN if stringprep.in_table_d1(char)]
OTHERS = [char for char in TAKEN if not stringprep.in_table_d1(char)]


def groups(chars):
    for at in range(0, len(chars), TOGETHER):
        yield "".join(chars[at:at + TOGETHER])


def test_every_character(agree):
    """All that RFC 4013 takes, from left to right and from right to left."""
    agree(list(groups(OTHERS)) + list(groups(RTL)))


def test_refused_characters(agree):
    """One that is prohibited or not assigned: nothing else is changed."""
    rnd = random.Random(1)
    ends = [char for last, char, following in zip(
        [""] + REFUSED, REFUSED, REFUSED[1:] + [""])
        if ord(char) - 1 != (ord(last) if last else 0)
        or not following or ord(following) != ord(char) + 1]
    chosen = rnd.sample(ends, 500) + rnd.sample(REFUSED, 200)
    passwords = [CHANGES + char for char in chosen]
    assert agree(passwords) == [text.encode() for text in passwords]


MARKS = [char for char in TAKEN if unicodedata.combining(char)]
PAIRS = [char for char in TAKEN
         if len(unicodedata.normalize("NFD", char)) > 1]
HANGUL = ([chr(code) for first, count in ((0x1100, 20), (0x1161, 22),
                                          (0x11A8, 28), (0xAC00, 60))
           for code in range(first, first + count)] + ["\u11a7", "\u0301"])
SPACES = [char for char in TAKEN if is_mapped(char)]
WELLS = [TAKEN, MARKS + PAIRS, MARKS + list("aeiouq"), HANGUL,
         RTL + list("1 a\u0301"), SPACES + list("a\u0301") + RTL[:3],
         CHARS[:0x3000], CHARS]


def draw(rnd):
    text = "".join(rnd.choices(rnd.choice(WELLS), k=rnd.randint(1, 9)))
    form = rnd.choice([None, "NFD", "NFKD", "NFC"])
    return unicodedata.normalize(form, text) if form else text


def spoil(rnd, password):
    """No longer UTF-8, most likely."""
    spoilt = bytearray(password)
    spoilt[rnd.randrange(len(spoilt))] = rnd.randrange(1, 256)
    return bytes(spoilt[:rnd.randint(1, len(spoilt))])


def test_random(agree):
    """Marks, syllables, directions, spaces; a third of them broken."""
    rnd = random.Random(2)
    passwords = [draw(rnd).encode() for _ in range(RANDOM)]
    ours = agree([spoil(rnd, password) if n % 3 == 0 else password
                  for n, password in enumerate(passwords)])
    changed = sum(mine != password
                  for mine, password in zip(ours, passwords))
    assert changed > RANDOM // 10


EDGES = {
    "": "",
    "\x01": "\x01",
    "\x7f\x1f": "\x7f\x1f",
    "I\u00adX": "IX",
    "user": "user",
    "\u00aa": "a",
    "\u2168": "IX",
    "\u0007\u2168": "\u0007\u2168",
    "\u0627\u0031": "\u0627\u0031",
    "\u0627\u00a0\u0628": "\u0627 \u0628",
    "\u00ad": "\u00ad",
    "\u00ad\u200d": "\u00ad\u200d",
    "\u200b": " ",
    "\u3000": " ",
    "\u00a0a\u00adb\u2003": " ab ",
    "\u0340\u2168": "\u0340\u2168",
    "\u0344": "\u0308\u0301",
    "\u1100\u1161\u11a8": "\uac01",
    "\uac00\u11a8": "\uac01",
    "\uac00\u11a7": "\uac00\u11a7",
    "\U0002F868": "\u36fc",
    "\U0001F600\u2168": "\U0001F600\u2168",
    "\ufdfa": "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644"
              "\u064a\u0647 \u0648\u0633\u0644\u0645",
    "a" + "\u0301\u0323" * 300: "\u1ea1" + "\u0323" * 299 + "\u0301" * 300,
}

BROKEN = [b"\xff", b"\xe2\x85\xa8\xff", b"\xe2\x85\xa8\xc0\x80",
          b"\xe2\x85\xa8\xed\xa0\x80", b"\xe2\x85\xa8\xf4\x90\x80\x80",
          b"\xe2\x85\xa8\xe2\x85", b"\xe2\x85\xa8\xf8\x88\x80\x80\x80",
          b"\x80\xe2\x85\xa8", b"\xe2\x85\xa8\xe0\x80\x80"]


def test_edges(agree):
    """What the result is, too; of broken UTF-8 the bytes as they are."""
    assert agree(list(EDGES)) == [text.encode() for text in EDGES.values()]
    assert agree(BROKEN) == BROKEN


def test_long(agree):
    """A quarter of a megabyte, decomposed."""
    (mine,) = agree(["a\u0308" * 80000])
    assert mine.decode() == "\u00e4" * 80000
