"""How values of each kind of type are made, as the bodies of SQL functions.

A recipe has two: value makes a random value, edge the k-th of so many edge
values, starting over behind the last. Those of a composed type call those of
its parts. All but the simplest are plpgsql, because that keeps its plans.
"""

import collections

TRIES = 4  # at a value that fits a domain or a typmod
HEAVY = 8  # a composite of more values than this is mostly NULLs
MISFIT = ("EXCEPTION WHEN data_exception OR integrity_constraint_violation"
          " THEN NULL; END;")

# edges: how many; weight: of how many scalars a value is made, about.
Recipe = collections.namedtuple("Recipe", "edges weight value edge")


class Made(collections.namedtuple("Made",
                                  "suffix sql edges weight not_null")):
    """A type that has its two functions, and the calls of them."""

    def value(self):
        return f"gen.value_{self.suffix}()"

    def item(self, nulls=0.1):
        """A value, or sometimes NULL where that may be."""
        if self.not_null:
            return self.value()
        return f"CASE WHEN random() > {nulls} THEN {self.value()} END"

    def edge(self, k):
        return f"gen.edge_{self.suffix}({k})"

    def null(self):
        """NULL, or where that may not be an edge value."""
        return self.edge(1) if self.not_null else f"NULL::{self.sql}"


def constants(sql, texts):
    """An array of what the type's input function makes of the texts."""
    quoted = ("'" + text.replace("'", "''") + "'" for text in texts)
    return "(ARRAY[" + ", ".join(f"{q}::{sql}" for q in quoted) + "])"


def scalar(sql, small, large, random):
    """From literals, and where there is one a random expression."""
    pick = f"{constants(sql, small)}[1 + gen.below({len(small)})]"
    value = pick if random is None else \
        f"CASE WHEN random() < 0.15 THEN {pick} ELSE ({random})::{sql} END"
    every = small + large
    return Recipe(len(every), 1, f"SELECT {value}",
                  f"SELECT {constants(sql, every)}"
                  f"[1 + (k - 1) % {len(every)}]")


def borrowed(table, count):
    """What the columns n, 1 to count, and v of a table have."""
    count = max(count, 1)
    return Recipe(
        count, 1,
        f"DECLARE j int := 1 + gen.below({count}); BEGIN"
        f" RETURN (SELECT v FROM {table} WHERE n = j); END",
        f"BEGIN RETURN (SELECT v FROM {table}"
        f" WHERE n = 1 + (k - 1) % {count}); END")


def enum(sql, count):
    labels = f"(enum_range(NULL::{sql}))"
    count = max(count, 1)
    return Recipe(count, 1, f"SELECT {labels}[1 + gen.below({count})]",
                  f"SELECT {labels}[1 + (k - 1) % {count}]")


def same(base, sql):
    """A domain that takes all that its base does."""
    return Recipe(base.edges, base.weight, f"SELECT {base.value()}::{sql}",
                  f"SELECT {base.edge('k')}::{sql}")


def narrowed(base, sql, fitting):
    """Of a wider type what fits a domain's constraint or a typmod; fitting:
    which of its edge values do."""
    count = len(fitting)

    def edge(k):
        return f"{base.edge(f'(ARRAY{fitting})[{k}]')}::{sql}"

    return Recipe(
        count, base.weight,
        f"BEGIN FOR j IN 1..{TRIES} LOOP"
        f" BEGIN RETURN {base.value()}::{sql}; {MISFIT} END LOOP;"
        f" RETURN {edge(f'1 + gen.below({count})')}; END",
        f"SELECT {edge(f'1 + (k - 1) % {count}')}")


