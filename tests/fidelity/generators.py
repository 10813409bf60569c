"""Makes the functions that make values of every type of a catalogue.

For each type, and each typmod it is used with, value_N() and edge_N(k) in the
schema gen; recipes has what is in them.
"""

import recipes
from literals import TEXTS, literals
from recipes import MISFIT, Made
from scalars import RANDOM

BORROWED = 2000  # characters of a value from a system table, at most

# What an input function that takes no text says.
NO_TEXT = {"0A000", "XX000"}


def function(name, returns, body):
    language = "sql" if body.startswith("SELECT") else "plpgsql"
    return (f"CREATE OR REPLACE FUNCTION gen.{name} RETURNS {returns}"
            f" LANGUAGE {language} AS $fn$ {body} $fn$;\n")


class Generators:
    """Of one session."""

    def __init__(self, conn, catalogue):
        self._conn = conn
        self._catalogue = catalogue
        self._made = {}
        conn.execute("SET check_function_bodies = off")

    def make(self, oid, mod=-1):
        """Makes the functions of a type and of all that it is made of, when
        they are not there yet."""
        if (oid, mod) not in self._made:
            self._made[oid, mod] = self._make(oid, mod)
        return self._made[oid, mod]

    def _make(self, oid, mod):
        one = self._catalogue.types[oid]
        sql = self._catalogue.name(oid, mod)
        suffix = f"{oid}" if mod < 0 else f"{oid}_{mod}"
        not_null = one.not_null or \
            one.kind == "domain" and self.make(one.of, one.of_mod).not_null
        if mod >= 0 and one.kind != "array":
            recipe = self._narrowed(self.make(oid), sql)
        else:
            recipe = getattr(self, "_" + one.kind)(one, mod)
        self._conn.execute(
            function(f"value_{suffix}()", sql, recipe.value)
            + function(f"edge_{suffix}(k int)", sql, recipe.edge))
        return Made(suffix, sql, recipe.edges, recipe.weight, not_null)

    def _count(self, query):
        return self._conn.execute(query).fetchone()[0]

    # Each kind of type

    def _base(self, one, _):
        version = self._conn.info.server_version // 10000
        small, large = literals(one.name, version)
        if one.name in RANDOM:
            refused = self.refusals(one, small)
            assert not refused, f"{one.sql} refuses {refused}"
            return recipes.scalar(one.sql, small, large, RANDOM[one.name])
        refused = self.refusals(one, TEXTS)
        taken = [text for text in TEXTS if text not in refused]
        if not refused:
            return recipes.scalar(one.sql, taken, [], "gen.text()")
        if taken:
            return recipes.scalar(one.sql, taken, [], None)
        assert set(refused.values()) <= NO_TEXT, \
            f"no value of the base type {one.sql} is known"
        return self._borrowed(one)

    def refusals(self, one, texts):
        """What the type does not take, and the SQLSTATE it says so with."""
        rows = self._conn.execute(
            "SELECT t, gen.refusal(%s, t) FROM unnest(%s::text[]) t",
            (one.sql, texts))
        return {text: state for text, state in rows if state is not None}

    def _borrowed(self, one):
        """Of a type that takes no text: what the system's tables have."""
        table = f"gen.source_{one.oid}"
        sources = [f"SELECT NULL::{one.sql} AS v"]
        sources += [f"SELECT {column} FROM {holder}" for holder, column in
                    self._catalogue.holders(one.oid)]
        self._conn.execute(
            f"CREATE TABLE {table} AS SELECT row_number() OVER () AS n, v"
            f" FROM ({' UNION ALL '.join(sources)}) s WHERE v IS NOT NULL"
            f" AND length(v::text) < {BORROWED} LIMIT 50")
        return recipes.borrowed(
            table, self._count(f"SELECT count(*) FROM {table}"))

    def _enum(self, one, _):
        return recipes.enum(one.sql, self._count(
            f"SELECT cardinality(enum_range(NULL::{one.sql}))"))

    def _domain(self, one, _):
        base = self.make(one.of, one.of_mod)
        if one.checked:
            return self._narrowed(base, one.sql)
        return recipes.same(base, one.sql)

    def _narrowed(self, base, sql):
        self._conn.execute(function(
            "fits(k int)", "bool",
            f"BEGIN BEGIN PERFORM {base.edge('k')}::{sql}; RETURN true;"
            f" {MISFIT} RETURN false; END"))
        rows = self._conn.execute(
            "SELECT k FROM generate_series(1, %s) k WHERE gen.fits(k)",
            (base.edges,)).fetchall()
        assert rows, f"no edge value fits {sql}"
        return recipes.narrowed(base, sql, [k for (k,) in rows])

    def _range(self, one, _):
        return recipes.span(one.sql, self.make(one.of), one.discrete)

    def _multirange(self, one, _):
        return recipes.multirange(one.sql, self.make(one.of))

    def _composite(self, one, _):
        return recipes.composite(
            one.sql, [self.make(oid, mod) for oid, mod in one.parts])

    _row = _composite

    def _array(self, one, mod):
        return recipes.array(self.make(one.of, mod))
