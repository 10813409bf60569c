"""walstream(1) and --help say the same of commands and options."""

import re

import pytest

import program
from page import items, text

EVERY = "Options of every command"
SHARED = program.options()
COMMANDS = program.commands()
POSITIONS = {1: "May be given without its name, as the first argument",
             2: "May be given without its name, as the second argument"}


def head_of(option):
    """The head of its item in the page."""
    letter = f"-{option.letter}, " if option.letter else ""
    arg = f" {option.arg}".replace("|", " | ") if option.arg else ""
    return f"{letter}--{option.name}{arg}"


def documented(node):
    """{name: (head, body)} of the options in a section."""
    found = {}
    for head, body in items(node):
        name = re.search(r"--([\w-]+)", text(head))
        assert name, f"no option: {text(head)}"
        assert name[1] not in found, f"--{name[1]} is there twice"
        found[name[1]] = (head, body)
    return found


def section(manual, command):
    if command == EVERY:
        return manual.subsections("DESCRIPTION")[EVERY]
    return manual.subsections("COMMANDS")[command]


def expected(command):
    if command == EVERY:
        return SHARED
    return {name: option for name, option in program.options(command).items()
            if name not in SHARED}


def test_commands(manual):
    """A subsection each, and a line of the synopsis."""
    assert list(manual.subsections("COMMANDS")) == COMMANDS
    assert [words.split()[0] for words in
            manual.sections["SYNOPSIS"].words("Cm")
            if words in COMMANDS] == COMMANDS


@pytest.mark.parametrize("command", [EVERY, *COMMANDS])
def test_options(manual, command):
    """The same options, with the same letters and arguments."""
    page = documented(section(manual, command))
    program_has = expected(command)
    assert sorted(page) == sorted(program_has)
    for name, (head, _) in page.items():
        assert text(head) == head_of(program_has[name])


@pytest.mark.parametrize("command", [EVERY, *COMMANDS])
def test_defaults_and_environment(manual, command):
    """The same defaults, and environment variables."""
    page = documented(section(manual, command))
    for name, option in expected(command).items():
        said = text(page[name][1])
        default = re.search(r"The default is ([^ ,]+?)[.,]?(?: |$)", said)
        assert (default and default[1]) == option.default, name
        variable = re.search(r"Environment: (\w+)\.", said)
        assert (variable and variable[1]) == option.env, name
        # What --help says in words.
        also = set(re.findall(r"\$(\w+)", option.help))
        assert set(page[name][1].words("Ev")) == also | (
            {option.env} if option.env else set()), name


def test_the_rest_of_the_table(manual):
    """Positions, what is required and what may be repeated."""
    rows = program.rows()
    assert {row.command for row in rows} - {None} == set(COMMANDS)
    for row in rows:
        _, body = documented(section(manual, row.command or EVERY))[row.name]
        said = text(body)
        where = f"{row.command} --{row.name}"
        for position, words in POSITIONS.items():
            assert (words in said) == (row.position == position), where
        assert ("Required." in said) == (
            row.kind in ("REQUIRED", "AT_LEAST_ONE")), where
        assert ("May be repeated" in said) == (
            row.kind in ("REPEATED", "AT_LEAST_ONE")), where


def test_text_names_only_options(manual):
    """An option that the text mentions is one that some command has."""
    every = set(SHARED) | {name for command in COMMANDS
                           for name in program.options(command)}
    letters = {option.letter for command in COMMANDS
               for option in program.options(command).values()}
    for word in manual.root.words("Fl"):
        name = word.lstrip("-")
        assert name in (every if word.startswith("--") else letters) | {""}
