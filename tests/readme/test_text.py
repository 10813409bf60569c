"""What the README says without asking anybody to type it."""

import re

import pytest

import blocks
from conftest import REPOSITORY
from proc import run

LINKS = re.findall(r"\]\(([^)]+)\)", blocks.README)
HEADINGS = re.findall(r"^#+ (.*)$", blocks.README, re.MULTILINE)


def anchor(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


STRING = r'"((?:\\.|[^"\\])*)"'


def literals():
    """walstream's messages, each as the pieces between its conversions."""
    for path in sorted((REPOSITORY / "src").rglob("*.c")):
        text = path.read_text(encoding="utf-8").replace("LSN_FMT", '"%X/%X"')
        for match in re.finditer(rf"{STRING}(?:\s*{STRING})*", text):
            whole = "".join(re.findall(STRING, match[0])).replace('\\"', '"')
            pieces = re.split(r"%[-.0-9]*(?:ll|z)?[a-zA-Z]", whole)
            if len(pieces[0]) > 4 and " " in whole:
                yield pieces


def can_begin(pieces, message):
    """May what is made of the pieces begin with message?"""
    if not message.startswith(pieces[0]):
        return pieces[0].startswith(message)
    rest = message[len(pieces[0]):]
    for piece in pieces[1:]:
        before, found, after = rest.partition(piece)
        if not found:  # message ends in a value, or inside this piece
            return any(piece.startswith(before[n:])
                       for n in range(len(before) + 1)
                       if not set(before[:n]) & set(' "'))
        rest = after
    return not rest


# PostgreSQL's own words, and a gRPC library's.
NOT_OURS = ("no pg_hba.conf entry", "must be superuser", "permission denied",
            "all replication slots", "number of requested", "sorry, too many",
            "replication slot", "cannot update table", "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("link", LINKS)
def test_link(link):
    """It leads to a file that is there, or to a heading."""
    if link.startswith("#"):
        assert link[1:] in map(anchor, HEADINGS)
    elif not link.startswith("https:"):
        assert (REPOSITORY / link).exists()


def messages():
    for row in blocks.table("## Troubleshooting"):
        for message in re.findall(r"`([^`]+)`", row[0]):
            if " " in message and not message.startswith(
                    (*NOT_OURS, "walstream ")):
                yield message.rstrip("…")


@pytest.mark.parametrize("message", messages())
def test_message(message):
    """walstream can say this."""
    assert any(can_begin(pieces, message) for pieces in literals())


def test_commands():
    """The table has every command of --help, and no other."""
    listed = {name for row in blocks.table("## Commands")
              for name in re.findall(r"`(\w+)`", row[0])}
    text = run("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    assert listed == {line.split()[0] for line in text.splitlines()}


# What is to be typed stands in blocks, which test_readme.py types; in running
# text only the names of commands.
INLINE = sorted(set(re.findall(r"`((?:make|walstream|man|docker|docker-compose|"
                               r"systemctl) [^`]+)`", blocks.README)))


@pytest.mark.parametrize("command", INLINE)
def test_inline(command):
    """A make target that is there, or a command with options it has."""
    words = command.split()
    if words[0] == "make":
        rules = "".join((REPOSITORY / name).read_text(encoding="utf-8")
                        for name in ("Makefile", "tests/tests.mk"))
        assert re.search(rf"^{words[1]}:", rules, re.MULTILINE)
        for variable in words[2:]:
            assert re.search(rf"\b{variable.split('=')[0]}\b", rules)
    elif words[0] == "man":
        page = words[1] if "/" in words[1] else f"man/{words[1]}.1"
        assert (REPOSITORY / page).is_file()
    elif words[0] == "walstream":
        known = run("--help").stdout
        if words[1] != "COMMAND" and not words[1].startswith("-"):
            known = run(words[1], "--help").stdout
            assert f"walstream [OPTION...] {words[1]}" in known
        for option in re.findall(r"--[\w-]+", command):
            assert f"{option} " in known
    else:
        pytest.skip(f"needs an engine or systemd: {command}")
