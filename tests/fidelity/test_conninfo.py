"""Connection strings, services, variables and password files against libpq.

PG=14 ... 18 take the libpq beside that server. A string that libpq takes is
one for us, with the same values, or is refused by name; one that libpq refuses
is refused.
"""

import ctypes.util
import os
import pathlib
import random
import re
import subprocess
import sys

import pytest

import libpq
import place
from conftest import SEED
from pgserver import find_bindir
from proc import binary, check_reports
from strings import Strings, encode

# What we have in place of nothing.
PRESETS = {
    "host": "", "hostaddr": "", "port": "5432", "options": "", "requirepeer": "",
    "require_auth": "", "ssl_max_protocol_version": "",
    "fallback_application_name": "walstream", "client_encoding": "UTF8",
    "connect_timeout": "0", "keepalives": "1", "keepalives_idle": "0",
    "keepalives_interval": "0", "keepalives_count": "0",
    "tcp_user_timeout": "0", "load_balance_hosts": "disable",
    "min_protocol_version": "3.0", "max_protocol_version": "3.0",
    "sslnegotiation": "postgres", "sslcertmode": "allow"}
# Where an empty value is none.
NONE_IF_EMPTY = {"user", "password", "passfile", "dbname", "client_encoding",
                 "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl",
                 "sslcrldir", "host", "hostaddr", "port", "options",
                 "requirepeer", "require_auth"}
# What libpq takes and we do not: it may be a part of a password, cannot be
# met, or is no plain yes or no.
OURS = re.compile(
    r'more than one "@"|allows nothing that is supported|can only be UTF8'
    r'|"(sslsni|sslcompression)".* must be 0, 1')
# Errors of values, which PQconninfoParse does not look at.
VALUES = re.compile(r'connection option "\w+"( \(\w+\))? '
                    r'(must|cannot|can only|is above|names|allows|is missing)'
                    r'|the service ".*" is not defined|no service file')


# What libpq looks at when it has such a socket, or waits for it.
LATE = re.compile(r'"(keepalives\w*|tcp_user_timeout|port|connect_timeout)"'
                  r'.* must be a number')


def library():
    """The libpq of the server that is tested with, or the system's."""
    beside = pathlib.Path(find_bindir()).parent / "lib" / "libpq.so.5"
    if "WALSTREAM_PG_BINDIR" in os.environ and beside.exists():
        return str(beside)
    return ctypes.util.find_library("pq") or pytest.fail("there is no libpq")


def table():
    """{keyword: variable} of this libpq."""
    options = libpq.load(library()).PQconndefaults()
    return {option.keyword.decode(): (option.envvar or b"").decode()
            for option in libpq.listed(options)}


class Peer:
    """A program that answers a line with a line."""

    def __init__(self, *command):
        self.command = command

    def ask(self, questions):
        """[(text, environment)]: for each the error, or (settings, passwords).
        """
        lines = [" ".join([text.hex(), *(
            f"{name}={encode(value).hex()}"
            for name, value in env.items())]) for text, env in questions]
        done = subprocess.run(
            self.command, input="".join(line + "\n" for line in lines),
            capture_output=True, text=True, check=False, timeout=600)
        check_reports(done.stderr)
        assert done.returncode == 0, done.stderr[-2000:]
        answers = done.stdout.splitlines()
        assert len(answers) == len(lines)
        return [self.understand(answer) for answer in answers]

    @staticmethod
    def understand(answer):
        kind, *words = answer.split(" ")
        if kind == "no":
            return bytes.fromhex(words[0]).decode(errors="replace")
        settings, passwords = {}, []
        for word in words:
            key, value = word.split("=")
            if key == "host.password":
                passwords.append(None if value == "-"
                                 else bytes.fromhex(value))
            else:
                settings[key] = bytes.fromhex(value)
        return settings, passwords


@pytest.fixture(scope="module")
def ours():
    program = pathlib.Path(binary()).parent / "fidelity" / "conninfo"
    assert program.exists(), f"{program}: run make fidelity"
    return Peer(str(program))


def theirs(act):
    return Peer(sys.executable, str(place.HERE / "libpq.py"), library(), act)


