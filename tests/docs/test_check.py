"""What walstream check looks at is what the page says."""

import re

import program
from page import text


def test_checks(manual):
    """Every row of the table, in its order."""
    table = program.source("cli/check.c").split("checks[] = {")[1]
    ids = re.findall(r'\{ "(\w+)", check_', table.split("};")[0])
    assert len(ids) > 15
    section = manual.subsections("COMMANDS")["check"]
    named = " ".join(section.words("Li")).replace(",", " ").split()
    assert [word for word in named if word in ids] == ids
    assert "Nothing is changed." in text(section)


def test_results(manual):
    """As they are printed."""
    shown = re.findall(r'\[RESULT_\w+\] = \{ "(\w+)"',
                       program.source("cli/report.c"))
    assert len(shown) == 3
    named = manual.subsections("COMMANDS")["check"].words("Li")
    for word in shown:
        assert any(word in one.split() for one in named), word
