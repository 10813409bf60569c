"""The README's code blocks, in order, and its tables."""

import collections
import re

from conftest import REPOSITORY

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

Block = collections.namedtuple("Block", "kind text line")


def blocks():
    for match in FENCE.finditer(README):
        yield Block(match[1], match[2],
                    README[:match.start()].count("\n") + 2)


def commands():
    """(line, command) for each command of each block of sh."""
    for block in blocks():
        if block.kind != "sh":
            continue
        for match in re.finditer(r"(?:.*\\\n)*.*\n", block.text):
            line = block.line + block.text[:match.start()].count("\n")
            yield line, match[0].replace("\\\n", " ").split("  #")[0].strip()


def others(kind):
    return [block for block in blocks() if block.kind == kind]


def table(heading):
    """The rows of the first table below a heading, each a list of cells."""
    below = README.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split(" | ")]
            for row in rows[2:]]
