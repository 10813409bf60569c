"""Fields of 1 MB and of 100 MB."""

import pathlib

import place

import pytest

from exchange import exchange
from feed import Feed
from pgserver import find_bindir
from table import LargeTable
from tally import Tally, total

SIZES = {1000000: list(LargeTable.VALUES)}
if place.REPOSITORY / "build/pg" not in pathlib.Path(find_bindir()).parents:
    # They take long: once is enough, with the distribution's server.
    SIZES[100000000] = ["text", "bytea"]


@pytest.mark.parametrize("size", SIZES)
def test_large(size, conn, stubs, walstream):
    tally = Tally()
    table = LargeTable(conn, f"large_{size}", SIZES[size], size)
    with Feed(stubs, walstream, table.name) as feed:
        exchange(table, feed, tally)
    total.add(tally)
    tally.check()
