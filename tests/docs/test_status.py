"""The members of /status.json: the manual has them all, and no others."""

import re

import program
from page import items, text


def test_members(manual):
    section = manual.subsections("OPERATING")["The status page"]
    heads = {text(head) for head, _ in items(section)}
    inner = {word.rstrip(" ,;.:") for _, body in items(section)
             for word in body.words("Li")}
    written = re.findall(r'\bjson_(?!put)\w+\(\s*to,\s*"(\w+)"',
                         program.source("server/status_json.c"))
    assert len(written) > 60
    assert heads | inner == set(written)
