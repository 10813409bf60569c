"""Every type of pg_type: insert, update and delete are row_to_json's text."""

import pytest

from exchange import exchange
from feed import Feed
from generators import NO_TEXT
from table import GeneratedTable
from tally import Tally, total

KINDS = ("base", "enum", "domain", "range", "multirange", "composite", "row")
GROUPS = [prefix + kind for kind in KINDS for prefix in ("", "array of ")]
WIDEST = 60  # columns of a table
WIDE_ROWS = ("row", "array of row")  # these get tables of fewer columns


@pytest.mark.parametrize("group", GROUPS)
def test_group(group, conn, catalogue, generators, stubs, walstream):
    tally = Tally()
    mine = [generators.make(one.oid) for one in catalogue.columnable
            if catalogue.group(one) == group]
    assert mine, f"no {group}"
    width = WIDEST // 2 if group in WIDE_ROWS else WIDEST
    for first in range(0, len(mine), width):
        name = f"{group.replace(' ', '_')}_{first}"
        table = GeneratedTable(conn, name, mine[first:first + width])
        with Feed(stubs, walstream, name) as feed:
            exchange(table, feed, tally)
    total.add(tally)
    tally.check()


def test_nothing_left_out(catalogue):
    """The groups above are all there are."""
    assert {catalogue.group(one) for one in catalogue.columnable} \
        == set(GROUPS)


def test_only_null(catalogue, generators):
    """Only of an enum without labels, of base types whose input takes no text
    and that no system table has, and of domains over these, all values were
    NULL."""
    for name in total.only_null:
        one = next(t for t in catalogue.types.values() if t.sql == name)
        while one.kind == "domain":
            one = catalogue.types[one.of]
        assert one.name == "no_label" or \
            generators.refusals(one, ["1"])["1"] in NO_TEXT, name
