"""The types of a database, as pg_type has them."""

import collections

# kind: base, array, composite, row (of a table or view of the system or ours),
# domain, enum, range or multirange.
# of: the type it is made of: an array's element, a domain's base, a range's
# subtype, a multirange's range; of_mod: a domain's typmod.
# checked: a domain with constraints; discrete: a range of whole steps.
# parts: (type, typmod) of the attributes of a composite or row.
Type = collections.namedtuple(
    "Type", "oid name sql kind of of_mod parts not_null checked discrete")

QUERY = """
SELECT t.oid, t.typname, format('%I.%I', n.nspname, t.typname),
    CASE WHEN e.oid IS NOT NULL THEN 'array'
        WHEN t.typtype = 'c' AND c.relkind <> 'c' THEN 'row'
        ELSE '{"b":"base","c":"composite","d":"domain","e":"enum",
            "m":"multirange","r":"range"}'::json ->> t.typtype::text END,
    coalesce(e.oid, r.rngsubtype, m.rngtypid, t.typbasetype),
    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE -1 END,
    ARRAY(SELECT ARRAY[atttypid::int8, atttypmod] FROM pg_attribute
        WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum),
    t.typnotnull,
    EXISTS (SELECT FROM pg_constraint WHERE contypid = t.oid),
    coalesce(r.rngcanonical <> 0, false)
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
LEFT JOIN pg_range r ON r.rngtypid = t.oid
LEFT JOIN pg_range m ON m.rngmultitypid = t.oid
WHERE t.typtype <> 'p' OR e.oid IS NOT NULL
ORDER BY t.oid
"""


class Catalogue:
    """All types by their OID, and those a column can have."""

    def __init__(self, conn):
        self._conn = conn
        self.types = {row[0]: Type(*row) for row in conn.execute(QUERY)}
        self.columnable = [one for one in self.types.values()
                           if self._columnable(one)]

    def _columnable(self, one):
        return self._conn.execute("SELECT gen.columnable(%s)",
                                  (one.sql,)).fetchone()[0]

    def group(self, one):
        """The name of those that are tested together: "array of row"."""
        if one.kind != "array":
            return one.kind
        return "array of " + self.types[one.of].kind

    def name(self, oid, mod=-1):
        """The type as SQL spells it."""
        if mod < 0:
            return self.types[oid].sql
        return self._conn.execute("SELECT format_type(%s, %s)",
                                  (oid, mod)).fetchone()[0]

    def holders(self, oid):
        """Columns of the system's tables that have the type."""
        return self._conn.execute(
            "SELECT c.oid::regclass::text, quote_ident(a.attname)"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'pg_catalog'::regnamespace"
            " AND c.relkind = 'r' AND a.atttypid = %s ORDER BY 1, 2",
            (oid,)).fetchall()
