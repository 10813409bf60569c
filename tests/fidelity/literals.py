"""Base types: the edge values of each, as text.

A literal that only newer servers take is a pair with their major version.
"""

CONTROLS = "".join(map(chr, range(1, 32))) + "\x7f"

# Cut from the whole of Unicode; every character below U+0800 is in it.
EVERY_KIND = "".join(map(chr, range(1, 0x800))) + "".join(
    chr(c) for c in range(0x800, 0x110000, 1021) if not 0xD800 <= c < 0xE000)

TEXTS = [
    "plain", "", " ", "  two  ", "NULL", "null", "true", "12", "-0", "{}",
    "{{}}", "[]", "()", ",", ";", "|", '"', '""', "'", "\\", "\\\\", '\\"',
    '"quoted"', "a,b", "a;b", "/slash/", "\\u0000", "\\ud800", "\\x41",
    "YES", "NO", "\t", "\n", "\r\n", "\b\f", CONTROLS, "\x7f\x80\x9f\xa0",
    "é ß 漢字 \U0001F600\U0010FFFF", "\u2028\u2029", "\ufeff\ufffd\uffff",
    "e\u0301", "\u202eabc", "</script>", "&amp;", "%s", "$1",
]

INSTANTS = [
    "2024-02-29 12:34:56", "2024-02-29 12:34:56.100000",
    "2024-02-29 12:34:56.000001", "1999-12-31 23:59:59.999",
    "0001-01-01 00:00:00", "0001-12-31 23:59:59.999999 BC",
    "0044-03-15 01:02:03.5 BC", "4713-11-24 00:00:00 BC", "infinity",
    "-infinity", "10000-01-01 00:00:00", "294276-12-31 23:59:59.999999",
    "1970-01-01 00:00:00", "2000-01-01 00:00:00",
]

JSONS = [
    "null", "1", "-0", "1.10", "1e5", "true", '"text"', '""', "[]", "{}",
    "[[]]", ' { "a" : [1,  2.0, "x\\u0041"],\n\t"a":{} } ',
    '{"b": 1, "a": [true, null, "\\"é\\u001f\\ud83d\\ude00"]}',
    '"\\\\u0000"', '{"":{"":[]}}', '[1e-400, 123456789012345678901234567890]',
]

