"""The database that is kept the same, and how far it is."""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from plugin_pb2 import (DeleteEvent, InsertEvent, ServerMessage, Started,
                        TruncateEvent, UpdateEvent)
from stream import Transaction, lsn_text
from table import Statement, Table

# How far this database is, in a row for each consumer. It is changed in the
# transaction that changes the tables, and so always tells the truth.
POSITION = """CREATE TABLE IF NOT EXISTS walstream_position (
    consumer text PRIMARY KEY,
    system_identifier text NOT NULL,
    lsn pg_lsn NOT NULL)"""

READ = """SELECT system_identifier, (lsn - '0/0')::text
    FROM walstream_position WHERE consumer = %s"""

CREATE = "INSERT INTO walstream_position VALUES (%s, %s, %s)"

# Nothing but what we last read moves on. A run that was killed may have left
# its COMMIT behind in the server; this waits for it, and then does not match.
ADVANCE = """UPDATE walstream_position SET lsn = %s
    WHERE consumer = %s AND lsn = %s"""


class PositionMoved(Exception):
    """Somebody else has applied changes: look again where to go on."""


class Diverged(Exception):
    """The tables are not what they were in the source."""


class Target:
    def __init__(self, connection: psycopg.Connection, consumer: str) -> None:
        self._connection = connection
        self._consumer = consumer
        self._tables: dict[int, Table] = {}
        connection.execute(POSITION)
        row = connection.execute(READ, [consumer]).fetchone()
        # Where to go on. At the very first start both are empty.
        self.system_identifier = row[0] if row else ""
        self.lsn = int(row[1]) if row else 0

    def begin(self, started: Started) -> None:
        """Compares notes with what walstream says it will send."""
        if self.lsn == 0:
            self._connection.execute(CREATE, [
                self._consumer, started.system_identifier,
                lsn_text(started.start_lsn)])
            self.lsn = started.start_lsn
        elif started.start_lsn > self.lsn:
            raise Diverged(
                f"this database is at {lsn_text(self.lsn)}, but walstream"
                f" starts at {lsn_text(started.start_lsn)}: was it restored?")

    def apply(self, transaction: Transaction) -> None:
        """Afterwards the tables have its changes, and the position says so;
        or it raises, and neither is true."""
        if transaction.pg_lsn <= self.lsn:
            return  # a progress that tells nothing new
        with self._connection.transaction():
            moved = self._connection.execute(ADVANCE, [
                lsn_text(transaction.pg_lsn), self._consumer,
                lsn_text(self.lsn)])
            if moved.rowcount != 1:
                raise PositionMoved("somebody else has moved the position")
            self._change(transaction.messages)
        self.lsn = transaction.pg_lsn

    def _change(self, messages: Iterable[ServerMessage]) -> None:
        truncated: list[TruncateEvent] = []
        for message in messages:
            kind = message.WhichOneof("msg")
            if kind == "relation":
                relation = message.relation
                self._tables[relation.oid] = Table(relation)
            elif kind == "truncate":
                truncated.append(message.truncate)
            else:
                self._truncate(truncated)
                truncated = []
                self._change_row(kind, getattr(message, kind))
        self._truncate(truncated)

    def _change_row(self, kind: str,
                    event: InsertEvent | UpdateEvent | DeleteEvent) -> None:
        statement: Statement | None = getattr(
            self._tables[event.relation_oid], kind)(event)
        if statement is None:
            return
        done = self._connection.execute(*statement)
        if done.rowcount != 1:
            raise Diverged(f"{kind} of {event.schema}.{event.table} changed"
                           f" {done.rowcount} rows: {event.json_payload}")

    def _truncate(self, events: list[TruncateEvent]) -> None:
        """In one statement: tables that refer to each other can only be
        truncated together."""
        if not events:
            return
        names = [sql.Identifier(e.schema, e.table) for e in events]
        restart = any(e.restart_identity for e in events)
        self._connection.execute(sql.SQL("TRUNCATE ONLY {} {}").format(
            sql.SQL(", ").join(names),
            sql.SQL("RESTART IDENTITY" if restart else "")))