@pytest.fixture(scope="module")
def known():
    """The keywords of this libpq."""
    return set(table())


@pytest.fixture
def rng(request):
    return random.Random(f"{SEED} {request.node.name}")


def plain(settings):
    """Without what is none, and with what then is."""
    have = {key: value for key, value in settings.items()
            if value or key not in NONE_IF_EMPTY}
    return {**{key: value.encode() for key, value in PRESETS.items()}, **have}


def differences(mine, its, only):
    """Of the settings that both have."""
    mine, its = plain(mine), plain(its)
    return [f"{key}: {mine.get(key)} instead of {its.get(key)}"
            for key in only if mine.get(key) != its.get(key)]


def told(problems, count):
    for question, problem in problems[:20]:
        print(question, problem)
    assert not problems, f"{len(problems)} of {count}: {problems[0]}"


ENV = {"HOME": "/nonexistent", "PGUSER": "nobody"}


def compare_texts(ours, texts, acceptable):
    """As PQconninfoParse has it; returns how many both took."""
    # Before 18, libpq took spaces in a URI as they are.
    if not isinstance(theirs("parse").ask([(b"postgres://a b", ENV)])[0],
                      str):
        texts = [text for text in texts
                 if not text.startswith(b"postgres") or b" " not in text]
    questions = [(text, ENV) for text in texts]
    problems, both = [], 0
    for text, mine, its in zip(texts, ours.ask(questions),
                               theirs("parse").ask(questions)):
        if isinstance(its, str):
            if not isinstance(mine, str):
                problems.append((text, f"taken; libpq: {its}"))
        elif isinstance(mine, str):
            if not (OURS.search(mine) or acceptable.search(mine)):
                problems.append((text, f"refused: {mine}"))
        else:
            both += 1
            only = {key for key, value in its[0].items()
                    if value or key not in NONE_IF_EMPTY}
            wrong = differences(mine[0], its[0], only)
            if wrong:
                problems.append((text, wrong))
    told(problems, len(texts))
    return both


@pytest.mark.parametrize("form", ["pairs", "uri"])
def test_texts(ours, known, rng, form):
    """Two thousand that are right, but for a value here and there."""
    strings = Strings(rng, known)
    texts = [encode(getattr(strings, form)(strings.settings()))
             .replace(b"\0", b"") for _ in range(2000)]
    assert compare_texts(ours, texts, VALUES) > 1000


@pytest.mark.parametrize("form", ["pairs", "uri"])
def test_spoilt(ours, known, rng, form):
    """Two thousand that were right."""
    strings = Strings(rng, known)
    texts = [encode(strings.spoilt(getattr(strings, form)(
        strings.settings(bad=0)))) for _ in range(2000)]
    both = compare_texts(ours, texts, VALUES)
    assert 200 < both < 1900


# Not compared: what libpq fills in from elsewhere, or has where we have not.
APART = {"passfile", "gssencmode", "krbsrvname", "gsslib", "gssdelegation",
         "replication", "client_encoding", "fallback_application_name",
         "application_name", "service", "servicefile"}


def compare_connections(ours, questions, known):
    """As PQconnectdb has it; returns how many both took."""
    problems, both = [], 0
    for question, mine, its in zip(questions, ours.ask(questions),
                                   theirs("connect").ask(questions)):
        if isinstance(its, str):
            if not isinstance(mine, str):
                problems.append((question, f"taken; libpq: {its}"))
        elif isinstance(mine, str):
            if not OURS.search(mine) and not LATE.search(mine):
                problems.append((question, f"refused: {mine}"))
        else:
            both += 1
            wrong = differences(mine[0], its[0], known - APART)
            if len(mine[1]) == 1 and mine[1] != its[1]:
                wrong.append(f"password: {mine[1]} instead of {its[1]}")
            if wrong:
                problems.append((question, wrong))
    told(problems, len(questions))
    return both


def test_values(ours, known, rng):
    """Values are right for both, or for neither; defaults are the same."""
    strings = Strings(rng, known)
    questions = [(encode(strings.pairs(strings.settings(
        bad=rng.choice([0, 0, 0.1])))), ENV) for _ in range(1500)]
    assert compare_connections(ours, questions, known) > 500