LITERALS = {
    "bool": ["true", "false"],
    "int2": ["0", "1", "-1", "-32768", "32767"],
    "int4": ["0", "1", "-1", "-2147483648", "2147483647"],
    "int8": ["0", "1", "-1", "-9223372036854775808", "9223372036854775807"],
    "numeric": ["0", "-0", "-0.0", "0.00", "1", "1.10", "-1", "NaN",
                "Infinity", "-Infinity", "1e-30", "1e40", "0.5", "9", "99",
                "123456789012345678901234567890.123456789"],
    "float4": ["0", "-0", "1.1", "1e-45", "3.4028235e38", "Infinity",
               "-Infinity", "NaN", "16777216", "1e15", "1e16", "0.0001",
               "0.00001", "1e6", "1234567"],
    "float8": ["0", "-0", "0.1", "0.30000000000000004", "5e-324",
               "1.7976931348623157e308", "2.2250738585072014e-308",
               "Infinity", "-Infinity", "NaN", "1e14", "1e15", "1e16", "1e17",
               "123456.789", "0.0001", "0.00001"],
    "money": ["0", "-1.5", "92233720368547758.07", "-92233720368547758.08"],
    "char": ["a", "", " ", "\\", '"', ",", "{", "}", "'", "\t", "\x01",
             "\x7f", ("\\200", 16), ("\\377", 16)],
    "bytea": ["\\x", "\\x00ff5c22", "\\xdeadbeef", "\\x" + "00" * 40],
    "json": JSONS + ['"\\u0000"', '{"a":1,"a":2}', '"\\ud800"',
                     '\n[\r\n]\t ', "-1.0E+5", "1" * 400],
    "jsonb": JSONS,
    "jsonpath": ["$", '$."a b"[*] ? (@ > 1)', 'strict $.**{2 to 3}."\\"é"',
                 '"\\u0001\\\\"', "$.a.size() + -1.50"],
    "xml": ['<a b="c">d</a>', "", "just text", "<a/><b/>", "<!-- \" \\ -->",
            '<?xml version="1.0" encoding="UTF-8"?><é>\n\t</é>',
            "<a>&lt;&#1234;</a>", "<![CDATA[<\"]]>"],
    "date": ["2024-02-29", "0044-03-15 BC", "infinity", "-infinity",
             "5874897-12-31", "4713-01-01 BC", "0001-01-01", "0001-12-31 BC",
             "10000-01-01", "2000-01-01"],
    "timestamp": INSTANTS + ["4713-01-01 00:00:00 BC"],
    "timestamptz": [t if "inf" in t else t.replace(" BC", "+00 BC")
                    if "BC" in t else t + "+00" for t in INSTANTS]
                   + ["2024-02-29 12:34:56+05:30",
                      "1850-01-01 00:00:00+00:19:32"],
    "time": ["00:00:00", "23:59:59.999999", "24:00:00", "12:34:56.5",
             "00:00:00.000001"],
    "timetz": ["12:34:56.5+05:30", "00:00:00-00", "24:00:00-15:59",
               "01:02:03+15:59:59", "23:59:59.999999+00"],
    "interval": ["0", "1 year 2 mons -3 days 04:05:06.789", "-1 day",
                 "1 mon -00:00:01", "100000000 years", "-178000000 years",
                 "2147483647 days", "1 microsecond", "-00:00:00.000001",
                 ("2562047788:00:54.775807", 15), ("infinity", 17),
                 ("-infinity", 17)],
    "bit": ["1", "0", "1010", "1" * 70, ""],
    "varbit": ["", "1", "10101", "0" * 70],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
             "00000000-0000-0000-0000-000000000000",
             "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "inet": ["192.168.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "::",
             "2001:db8::/32", "::ffff:1.2.3.4", "fe80::1/64"],
    "cidr": ["10.0.0.0/8", "0.0.0.0/0", "192.168.0.1/32", "2001:db8::/32",
             "::/0"],
    "macaddr": ["08:00:2b:01:02:03", "00:00:00:00:00:00"],
    "macaddr8": ["08:00:2b:01:02:03:04:05", "ff:ff:ff:ff:ff:ff:ff:ff"],
    "oid": ["0", "1", "4294967295"],
    "xid": ["0", "3", "4294967295"],
    "cid": ["0", "4294967295"],
    "xid8": ["0", "18446744073709551615"],
    "tid": ["(0,0)", "(4294967295,65535)"],
    "pg_lsn": ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"],
    "int2vector": ["", "1", "-32768 0 32767"],
    "oidvector": ["", "0", "4294967295 1 2"],
    "pg_snapshot": ["1:1:", "10:20:10,14,15"],
    "txid_snapshot": ["1:1:", "10:20:10,14,15"],
    "aclitem": ["=r/postgres", "postgres=arwdDxt*/postgres",
                '"odd ""role"", {}"=U*/postgres'],
    "regproc": ["-", "now", "1", "4294967295"],
    "regprocedure": ["-", "abs(integer)", "gen.refusal(text,text)", "1"],
    "regoper": ["0", "||/", "1"],
    "regoperator": ["0", "+(integer,integer)", "-(NONE,bigint)", "1"],
    "regclass": ["-", "pg_class", "mine.row_table", "1"],
    "regtype": ["-", "integer", "text[]", "character varying",
                'mine."Odd ""type"", [] ()"', "1"],
    "regrole": ["-", "postgres", '"odd ""role"", {}"', "1"],
    "regnamespace": ["-", "pg_catalog", "mine", "1"],
    "regcollation": ["-", '"C"', '"POSIX"', "1"],
    "regconfig": ["-", "simple", "1"],
    "regdictionary": ["-", "simple", "1"],
    "tsvector": ["", "'a':1 'b c':2A,3B", "'\"' '''' '\\\\'", "a:16383"],
    "tsquery": ["", "'a' & !'b c':*A", "a <2> (b | c)", "'\"\\\\'"],
    "point": ["(1.5,-2)", "(NaN,Infinity)", "(-0,0)", "(1e300,-1e-300)"],
    "lseg": ["[(0,0),(1,-0)]", "[(NaN,1),(Infinity,2)]"],
    "line": ["{1,-1,0}", "{0,-1,Infinity}"],
    "box": ["(1,1),(0,0)", "(Infinity,2),(-Infinity,-0)"],
    "circle": ["<(0,0),0>", "<(1,2),Infinity>"],
    "polygon": ["((0,0))", "((0,0),(1,1),(1,0))"],
    "path": ["((0,0),(1,1))", "[(0,0)]", "[(0,0),(NaN,1)]"],
    "hstore": ["", '""=>""', "a=>NULL", 'a=>"NULL", b=>null, c=>true, d=>1.0',
               '"q\\"\\\\"=>"\\\\ , => é\U0001F600"', "a=>t, b=>-1e5, c=>0x1",
               '"\x01\n"=>"\x1f\t"', "1=>2"],
    "ltree": ["", "Top", "Top.Science_1"],
    "lquery": ["*", "Top.*{2,}.a|b@*%", "!a.*{,3}"],
    "ltxtquery": ["a", "a & !(b@* | c%)"],
    "cube": ["()", "(0)", "(1,2),(3,4)", "(-0,NaN)", "(Infinity),(-1e300)"],
    "query_int": ["1", "1&(2|!3)"],
    "refcursor": ["a", "", "\"\\"],
    "name": ["a\"b", "", "x" * 63, "NULL", "é" * 31],
    "text": TEXTS,
    "varchar": TEXTS,
    "bpchar": TEXTS,
    "citext": TEXTS,
}

# Edge values too large to be drawn at random a thousand times.
LARGE = {
    "numeric": ["1" * 1000, "-" + "9" * 500 + "." + "9" * 500, "1e131071",
                "-9.99e131071", "1e-16383"],
    "text": [EVERY_KIND],
    "varchar": [EVERY_KIND],
}


def literals(name, version):
    """(those to draw from, the large ones) of the base type."""
    small = [one for one in LITERALS.get(name, ())
             if isinstance(one, str) or one[1] <= version]
    return ([one if isinstance(one, str) else one[0] for one in small],
            LARGE.get(name, []))
