"""X8: memory that is not there. Every allocation of a short life fails once,
and all from one on: nothing crashes, hangs, leaks or is confirmed that was not
acknowledged, and whoever was not hit, or comes again, gets everything."""

import random

import pytest

from scene import DONE, NO_START, UNFINISHED
from sweep import Tally

DOSE = 30


def count(scene, preload, tmp_path, **how):
    """How many allocations a life takes."""
    file = tmp_path / "count"
    assert scene.play(env={**preload, "SHIM_COUNT": str(file)}, **how) == DONE
    return int(file.read_text())


def numbers(total, sweep, seed):
    """Which of them fail: the late ones, of which there are fewer but which are
    more our own, are half of a dose."""
    if sweep:
        first, last = sweep
        return range(first, (last or total + total // 50) + 1)
    draw = random.Random(seed)
    late = total - total // 10
    return sorted(draw.sample(range(1, late), DOSE // 2)
                  + draw.sample(range(late, total + 20), DOSE // 2))


@pytest.mark.parametrize("then", ["", "+"], ids=["once", "from_then_on"])
def test_every_allocation(scene, shim, tmp_path, sweep, seed, then):
    """The program as it is, and all that its libraries allocate."""
    tally = Tally("allocations")
    preload = {"LD_PRELOAD": shim}
    total = count(scene, preload, tmp_path)
    allowed = {DONE, NO_START} if then == "" else {DONE, NO_START, UNFINISHED}
    for n in numbers(total, sweep, seed):
        tally.play(scene, f"allocation {n}{then} of {total}", allowed,
                   env={**preload, "SHIM_FAIL": f"{n}{then}"},
                   patience=10 if then == "" else 0.5)
    tally.check()


@pytest.mark.parametrize("then", ["", "+"], ids=["once", "from_then_on"])
def test_leaks(scene, failing, tmp_path, sweep, seed, then):
    """What its own objects allocate, under AddressSanitizer: nothing leaks."""
    tally = Tally("own allocations")
    total = count(scene, {}, tmp_path, program=failing)
    allowed = {DONE, NO_START} if then == "" else {DONE, NO_START, UNFINISHED}
    for n in numbers(total, sweep, seed):
        tally.play(scene, f"own allocation {n}{then} of {total}", allowed,
                   env={"SHIM_FAIL": f"{n}{then}"}, program=failing,
                   patience=10 if then == "" else 0.5)
    tally.check()
