"""The writers: a process with a thread for each.

Each transaction is in the log, with its steps, before its COMMIT is sent, and
its outcome after. An outcome that got lost with the connection is looked up:
the table marks has a row of every transaction that committed.

    load.py '{"conninfo": ..., "seed": ..., "writers": ..., "rate": ...}'

Standard input says `round LOG`, `pause` or `forget`; each is answered.
"""

import json
import os
import random
import sys
import threading
import time

import psycopg

import workload

DEADLINE = 90  # s without PostgreSQL
MEETING = 0.05  # s


class Log:
    def __init__(self, path):
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def put(self, **record):
        line = json.dumps({"at": time.monotonic(), **record})
        os.write(self._fd, line.encode() + b"\n")


def sql_of(tx, step):
    """The statement of a step; None: it is a COPY."""
    kind, *rest = step
    return SQL[kind](tx, *rest)


def _ins(tx, table, first, n, k, size, letter, how):
    v = f"repeat('{letter}', {size})"
    if table != "shape" and letter == workload.FLAG:
        v = f"'{workload.FLAG}'"
    if how == "copy":
        return None
    step = 0 if k < 0 else 1
    if how == "series":
        return (f"INSERT INTO {table} SELECT {first} + i, {tx},"
                f" {k} + i * {step}, {v}"
                f" FROM generate_series(0, {n - 1}) i")
    rows = ",".join(f"({first + i},{tx},{k + i * step},{v})" for i in range(n))
    return f"INSERT INTO {table} VALUES {rows}"


def _shape(tx, columns, first, n, k):
    rows = ",".join(
        "(" + ",".join(str(value) for value in (
            first + i, tx, k + i, *[k + i] * len(columns))) + ")"
        for i in range(n))
    return f"INSERT INTO shape VALUES {rows}"


def _ddl(_tx, what, column):
    return f"ALTER TABLE shape {what} COLUMN {column}" + (
        " int" if what == "add" else "")


SQL = {
    "ins": _ins,
    "upd": lambda tx, table, row_id, k, size, letter:
        f"UPDATE {table} SET tx = {tx}, k = {k},"
        f" v = repeat('{letter}', {size}) WHERE id = {row_id}",
    "del": lambda _tx, table, row_id, *_:
        f"DELETE FROM {table} WHERE id = {row_id}",
    "trunc": lambda _tx, table: f"TRUNCATE {table}",
    "shape": _shape,
    "ddl": _ddl,
    "noise": lambda _tx, n: "INSERT INTO noise (v) SELECT repeat('n', 50)"
                            f" FROM generate_series(1, {n})",
}


def copy_text(tx, first, n, k, size, letter):
    v = letter * size
    return "".join(f"{first + i}\t{tx}\t{k + i if k >= 0 else k}\t{v}\n"
                   for i in range(n))


def script(tx, steps):
    """Yields statements, and (table, text) for a COPY."""
    for step in steps:
        if step[0] == "sub":
            yield "SAVEPOINT s"
            yield from script(tx, step[2])
            yield "RELEASE s" if step[1] else "ROLLBACK TO s"
        elif sql_of(tx, step) is None:
            _, table, first, n, k, size, letter, _ = step
            yield table, copy_text(tx, first, n, k, size, letter)
        else:
            yield sql_of(tx, step)


class Meeting:
    """Where two writers wait for each other, but not for long."""

    def __init__(self):
        self._change = threading.Condition()
        self._here = self._met = 0

    def meet(self):
        with self._change:
            self._here += 1
            if self._here == 2:
                self._here, self._met = 0, self._met + 1
                self._change.notify_all()
                return
            met = self._met
            if not self._change.wait_for(lambda: self._met != met,
                                         MEETING):
                self._here -= 1


