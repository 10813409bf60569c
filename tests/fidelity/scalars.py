"""Base types: how PostgreSQL makes a random value of each, in SQL.

By name, because what a text must look like is known of a type and not to be
read from the catalogue. A base type that is missing here gets random text or
the literals its input function takes (see generators).
"""

RANDOM = {
    "bool": "random() < 0.5",
    "int2": "gen.whole(15)",
    "int4": "gen.whole(31)",
    "int8": "gen.whole(63)",
    "numeric": 'gen."numeric"()',
    "float4": 'gen."float8"(60)',
    "float8": 'gen."float8"(600)',
    "money": "(gen.whole(63) / 100)",
    "text": "gen.text()",
    "varchar": "gen.text()",
    "bpchar": "gen.text()",
    "citext": "gen.text()",
    "name": "gen.text()",
    "refcursor": "gen.text()",
    "char": "chr(1 + gen.below(127))",
    "bytea": "decode(gen.hex(gen.below(33)), 'hex')",
    "json": 'gen."json"(0)',
    "jsonb": 'gen."json"(0)',
    "jsonpath": "'strict $.' || to_json(gen.text())::text || '[*]'",
    "xml": "xmlelement(name a, xmlattributes(gen.text() AS b), gen.text())",
    "date": "'2000-01-01'::date + gen.since_2000()",
    "timestamp": "'2000-01-01'::timestamp + gen.since_2000()",
    "timestamptz": "'2000-01-01'::timestamp + gen.since_2000()",
    "time": "'00:00'::time + random() * '1 day'::interval",
    "timetz": "('00:00'::time + random() * '1 day'::interval)::text"
              " || to_char(gen.below(28) - 14, 'SG00') || ':'"
              " || lpad(gen.below(60)::text, 2, '0')",
    "interval": "make_interval(gen.whole(12)::int, gen.whole(5)::int, 0,"
                " gen.whole(20)::int, gen.whole(8)::int, gen.whole(8)::int,"
                " (random() - 0.5) * 1000)",
    "bit": "left(gen.big(1e15)::int8::bit(50)::text, 1 + gen.below(50))",
    "varbit": "left(gen.big(1e15)::int8::bit(50)::text, gen.below(51))",
    "uuid": "md5(random()::text)",
    "inet": 'gen."inet"()',
    "cidr": 'network(gen."inet"())',
    "macaddr": "gen.hex(6)",
    "macaddr8": "gen.hex(8)",
    "oid": "gen.big(4294967295)::int8",
    "xid": "gen.big(4294967295)::text",
    "cid": "gen.big(4294967295)::text",
    "xid8": "gen.big(1.8e19)::text",
    "tid": "format('(%s,%s)', gen.big(4294967295), gen.below(65536))",
    "pg_lsn": "to_hex(gen.below(2147483647)) || '/' ||"
              " to_hex(gen.below(2147483647))",
    "int2vector": "array_to_string(gen.numbers(32767), ' ')",
    "oidvector": "array_to_string(gen.numbers(4294967295), ' ')",
    "pg_snapshot": "gen.snapshot()",
    "txid_snapshot": "gen.snapshot()",
    "aclitem": "makeaclitem(gen.object('pg_authid'), 10, (ARRAY['SELECT',"
               " 'INSERT', 'UPDATE', 'USAGE'])[1 + gen.below(4)],"
               " random() < 0.5)",
    "regproc": "gen.object('pg_proc')",
    "regprocedure": "gen.object('pg_proc')",
    "regoper": "gen.object('pg_operator')",
    "regoperator": "gen.object('pg_operator')",
    "regclass": "gen.object('pg_class')",
    "regtype": "gen.object('pg_type')",
    "regrole": "gen.object('pg_authid')",
    "regnamespace": "gen.object('pg_namespace')",
    "regcollation": "gen.object('pg_collation')",
    "regconfig": "gen.object('pg_ts_config')",
    "regdictionary": "gen.object('pg_ts_dict')",
    "tsvector": 'gen."tsvector"()',
    "tsquery": 'gen."tsquery"()',
    "point": 'gen."point"()',
    "lseg": 'lseg(gen."point"(), gen."point"())',
    # Of two points line() refuses those that are the same.
    "line": "format('{%s,-1,%s}', random() * 1000, random() * 1000)::line",
    "box": 'box(gen."point"(), gen."point"())',
    "circle": 'circle(gen."point"(), random() * 1000)',
    "polygon": 'polygon(1 + gen.below(6) + 1, circle(gen."point"(), 2))',
    "path": '(path(polygon(3 + gen.below(4), circle(gen."point"(), 2))))',
    "hstore": "hstore(ARRAY[gen.text(), gen.text(), gen.label()],"
              " ARRAY[gen.text(), NULL, gen.whole(60)::text])",
    "ltree": "gen.label() || '.' || gen.label() || '.Top_1'",
    "lquery": "'*{1,3}.' || gen.label() || '*@.!' || gen.label() || '|a%'",
    "ltxtquery": "gen.label() || '* & !' || gen.label() || '@'",
    "cube": 'cube(ARRAY[gen."float8"(12), gen."float8"(12)],'
            ' ARRAY[gen."float8"(12), gen."float8"(12)])',
    "query_int": "format('%s&(!%s|%s)', gen.below(1000), gen.below(1000),"
                 " gen.below(1000))",
}
