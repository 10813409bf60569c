"""The comparison can fail: canaries."""

import pytest

from tally import Tally

NAMES = ["int4", "text", "mine.pair"]
ROW = '{"id":7,"~1":1,"~2":"a\\"b","~3":{"a":null,"b":"é"}}'


def compared(payload):
    tally = Tally()
    tally.compare(NAMES, "insert", payload, ROW)
    return tally


def test_same():
    tally = compared(ROW)
    tally.check()
    assert (tally.values, tally.differences.total()) == (3, 0)


@pytest.mark.parametrize("at", range(len(ROW)))
def test_one_character(at):
    """Every single character counts, and is missed."""
    for payload in (ROW[:at] + "\x01" + ROW[at + 1:], ROW[:at] + ROW[at + 1:],
                    ROW[:at] + " " + ROW[at:]):
        with pytest.raises(AssertionError, match="differ"):
            compared(payload).check()


@pytest.mark.parametrize("payload, name", [
    (ROW.replace('":1,', '":2,'), "int4"),
    (ROW.replace('a\\"b', 'a"b'), "text"),
    (ROW.replace('null', '0'), "mine.pair"),
    (ROW.replace(',"~2":"a\\"b"', ""), "text"),
    ('{"id":7}', "int4"),
    ("", "int4"),
    (ROW.replace('"id":7', '"id":8'), "(outside the columns)"),
    (ROW + " ", "mine.pair"),
])
def test_named(payload, name):
    """The type is named, with both texts."""
    with pytest.raises(AssertionError) as caught:
        compared(payload).check()
    assert f"\n{name}: 1 differences; first: insert at" in str(caught.value)


def test_added_up():
    """One difference in a group is one in the total."""
    total = Tally()
    total.add(compared(ROW))
    total.add(compared(ROW.replace("é", "e")))
    assert (total.values, total.differences.total()) == (6, 1)
    with pytest.raises(AssertionError, match="mine.pair"):
        total.check()
