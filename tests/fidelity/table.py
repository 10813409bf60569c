"""Tables that have a column for each of some types."""

RANDOM_ROWS = 1000

SESSION = ("SET TimeZone = 'UTC'", "SET DateStyle = 'ISO'",
           "SET IntervalStyle = 'postgres'", "SET bytea_output = 'hex'",
           "SET extra_float_digits = 1", "SET client_encoding = 'UTF8'",
           "SET jit = off")


class Table:
    """Columns "~1", "~2", ... behind id, of the types as SQL spells them."""

    def __init__(self, conn, name, types):
        self.conn = conn
        self.name = name
        self.types = types
        self.columns = [f'"~{n}"' for n in range(1, len(types) + 1)]
        columns = ["id int", *map(" ".join, zip(self.columns, types))]
        conn.execute(f"CREATE TABLE {name} ({', '.join(columns)});"
                     f"ALTER TABLE {name} REPLICA IDENTITY FULL;"
                     f"ALTER PUBLICATION pub ADD TABLE {name}")

    def delete(self):
        self.conn.execute(f"DELETE FROM {self.name}")

    def expected(self):
        """row_to_json of every row, in the order of id."""
        return [text for (text,) in self.conn.execute(
            f"SELECT row_to_json(t)::text FROM {self.name} t ORDER BY id")]

    def only_null(self):
        """The types there is no value of."""
        counts = ", ".join(f"count({c})" for c in self.columns)
        found = self.conn.execute(
            f"SELECT {counts} FROM {self.name}").fetchone()
        return [sql for sql, count in zip(self.types, found) if not count]


class GeneratedTable(Table):
    """made: what the generators made of each type."""

    def __init__(self, conn, name, made):
        super().__init__(conn, name, [one.sql for one in made])
        self._made = made
        self._edges = max(one.edges for one in made)
        self._count = 1 + self._edges + RANDOM_ROWS

    def insert(self):
        """A row of NULLs, the edge values, and random ones: three commits."""
        self._insert(1, 1, (one.null() for one in self._made))
        self._insert(2, self._edges, (one.edge("n") for one in self._made))
        self._insert(2 + self._edges, RANDOM_ROWS,
                     (one.item(0.05) for one in self._made))
        return 3

    def _insert(self, first, count, values):
        self.conn.execute(
            f"INSERT INTO {self.name} SELECT {first - 1} + n,"
            f" {', '.join(values)} FROM generate_series(1, {count}) n")

    def update(self):
        """Every row gets what the row behind it had."""
        values = ", ".join(f"{c} = s.{c}" for c in self.columns)
        self.conn.execute(
            f"UPDATE {self.name} t SET {values} FROM {self.name} s"
            f" WHERE s.id = t.id % {self._count} + 1")


class LargeTable(Table):
    """A row for each type, which has a value of about size bytes."""

    VALUES = {
        "text": "t",
        "bytea": "convert_to(t, 'UTF8')",
        "text[]": "array_fill(left(t, 100), ARRAY[length(t) / 100])",
        "jsonb": "jsonb_build_object('key', t)",
        "mine.pair": "ROW(1, t)::mine.pair",
    }

    def __init__(self, conn, name, types, size):
        super().__init__(conn, name, types)
        self._size = size

    def insert(self):
        """Each row is a commit."""
        for n, sql in enumerate(self.types, 1):
            self.conn.execute(
                f'INSERT INTO {self.name} (id, "~{n}")'
                f" SELECT {n}, {self.VALUES[sql]}"
                " FROM (SELECT repeat(noise, %s / octet_length(noise)) AS t"
                " FROM current_setting('fidelity.noise') noise) s",
                (self._size,))
        return len(self.types)

    def update(self):
        """The values stay as they are: PostgreSQL does not send them anew."""
        self.conn.execute(f"UPDATE {self.name} SET id = id + 10")
