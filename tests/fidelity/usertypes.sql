-- The types the suite adds to those PostgreSQL comes with. The catalogue is
-- read afterwards, so a type that is added here is tested with no more ado.
CREATE SCHEMA mine;
SET search_path = mine, public;

-- Enums
CREATE TYPE mood AS ENUM ('', ' ', 'sad', 'so "so"', 'very, happy',
    '{}', 'NULL', 'null', 'back\slash', 'it''s', '(x)',
    'é漢😀', E'tab\tnl\n\x01',
    'true', '12', '$"', ';',
    'sixty-three-characters-are-as-many-as-the-label-of-an-enum-has.');
CREATE TYPE no_label AS ENUM ();

-- Base types whose arrays have delimiters of their own
CREATE TYPE semi;
CREATE FUNCTION semi_in(cstring) RETURNS semi
    AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION semi_out(semi) RETURNS cstring
    AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE semi (INPUT = semi_in, OUTPUT = semi_out, LIKE = text,
    DELIMITER = ';');
CREATE TYPE bar;
CREATE FUNCTION bar_in(cstring) RETURNS bar
    AS 'int4in' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION bar_out(bar) RETURNS cstring
    AS 'int4out' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE bar (INPUT = bar_in, OUTPUT = bar_out, LIKE = int4,
    DELIMITER = '|');

-- Composites
CREATE TYPE nothing AS ();
CREATE TYPE emptied AS (a int);
ALTER TYPE emptied DROP ATTRIBUTE a;
CREATE TYPE single AS (one text);
CREATE TYPE pair AS (a int, "b ""q"" \ é" text);
CREATE TYPE "Odd ""type"", [] ()" AS ("{}" mood, "a.b" semi, "c:" bar);
CREATE TYPE holed AS (gone int, kept text, gone_too numeric[],
    "last, one" timestamptz);
ALTER TYPE holed DROP ATTRIBUTE gone, DROP ATTRIBUTE gone_too,
    ADD ATTRIBUTE later mood;
CREATE TYPE sized AS (n numeric(10,3), v varchar(5), c char(5), b bit(4),
    vb varbit(7), ts timestamp(2), tz timestamptz(0), t time(0), tt timetz(1),
    s interval second(3), dm interval day to minute, na numeric(5,2)[],
    ca char(3)[], va varchar(2)[]);
CREATE TYPE nested AS (p pair, ps pair[], h holed, m mood, ms mood[],
    r int4range, mr tsmultirange, j json, jb jsonb[], hs hstore, d date[],
    by bytea, boxes box[], semis semi[], bars bar[], iv int2vector, n nothing);
CREATE TYPE deep AS (n nested, ns nested[], "x.y" sized, s single[]);
CREATE TYPE deeper AS (d deep, h holed[], ss sized[]);

-- Rows of tables
CREATE TABLE row_table (id int PRIMARY KEY, gone text, "odd ""col""" text,
    n nested, f float8, twice float8 GENERATED ALWAYS AS (f * 2) STORED);
ALTER TABLE row_table DROP COLUMN gone;
CREATE TABLE row_child (more numeric, again row_table) INHERITS (row_table);
CREATE TABLE row_parted (a int, b text) PARTITION BY LIST (a);
CREATE TABLE row_part PARTITION OF row_parted FOR VALUES IN (1);
CREATE VIEW row_view AS SELECT n, f, now() AS seen FROM row_table;
CREATE TYPE with_rows AS (r row_table, rs row_table[], v row_view);

-- Ranges, which bring their multiranges
CREATE TYPE mood_range AS RANGE (subtype = mood);
CREATE TYPE pair_range AS RANGE (subtype = pair);
CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
CREATE TYPE citext_range AS RANGE (subtype = citext);
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE TYPE time_range AS RANGE (subtype = time);
CREATE TYPE inet_range AS RANGE (subtype = inet);
CREATE TYPE array_range AS RANGE (subtype = text[], collation = "C");
CREATE TYPE range_range AS RANGE (subtype = int4range);
CREATE TYPE bytea_range AS RANGE (subtype = bytea);

-- Domains: with constraints, and below over every type there is by now
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN given AS int NOT NULL;
CREATE DOMAIN word AS text CHECK (VALUE <> '');
CREATE DOMAIN small AS positive CHECK (VALUE < 1000000000);
CREATE DOMAIN positives AS positive[];
CREATE DOMAIN more_positives AS positives CHECK (cardinality(VALUE) > 1);
CREATE DOMAIN money_like AS numeric(12,4);
CREATE DOMAIN four AS char(4);
CREATE DOMAIN fours AS char(4)[];
CREATE DOMAIN whole AS pair
    CHECK (VALUE IS NULL OR (VALUE).a IS NOT NULL);
CREATE DOMAIN not_nulls AS jsonb CHECK (jsonb_typeof(VALUE) <> 'null');
CREATE TYPE positive_range AS RANGE (subtype = positive);
CREATE TYPE of_domains AS (p positive, ps positives, w word, ws word[],
    g given, gs given[], f four, fs fours, m money_like, o whole[]);

DO $$
DECLARE
	one record;
BEGIN
	FOR one IN
		SELECT t.typname, n.nspname FROM pg_type t
		JOIN pg_namespace n ON n.oid = t.typnamespace
		LEFT JOIN pg_class c ON c.oid = t.typrelid
		LEFT JOIN pg_type e ON e.typarray = t.oid
		WHERE t.typtype <> 'p' AND t.typisdefined
		    AND (c.oid IS NULL OR c.relkind = 'c')
		    AND (e.oid IS NULL OR e.typname IN ('box', 'text', 'json',
			'numeric', 'timestamptz', 'int2vector', 'hstore',
			'mood', 'semi', 'pair', 'nothing', 'mood_range'))
	LOOP
		EXECUTE format('CREATE DOMAIN %I AS %I.%I',
		    'over ' || one.typname, one.nspname, one.typname);
	END LOOP;
END $$;

-- What fills catalogues that have types no text is accepted for
CREATE TABLE correlated AS SELECT i % 7 AS a, i % 7 AS b, i % 3 AS c
    FROM generate_series(1, 500) i;
CREATE STATISTICS correlation ON a, b, c FROM correlated;
ANALYZE correlated;

CREATE ROLE "odd ""role"", {}";
RESET search_path;
