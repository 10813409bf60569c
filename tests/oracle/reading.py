"""One stream held against what was committed, message by message.

The first thing that is wrong ends the reading: what follows is a consequence.
"""

ROWS = ("insert", "update", "delete", "truncate")


class Wrong(Exception):
    def __init__(self, rule, text):
        super().__init__(text)
        self.rule = rule


class Reading:
    """first: the place (in the view) of the first transaction that came; None
    when none did. next: of the first that has not come whole. rows: how many
    events. wrong: (rule, text, evidence) or None."""

    def __init__(self, stream, view):
        self.stream = stream
        self.view = view
        self.first = self.next = None
        self.rows = 0
        self.wrong = None
        self.progress = 0     # the highest there was
        self._expected = None  # the rest of the open transaction
        self._ahead = None     # its next event
        self._sent = 0         # of it
        self._begun = False    # Subscribe: between begin and commit
        self._lately = []

    def read(self):
        try:
            for at, kind, message in self.stream.delivered():
                self._note(at, kind, message)
                self._take(kind, message)
        except Wrong as wrong:
            self.wrong = (wrong.rule, str(wrong), self.lately())
        return self

    def lately(self):
        """The last messages, as text."""
        return [f"{at:.6f} {self.stream.name} {kind} "
                + str(message).replace("\n", " ")[:300]
                for at, kind, message in self._lately[-4:]]

    def _note(self, at, kind, message):
        if len(self._lately) > 8:
            del self._lately[:4]
        self._lately.append((at, kind, message))

    def _take(self, kind, message):
        if kind in ROWS:
            self._row(kind, message)
        elif kind == "begin":
            self._begin(message)
        elif kind == "commit":
            self._commit(message)
        elif kind == "progress":
            self._progress(message)
        elif kind != "started":
            raise Wrong("o4", f"a message of the unknown kind {kind}")

    # Transactions

    def _open(self, place):
        """The next transaction is this one; is that its turn?"""
        view = self.view
        if self.next is None:
            self.first = place
        elif place < self.next:
            raise Wrong("o6", f"{view.transactions[place]} came a second time"
                              " on one stream")
        elif place > self.next:
            raise Wrong("o4", f"{view.transactions[self.next]} was left out:"
                              f" the next that came is"
                              f" {view.transactions[place]}")
        if view.commits[place] < self.progress:
            raise Wrong("o4", f"{view.transactions[place]} came after progress"
                              f" up to {self.progress:X}")
        self.next = place
        self._expected = view.events(place)
        self._sent = 0
        self._ahead = next(self._expected)

    def _close(self):
        self._expected = self._ahead = None
        self.next += 1

    def _advance(self):
        self._sent += 1
        self._ahead = next(self._expected, None)

    # Messages

    def _row(self, kind, message):
        if self.stream.subscribe and not self._begun:
            raise Wrong("o4", "an event outside of begin and commit")
        if self._ahead is None:
            if self._begun:
                raise Wrong("o4", "an event more than the transaction has: "
                                  + self._show(kind, message))
            self._open(self._find(kind, message))
        if not self._same(self._ahead, kind, message):
            self._explain(kind, message)
        self.rows += 1
        self._advance()
        if self._ahead is None and not self._begun:
            self._close()

    def _begin(self, message):
        if self._begun:
            raise Wrong("o4", "a begin before the commit")
        place = self.view.first_at(message.commit_lsn)
        if self.view.commit_of(place) != message.commit_lsn:
            raise Wrong("o4", f"a transaction at {message.commit_lsn:X}, where"
                              " none is for this stream")
        if message.pg_lsn != message.commit_lsn:
            raise Wrong("o4", f"begin.pg_lsn is {message.pg_lsn:X}, not C"
                              f" {message.commit_lsn:X}")
        self._open(place)
        self._check_xid(message.xid)
        self._begun = True

    def _commit(self, message):
        if not self._begun or self._ahead is not None:
            raise Wrong("o4", "a commit before the last event")
        one = self.view.transactions[self.next]
        told = (message.commit_lsn, message.pg_lsn, message.end_lsn,
                message.event_count)
        if told != (one.commit_lsn, one.end_lsn, one.end_lsn, self._sent):
            raise Wrong("o4", "commit says C {:X}, pg_lsn {:X}, E {:X}, {}"
                              " events".format(*told) + f"; it is {one},"
                              f" {self._sent} came")
        self._begun = False
        self._close()

    def _progress(self, message):
        if self._begun or self._ahead is not None:
            raise Wrong("o4", "progress inside a transaction")
        if message.pg_lsn < self.progress:
            raise Wrong("o4", "progress fell")
        self.progress = message.pg_lsn

    def _check_xid(self, xid):
        one = self.view.transactions[self.next]
        if xid and xid != one.xid & 0xFFFFFFFF:
            raise Wrong("o4", f"xid {xid} in {one}")

    # Events

    def _same(self, due, kind, message):
        pg_lsn, seq, operation, table, payload = due
        if (kind != operation or message.table != table
                or message.pg_lsn != pg_lsn or message.schema != "public"):
            return False
        if payload is not None and message.json_payload != payload:
            return False
        return not message.commit_lsn or (
            message.seq == seq and message.commit_lsn
            == self.view.commits[self.next])

    def _find(self, kind, message):
        """Which transaction begins with this event?"""
        if self.next is not None and self.next < len(self.view.commits):
            due = next(self.view.events(self.next))
            if due[0] == message.pg_lsn and due[2:4] == (kind, message.table):
                return self.next  # as a rule
        places = self._candidates(message)
        for place in places:
            due = next(self.view.events(place))
            if (due[0], due[2:]) == (message.pg_lsn, (
                    kind, message.table,
                    getattr(message, "json_payload", None))):
                return place
        if not places:
            raise Wrong("o4", "nothing that was committed: "
                              + self._show(kind, message))
        if any(self._inside(place, kind, message) for place in places):
            raise Wrong("o8" if self.next is None else "o4",
                        "a transaction began in its middle: "
                        + self._show(kind, message))
        raise Wrong("o4", f"not what {self.view.transactions[places[0]]}"
                          " begins with: " + self._show(kind, message))

    def _candidates(self, message):
        """Places of the transactions that may have such an event."""
        view = self.view
        lsn = message.commit_lsn or message.pg_lsn
        found = []
        place = view.first_at(lsn)
        if view.commit_of(place) == lsn:
            found.append(place)
        if not message.commit_lsn and place and view.ends[place - 1] == lsn:
            found.append(place - 1)
        return found

    def _inside(self, place, kind, message):
        return any(due[2:] == (kind, message.table,
                               getattr(message, "json_payload", None))
                   for due in self.view.events(place))

    def _explain(self, kind, message):
        one = self.view.transactions[self.next]
        due = "{:X} {} {} {} {:.200}".format(*self._ahead[:4],
                                             str(self._ahead[4]))
        if message.commit_lsn and (message.commit_lsn, message.seq) < (
                one.commit_lsn, self._ahead[1]):
            raise Wrong("o6", "an event came a second time on one stream: "
                              + self._show(kind, message) + f"; due was {due}")
        raise Wrong("o4", f"in {one}: came {self._show(kind, message)}; due"
                          f" was {due}")

    @staticmethod
    def _show(kind, message):
        where = f"{message.commit_lsn:X}/{message.seq} " \
            if message.commit_lsn else ""
        return (f"{message.pg_lsn:X} {where}{kind} {message.table}"
                f" {getattr(message, 'json_payload', ''):.200}")
