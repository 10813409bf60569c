"""json_payload is, byte for byte, what row_to_json prints."""

import pytest

from database import Database

SESSION = ("SET TimeZone = 'UTC'", "SET DateStyle = 'ISO'",
           "SET IntervalStyle = 'postgres'", "SET bytea_output = 'hex'",
           "SET extra_float_digits = 1")

# Type, and the literals that are tried of it; NULL is tried of each.
VALUES = {
    "int2": ["0", "-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807"],
    "numeric": ["0", "-0.0", "1.10", "NaN", "1e-30", "1e40",
                "123456789012345678901234567890.123456789"],
    "numeric(10,3)": ["1", "-1234567.891"],
    "float4": ["0", "-0", "1.1", "1e-45", "3.4028235e38", "Infinity",
               "-Infinity", "NaN", "16777216"],
    "float8": ["0", "-0", "0.1", "0.30000000000000004", "5e-324",
               "1.7976931348623157e308", "Infinity", "-Infinity", "NaN",
               "1e15", "1e16", "123456.789"],
    "bool": ["true", "false"],
    "text": ["", " ", "true", "null", "12", "{}", '"quoted"', "back\\slash",
             "/slash/", "it's", "é ß 漢字 \U0001F600\U0010FFFF", "\u2028\u2029",
             "\u007f\u0080\ufeff\ufffd", "".join(map(chr, range(1, 32)))],
    "varchar(5)": ["", "abc", "a\"\\b\n"],
    "char(5)": ["", "ab", "abcde"],
    "date": ["2024-02-29", "0044-03-15 BC", "infinity", "-infinity",
             "5874897-12-31", "4713-01-01 BC", "0001-01-01"],
    "timestamp": ["2024-02-29 12:34:56", "2024-02-29 12:34:56.100000",
                  "2024-02-29 12:34:56.000001", "0044-03-15 01:02:03.5 BC",
                  "infinity", "-infinity", "294276-12-31 23:59:59.999999",
                  "0001-01-01 00:00:00"],
    "timestamptz": ["2024-02-29 12:34:56+05:30", "1999-12-31 23:59:59.999+00",
                    "0044-03-15 01:02:03.25+00 BC", "infinity", "-infinity",
                    "0001-01-01 00:00:00+00", "294276-12-31 23:00:00+00"],
    "time": ["00:00:00", "23:59:59.999999", "24:00:00", "12:34:56.5"],
    "timetz": ["12:34:56.5+05:30", "00:00:00-00"],
    "interval": ["0", "1 year 2 mons -3 days 04:05:06.789", "-1 day",
                 "1 mon -00:00:01", "100000000 years"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "bytea": ["", "\\x00ff5c22", "\\xdeadbeef"],
    "json": ["null", "1", ' { "a" : [1,  2.0, "x\\u0041"],\n\t"a":{} } ',
             '"text"', "[]"],
    "jsonb": ["null", '{"b": 1, "a": [true, null, "\\"é"]}', "1.10", "[]"],
    "inet": ["192.168.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "oid": ["0", "4294967295"],
    "bit(4)": ["1010"],
    "bit varying": ["", "10101"],
    "name": ["a\"b"],
    '"char"': ["x", "\\"],
    "pg_lsn": ["16/B374D848"],
    "point": ["(1.5,-2)"],
    "tsvector": ["'a':1 'b c':2"],
    "xml": ["<a b=\"c\">d</a>"],
    "mood": ["sad", "so \"so\"", "very, happy"],
}


@pytest.fixture
def typed(db):
    """A table typed with one column for each of the types."""
    db.sql("CREATE TYPE mood AS ENUM"
           " ('sad', 'so \"so\"', 'very, happy')")
    columns = ", ".join(f"c{i} {kind}" for i, kind in enumerate(VALUES))
    db.sql(f"CREATE TABLE typed (id int PRIMARY KEY, {columns})")
    db.publish("typed")
    return db


def fill(db):
    """Row n has the n-th literal of each type, or null."""
    longest = max(map(len, VALUES.values()))
    for n in range(longest + 1):
        row = [v[n] if n < len(v) else None for v in VALUES.values()]
        holes = ", ".join(f"%s::text::{kind}" for kind in VALUES)
        db.sql(f"INSERT INTO typed VALUES (%s, {holes})", [n, *row])
    return longest + 1


def expected(db):
    """What a session with the pinned settings prints."""
    with db.connect() as conn:
        for setting in SESSION:
            conn.execute(setting)
        return [text for (text,) in conn.execute(
            "SELECT row_to_json(typed)::text FROM typed ORDER BY id")]


def compare(events, lines):
    """Byte for byte; a difference is shown column by column."""
    for event, line in zip(events, lines):
        if event.payload != line:
            at = next((i for i, (a, b) in
                       enumerate(zip(event.payload, line)) if a != b), -1)
            near = slice(max(0, at - 40), at + 40)
            raise AssertionError(f"sent {event.payload[near]!r},"
                                 f" row_to_json {line[near]!r}")
    assert len(events) == len(lines)


def test_scalars(typed, stream):
    """Every scalar type, in inserts."""
    count = fill(typed)
    compare(stream.expect(count), expected(typed))


def test_full_delete(typed, stream):
    """The old rows of a delete print the same way."""
    typed.sql("ALTER TABLE typed REPLICA IDENTITY FULL")
    count = fill(typed)
    lines = expected(typed)
    typed.sql("DELETE FROM typed")
    events = stream.expect(2 * count)
    compare(sorted(events[count:], key=lambda e: lines.index(e.payload)),
            lines)


def test_settings_of_others(typed, server, client):
    """Settings of the database do not change a byte."""
    for name, value in (("TimeZone", "Asia/Tokyo"), ("DateStyle", "German"),
                        ("IntervalStyle", "iso_8601"),
                        ("bytea_output", "escape"),
                        ("extra_float_digits", "-3")):
        typed.set(name, value)
    stream = client(server())
    count = fill(typed)
    compare(stream.expect(count), expected(typed))


def test_every_character(db, stream):
    """Every character up to U+0800, and some of each plane above."""
    text = "".join(chr(c) for c in range(1, 0x800)) + "".join(
        chr(c) for c in range(0x800, 0x110000, 1021)
        if not 0xD800 <= c < 0xE000)
    db.sql("INSERT INTO t VALUES (1, %s)", (text,))
    line = db.one("SELECT row_to_json(t)::text FROM t")
    assert stream.expect(1)[0].payload == line


def test_latin1_database(pg, db, server, client):
    """A database in another encoding is streamed in UTF-8."""
    latin1 = Database(pg, db.name + "_l1", "TEMPLATE template0 ENCODING"
                      " 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        walstream = server(connection=latin1.conninfo(), slot=latin1.slot)
        stream = client(walstream)
        latin1.sql("INSERT INTO t VALUES (1, 'é ß')")
        assert stream.expect(1)[0].payload == '{"id":1,"v":"é ß"}'
        assert walstream.stop() == 0
    finally:
        latin1.drop()
