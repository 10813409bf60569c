"""O8: a stream that joins starts at a transaction boundary."""

from validators import Violation


def check(history):
    for one in history.streams:
        wrong = one.reading.wrong
        if wrong is not None and wrong[0] == "o8":
            yield Violation("o8", f"{one}: {wrong[1]}", wrong[2]
                            + history.story(one.opened - 3, one.opened + 1))