SERVICES = """\
# of everybody
[one]
{one}

[two]
{two}
[three]
 # none
"""


def test_sources(ours, known, rng, tmp_path):
    """String, service, variables: which comes first, and what is wrong."""
    strings, names = Strings(rng, known), table()
    questions = []
    for number in range(600):
        bad = rng.choice([0, 0, 0, 0.03])
        env = {names[key]: value.replace("\0", "") for key, value in
               strings.settings(bad, most=10).items() if names.get(key)}
        env = {**ENV, **env, "HOME": str(tmp_path / "home")}
        if rng.random() < 0.2:
            env["PGREQUIRESSL"] = rng.choice(["1", "0", ""])
        sections = {name: "\n".join(
            f"{key}={value}" for key, value in
            strings.settings(bad, most=4).items() if "\n" not in value)
            for name in ("one", "two")}
        file = tmp_path / f"service{number}"
        file.write_bytes(encode(SERVICES.format(**sections)))
        env["PGSERVICEFILE"] = str(file)
        settings = strings.settings(bad, most=3)
        if rng.random() < 0.7:
            service = rng.choice(["one", "two", "three"])
            if rng.random() < 0.1:
                service = rng.choice(["four", ""])
            if rng.random() < 0.5:
                settings["service"] = service
            else:
                env["PGSERVICE"] = service
        if rng.random() < 0.05:
            env["PGSERVICEFILE"] = rng.choice(["/nonexistent", ""])
        form = rng.choice([strings.pairs, strings.uri])
        questions.append((encode(form(settings)), env))
    assert compare_connections(ours, questions, known) > 150


def passfile(rng):
    """Lines that nearly match."""
    fields = [["h", "*", "localhost", "127.77.0.1", "/run", "@x", "\\h", ""],
              ["1", "*", "5432", "2"], ["d", "*", "a\\:b", "e", "a:b"],
              ["u", "*", "v", "\\\\u", "#"]]
    text = ""
    for _ in range(rng.randrange(8)):
        line = ":".join(rng.choice(field + ["*"] * 6) for field in fields)
        line += ":" + "".join(rng.choices("abc\\:# é", k=rng.randrange(6)))
        line = rng.choice(["", "", "", "", "#", " "]) + line
        text += line * rng.choice([1, 1, 1, 30])
        text += rng.choice(["\n", "\n", "\n", "\r\n", "\n\n"])
    return text[:-1] if rng.random() < 0.3 else text


def test_password_files(ours, known, rng, tmp_path):
    """The same password is found, or none."""
    questions = []
    for number in range(800):
        file = tmp_path / f"passfile{number}"
        file.write_bytes(encode(passfile(rng)))
        file.chmod(0o600)
        words = {"host": rng.choice(["127.77.0.1", "/run", "@x", ""]),
                 "port": rng.choice(["1", "2", ""]),
                 "dbname": rng.choice(["d", "a:b", "e"]),
                 "user": rng.choice(["u", "v", "\\u"]),
                 "passfile": str(file)}
        if rng.random() < 0.3:
            words["hostaddr"] = "127.77.0.1"
            words["host"] = rng.choice(["h", "localhost", ""])
        text = Strings(rng, known).pairs(words)
        questions.append((encode(text), ENV))
    assert compare_connections(ours, questions, known) == len(questions)
    found = sum(answer[1][0] is not None for answer in ours.ask(questions))
    assert found > 100


def test_can_fail(ours):
    """A difference is one."""
    with pytest.raises(AssertionError, match="taken"):
        compare_texts(Peer("/usr/bin/sed", "s/.*/ok/"), [b"uzer=x"], VALUES)
    with pytest.raises(AssertionError, match="refused"):
        compare_texts(Peer("/usr/bin/sed", "s/.*/no 78/"), [b"user=x"], VALUES)
    with pytest.raises(AssertionError, match="user: "):
        compare_texts(Peer("/usr/bin/sed", "s/.*/ok user=78/"), [b"user=y"],
                      VALUES)
    assert compare_texts(ours, [b"user=x"], VALUES) == 1
