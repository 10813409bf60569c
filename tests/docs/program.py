"""What the program says of itself, and what its source knows."""

import collections
import re

from page import REPOSITORY
from proc import run

SRC = REPOSITORY / "src"
STRING = r'"((?:\\.|[^"\\])*)"'
OPTION = re.compile(
    r"^  (?:-(\w), |    )--([\w-]+)(?: (?! )(\S+))? +(.*?)"
    r"(?: \[env: (\w+)\])?(?: \[default: (.*)\])?$", re.MULTILINE)

Option = collections.namedtuple("Option", "letter name arg help env default")
Row = collections.namedtuple("Row", "command name position kind")


def source(*names):
    """The C files named, or all of them, as one text."""
    paths = [SRC / name for name in names] or sorted(SRC.rglob("*.c"))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def help_of(*command):
    done = run(*command, "--help")
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout


def commands():
    listed = help_of().split("\nCommands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def options(*command):
    """The options of a command, by name; without one, those of all."""
    listed = help_of(*command).split("\nOptions:\n")[1]
    found = [Option(*match.groups()) for match in OPTION.finditer(listed)]
    assert len(found) == len(listed.splitlines()), "--help is not understood"
    return {option.name: option for option in found}


def rows():
    """The option table, for what --help does not show."""
    word = rf"(?:NULL|0|'.'|(?:{STRING}\s*)+)"
    pattern = (rf'\{{ OPT_\w+,\s*"([\w-]+)",\s*(?:{word},\s*){{4}}'
               r'(?:"(\w+)"|NULL),\s*(\d),\s*([A-Z_]+),')
    table = source("cli/options.c").split("table[] = {")[1].split("};")[0]
    found = [Row(match[match.lastindex - 2], match[1],
                 int(match[match.lastindex - 1]), match[match.lastindex])
             for match in re.finditer(pattern, table)]
    assert len(found) == table.count("{ OPT_"), "the table is not understood"
    return found


def log_keys():
    """{key: levels} of every call that logs."""
    found = collections.defaultdict(set)
    calls = re.findall(r"\blog_(error|warn|info|debug)\(([^;,]*),", source())
    calls += re.findall(r"\b(?:log_limited|print_line)\([^;\"]*LOG_(\w+),([^;,]*),",
                        source())
    for level, key in calls:
        keys = re.findall(STRING, key)
        assert keys, f"no key is understood in {key}"
        for one in keys:
            found[one].add(level.lower())
    return found


def literals():
    """Every string of the source, with \\0 for what is put into it."""
    whole = source().replace("LSN_FMT", '"%X/%X"')
    for match in re.finditer(rf"{STRING}(?:\s*{STRING})*", whole):
        one = "".join(re.findall(STRING, match[0])).replace('\\"', '"')
        one = re.sub(r"%[-.0-9]*(?:ll|z)?[a-zA-Z]", "\0", one)
        yield one.replace("%%", "%").replace("\0/\0", "\0")


def settings():
    """(keyword, variable, default) of every row of conninfo.c's table."""
    table = source("pg/conninfo.c").split(
        "} settings[CI_SETTINGS] = {")[1].split("\n};")[0]
    found = re.findall(r'\] = \{\s*"(\w+)",\s*(?:"(\w+)"|NULL),\s*'
                       r'(?:"([^"]*)"|NULL),\s*(?:true|false)\s*\}', table)
    assert len(found) == table.count("[CI_"), "the table is not understood"
    return found


def refused():
    """The keywords that it refuses by name."""
    table = source("pg/conninfo.c").split("refused[] = {")[1].split("};")[0]
    return set(re.findall(STRING, table))


def environment():
    """Every environment variable that is read."""
    read = set(re.findall(r'getenv\("(\w+)"\)', source()))
    read |= set(re.findall(r'"(PG[A-Z_]+)"', source()))
    for command in [(), *((name,) for name in commands())]:
        read |= {option.env for option in options(*command).values()
                 if option.env}
    return read
