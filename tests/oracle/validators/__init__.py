"""The rules O1 to O10, one each. check(history) yields violations."""

import collections

import place  # noqa: F401  (finds waiting)
from waiting import SANITIZED

# rule: o1 to o10. evidence: lines.
Violation = collections.namedtuple("Violation", "rule text evidence")

from validators import (  # noqa: E402  (they need Violation)
    o1, o2, o3, o4, o5, o6, o7, o8, o9, o10)

ALL = [o1, o2, o3, o4, o5, o6, o7, o8, o9, o10]
LEFT_OUT = ""
if SANITIZED:
    ALL.remove(o7)
    LEFT_OUT = "not judged: O7, since a sanitizer's memory comes on top"


def check(history):
    """The violations of a round, at most a few of each rule."""
    found = []
    for rule in ALL:
        for count, one in enumerate(rule.check(history)):
            if count == 5:
                break
            found.append(one)
    return found