def span(sql, bound, discrete):
    """Ranges; the upper bound of a discrete one cannot be included, for there
    may be nothing above it."""
    kinds = "ARRAY['[)']" if discrete else "ARRAY['[)', '(]', '[]', '()']"
    kind = f"({kinds})[1 + gen.below(cardinality({kinds}))]"
    variables = f"DECLARE a {bound.sql} := %s; b {bound.sql} := %s; BEGIN"
    return Recipe(
        bound.edges + 3, 2 * bound.weight,
        variables % (bound.value(), bound.value())
        + " IF random() < 0.05 THEN RETURN 'empty'; END IF;"
        f" RETURN {sql}(CASE WHEN random() > 0.1 THEN least(a, b) END,"
        f" CASE WHEN random() > 0.1 THEN greatest(a, b) END, {kind}); END",
        variables % (bound.edge("k"), bound.edge("k + 1"))
        + " RETURN CASE k WHEN 1 THEN 'empty' WHEN 2 THEN '(,)'"
        f" WHEN 3 THEN {sql}(a, NULL, '[)')"
        f" ELSE {sql}(least(a, b), greatest(a, b), {kind}) END; END")


def multirange(sql, part):
    return Recipe(
        part.edges + 1, 2 * part.weight,
        f"BEGIN RETURN (SELECT coalesce(range_agg({part.value()}),"
        f" '{{}}'::{sql}) FROM generate_series(1, gen.below(4))); END",
        f"BEGIN RETURN CASE k WHEN 1 THEN '{{}}'::{sql} ELSE (SELECT"
        f" range_agg({part.edge('j')}) FROM generate_series(k, k + 2) j)"
        " END; END")


def composite(sql, parts):
    """Rows; the first edge value is of NULLs."""
    weight = sum(part.weight for part in parts)
    nulls = 0.1 if weight <= HEAVY else 0.7

    def row(values):
        return f"ROW({', '.join(values)})::{sql}"

    return Recipe(
        1 + max((part.edges for part in parts), default=0),
        weight * (1 - nulls),
        f"BEGIN RETURN {row(part.item(nulls) for part in parts)}; END",
        f"BEGIN RETURN CASE k WHEN 1 THEN"
        f" {row(part.null() for part in parts)} ELSE"
        f" {row(part.edge('k') for part in parts)} END; END")


def array(item):
    """Of 0 to 3 dimensions, with lower bounds of every sign, and NULLs."""
    return Recipe(
        item.edges + 8, 2 * item.weight,
        f"""DECLARE
            b int := CASE WHEN random() < 0.5 THEN 1
                ELSE 3 - gen.below(7) END;
            d int := (ARRAY[0, 1, 1, 1, 1, 2, 2, 3])[1 + gen.below(8)];
            n int := 1 + gen.below(3);
            m int := CASE WHEN d > 1 THEN 1 + gen.below(2) ELSE 1 END;
            p int := CASE WHEN d > 2 THEN 2 ELSE 1 END;
            v {item.sql}[];
            a {item.sql}[];
        BEGIN
            FOR j IN 1..n * m * p LOOP
                v[j] := {item.item()};
            END LOOP;
            CASE d
            WHEN 0 THEN a := '{{}}';
            WHEN 1 THEN a[b:b + n - 1] := v;
            WHEN 2 THEN a[b:b + n - 1][-b:m - b - 1] := v;
            ELSE a[b:b + n - 1][-b:m - b - 1][0:1] := v;
            END CASE;
            RETURN a;
        END""",
        f"""DECLARE
            e {item.sql} := {item.edge('k')};
            f {item.sql} := {item.edge('k + 1')};
            z {item.sql} := {item.null()};
            a {item.sql}[];
        BEGIN
            CASE k
            WHEN 1 THEN a := '{{}}';
            WHEN 2 THEN a := array_fill(e, ARRAY[2, 0]);
            WHEN 3 THEN a := ARRAY[z];
            WHEN 4 THEN
                FOR j IN 1..{item.edges} LOOP
                    a[j] := {item.edge('j')};
                END LOOP;
            WHEN 5 THEN a := ARRAY[ARRAY[e, z], ARRAY[f, e]];
            WHEN 6 THEN a := ARRAY[[[[[[e, z, f]]]]]];
            WHEN 7 THEN a[2147483640:2147483642] := ARRAY[e, z, f];
            WHEN 8 THEN a[-2147483648:-2147483647] := ARRAY[z, f];
            ELSE a := ARRAY[e, z, f];
            END CASE;
            RETURN a;
        END""")
