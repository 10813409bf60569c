"""Row events as statements for a table of the same name.

json_populate_record makes a row of a payload: it hands each value to the
column's own type, so numbers keep every digit.
"""

from psycopg import sql

from plugin_pb2 import (REPLICA_IDENTITY_FULL, DeleteEvent, InsertEvent,
                        RelationEvent, UpdateEvent)

Statement = tuple[sql.Composed, list[str]]  # and its parameters

# The table's row with the values of the old one. Its place (ctid) names one
# row also where, without a key, several are alike.
ROW = """t.ctid = (SELECT s.ctid
    FROM {table} s, json_populate_record(NULL::{table}, %s::json) old
    WHERE {match} LIMIT 1)"""

INSERT = """INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {columns} FROM json_populate_record(NULL::{table}, %s::json)"""

UPDATE = """UPDATE {table} t SET {values}
    FROM json_populate_record(NULL::{table}, %s::json) new WHERE """ + ROW

DELETE = "DELETE FROM {table} t WHERE " + ROW


def identifier(*names: str) -> sql.Identifier:
    """In a statement with parameters a percent sign is to be doubled."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


class Table:
    """A table as a RelationEvent describes it."""

    def __init__(self, relation: RelationEvent) -> None:
        self._name = identifier(relation.schema, relation.table)
        self._columns = [column.name for column in relation.columns]
        self._key = [column.name for column in relation.columns if column.key]
        # Under FULL the key is every column, and may be NULL. The columns of
        # other keys are not, and "=" can use their index.
        full = relation.replica_identity == REPLICA_IDENTITY_FULL
        self._same = "IS NOT DISTINCT FROM" if full else "="

    def insert(self, event: InsertEvent) -> Statement:
        return self._compose(INSERT), [event.json_payload]

    def update(self, event: UpdateEvent) -> Statement | None:
        """None when there is nothing to set."""
        # Without an old row the key is what it was. Large values that did
        # not change were not sent, and are left alone.
        old = event.old_json_payload or event.json_payload
        kept = set(event.unchanged_columns)
        if not event.old_json_payload:
            kept.update(self._key)
        changed = [name for name in self._columns if name not in kept]
        if not changed:
            return None
        return self._compose(UPDATE, changed), [event.json_payload, old]

    def delete(self, event: DeleteEvent) -> Statement:
        return self._compose(DELETE), [event.json_payload]

    def _compose(self, text: str, changed: list[str] = []) -> sql.Composed:
        def each(form: str, names: list[str], between: str) -> sql.Composed:
            return sql.SQL(between).join(
                sql.SQL(form).format(name=identifier(name))
                for name in names)
        return sql.SQL(text).format(
            table=self._name,
            columns=each("{name}", self._columns, ", "),
            values=each("{name} = new.{name}", changed, ", "),
            match=each(f"s.{{name}} {self._same} old.{{name}}", self._key,
                       " AND "))
