"""What else people and programs rely on: the environment, connection
strings, signals, exit statuses, and what is in the log."""

import re

import program
from page import items, text


def keyed(node):
    """{first word: item's text} of a list."""
    return {text(head).split()[0]: text(body) for head, body in items(node)}


def test_environment(manual):
    """Every variable that is read is in ENVIRONMENT, and no other anywhere."""
    read = program.environment()
    section = {word for head, _ in items(manual.sections["ENVIRONMENT"])
               for word in head.words("Ev")}
    assert section == read
    assert set(manual.root.words("Ev")) == read


def test_keywords(manual):
    """Those that are supported, with their variable and their default."""
    section = manual.sections["CONNECTION STRINGS"]
    page = {text(head): text(body) for head, body in items(section)}
    known = {keyword + (f" ({variable})" if variable else ""): preset
             for keyword, variable, preset in program.settings()}
    assert len(known) >= 40
    assert list(page) == list(known)
    for head, preset in known.items():
        assert re.search(rf"(?<![\w.-]){re.escape(preset)}(?![\w-])",
                         page[head]) or not preset, head


def test_choices(manual):
    """Every value of those that have a few."""
    section = manual.sections["CONNECTION STRINGS"]
    page = {text(head).split()[0]: text(body) for head, body in items(section)}
    table = program.source("pg/conninfo_check.c").split(
        "} choices[] = {")[1].split("\n};")[0]
    rows = re.findall(r"\{ CI_(\w+),\s*\{([^}]*)\}", table)
    assert len(rows) == table.count("CI_") > 10
    for name, values in rows:
        if name == "MIN_PROTOCOL_VERSION":  # its others are refused
            values = '"3.0"'
        for value in re.findall(program.STRING, values):
            said = page[name.lower()]
            if name == "SSL_MAX_PROTOCOL_VERSION":  # "Likewise"
                said = page["ssl_min_protocol_version"]
            assert value in said, f"{name}: {value}"


def test_keywords_of_help():
    """walstream --help lists them all."""
    listed = program.help_of().split("Keywords: ")[1].split(".\n\n")[0]
    assert re.split(r",\s+", listed) == [
        keyword for keyword, _, _ in program.settings()]


def test_refused_keywords(manual):
    """And those that are not."""
    section = manual.sections["CONNECTION STRINGS"]
    inside = {node for head, body in items(section)
              for part in (head, body) for node in part.walk()}
    named = {text(node) for node in section.all("Cm") if node not in inside}
    known = {keyword for keyword, _, _ in program.settings()}
    refused = program.refused()
    assert len(refused) > 10 and not refused & known
    assert named - known == refused


def test_exit_status(manual):
    """Those of the enum."""
    header = (program.SRC / "cli/commands.h").read_text(encoding="utf-8")
    assert sorted(keyed(manual.sections["EXIT STATUS"])) == sorted(
        re.findall(r"\bEXIT_\w+ = (\d+)", header))


def test_signals(manual):
    """Those that are caught or ignored."""
    handled = set(re.findall(r"sigaction\((SIG\w+)", program.source()))
    assert {word for head, _ in items(manual.sections["SIGNALS"])
            for word in re.split(r", ", text(head))} == handled


def test_files(manual):
    """Paths that the program itself opens are in FILES."""
    named = text(manual.sections["FILES"])
    places = program.source("net/addr.c", "pg/conninfo.c",
                            "pg/conninfo_check.c")
    found = set(re.findall(r'"(/[\w./-]+)"', places))
    users = set(re.findall(r'"%s(/\.[\w./-]+)"', places))
    assert found and users
    for path in found | {"~" + path for path in users}:
        assert path in named


def test_log_events(manual):
    """Every key that can be logged, with its levels, and no other."""
    page = {}
    for head, _ in items(manual.subsections("DIAGNOSTICS")["Events"]):
        keys, levels = re.fullmatch(r"(.*) \((.*)\)", text(head)).groups()
        for key in keys.split(", "):
            assert key not in page
            page[key] = set(levels.split(", "))
    assert page == program.log_keys()


def test_messages(manual):
    """What is said to be a message is one."""
    known = {re.sub("\0+", "\0", one) for one in program.literals()}
    heads = [text(head, ar="\0") for head, _ in
             items(manual.subsections("DIAGNOSTICS")["Messages"])]
    assert len(heads) > 30
    for head in heads:
        assert any(said(head, one) for one in known), head.replace("\0", "X")


def said(head, literal):
    """A value at the end may be made of several."""
    return head == literal or (
        head.endswith("\0") and literal.startswith(head))
