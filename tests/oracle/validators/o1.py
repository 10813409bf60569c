"""O1: confirmed is at most the end of the last transaction that every member
of the quorum has acknowledged.

More exactly: PostgreSQL sends a transaction again only if its commit record
is at or above confirmed. So confirmed must not be above the commit LSN of the
first transaction that some member has not acknowledged to its end.
"""

from validators import Violation, positions


def check(history):
    for at, lsn, number in positions.told(history):
        overrun = positions.overrun(history, at, lsn)
        if overrun is not None and positions.is_acked(history, lsn):
            yield Violation("o1", positions.describe(overrun, at, lsn),
                            positions.evidence(history, overrun, number))