class Session:
    """A connection that comes back, and runs whole transactions."""

    def __init__(self, conninfo, meeting=None):
        self._conninfo = conninfo
        self._conn = None
        self._meeting = meeting

    def connect(self):
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                self._conn = psycopg.connect(
                    self._conninfo, autocommit=True, prepare_threshold=None,
                    connect_timeout=5)
                return self._conn
            except psycopg.Error:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def run(self, log, tx, steps, kept=True):
        """Returns whether it committed."""
        log.put(tx=tx, steps=steps, kept=kept)
        if self._conn is None or self._conn.closed:
            self.connect()
        try:
            self._execute(tx, steps, kept)
            done = "committed" if kept else "rolled back"
        except psycopg.Error as error:
            done = self._look_up(tx, str(error).strip().split("\n")[0], log)
        log.put(tx=tx, done=done)
        return done == "committed"

    def _execute(self, tx, steps, kept):
        pending = ["BEGIN"]
        for item in script(tx, steps):
            if isinstance(item, str):
                pending.append(item)
                continue
            self._conn.execute("; ".join(pending))
            pending = []
            with self._conn.cursor().copy(f"COPY {item[0]} FROM STDIN") as copy:
                copy.write(item[1])
        alone = self._meeting is None or tx % 3 == 0
        if kept:
            mark = workload.LOCKED if alone else workload.UNLOCKED
            pending.append(mark.format(tx=tx))
        if kept and not alone:
            self._conn.execute("; ".join(pending))
            self._meeting.meet()
            pending = []
        pending.append("COMMIT" if kept else "ROLLBACK")
        self._conn.execute("; ".join(pending))

    def _look_up(self, tx, why, log):
        """The old backend may still be at it: asks until it is gone."""
        log.put(tx=tx, unknown=why)
        pid = self._conn.info.backend_pid
        self._conn.close()
        while True:
            try:
                self.connect()
                self._wait_gone(pid)
                found = self._conn.execute(
                    "SELECT 1 FROM marks WHERE tx = %s", (tx,)).fetchone()
                return "committed" if found else "absent"
            except psycopg.Error:
                self._conn.close()

    def _wait_gone(self, pid):
        while self._conn.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                " AND pid <> pg_backend_pid()"
                " AND application_name = 'oracle-load'", (pid,)).fetchone():
            time.sleep(0.02)


class Gate:
    """Opened and closed from outside; knows when nobody is inside."""

    def __init__(self):
        self._change = threading.Condition()
        self._open = False
        self._inside = 0
        self.log = None

    def open(self, log):
        with self._change:
            self._open, self.log = True, log
            self._change.notify_all()

    def close(self):
        with self._change:
            self._open = False
            return self._change.wait_for(lambda: self._inside == 0, DEADLINE)

    def __enter__(self):
        with self._change:
            self._change.wait_for(lambda: self._open)
            self._inside += 1
        return self.log

    def __exit__(self, *_):
        with self._change:
            self._inside -= 1
            self._change.notify_all()


def write(spec, draw, gate, meeting):
    """One writer, for ever."""
    session = Session(spec["conninfo"], meeting)
    share = spec["rate"] / spec["writers"]
    while True:
        with gate as log:
            tx, steps, kept = draw.next()
            if session.run(log, tx, steps, kept):
                draw.committed(tx, steps)
        time.sleep(min(workload.count(steps) / share, 1.5))


def main():
    spec = json.loads(sys.argv[1])
    gate, meeting = Gate(), Meeting()
    draws = [workload.Draw(random.Random(f"{spec['seed']} {n}"), n,
                           spec["giant"])
             for n in range(1, spec["writers"] + 1)]
    for draw in draws:
        threading.Thread(target=write, args=(spec, draw, gate, meeting),
                         daemon=True).start()
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "round":
            gate.open(Log(rest))
        elif command == "pause" and not gate.close():
            print("stuck", flush=True)
            continue
        elif command == "forget":
            for draw in draws:
                draw.forget()
        print(command, flush=True)


if __name__ == "__main__":
    main()
