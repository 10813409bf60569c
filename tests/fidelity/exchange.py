"""What becomes of a table is streamed and held against row_to_json."""

import re

from feed import FULL

ID = re.compile(r'\{"id":(\d+)')


def by_id(events, field="json_payload"):
    """The payloads, in the order of the column id."""
    def number(text):
        found = ID.match(text)
        return int(found[1]) if found else 0
    return sorted((getattr(event, field) for event in events), key=number)


def hold_against(tally, table, what, payloads, lines):
    assert len(payloads) == len(lines), what
    for payload, line in zip(payloads, lines):
        tally.compare(table.types, what, payload, line)


def exchange(table, feed, tally):
    """Inserts, updates and deletes what the table is to have."""
    inserts = table.insert()
    before = table.expected()
    tally.only_null += table.only_null()
    table.update()
    after = table.expected()
    table.delete()
    events = feed.take(inserts + 2)
    new, updates, deletes = sum(events[:inserts], []), events[-2], events[-1]
    hold_against(tally, table, "insert", by_id(new), before)
    hold_against(tally, table, "update", by_id(updates), after)
    hold_against(tally, table, "update, old row",
                 by_id(updates, "old_json_payload"), before)
    hold_against(tally, table, "delete", by_id(deletes), after)
    for event in updates + deletes:
        if event.identity != FULL or event.unchanged_columns:
            tally.differ("(identity)", "update or delete", str(event), "FULL")
    tally.rows += len(new)
    tally.types |= set(table.types)
