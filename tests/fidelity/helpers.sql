-- What the generators of single types are made of. The session sets
-- fidelity.noise, the text that random texts are cut from.
CREATE SCHEMA gen;

-- Does the type take this text? NULL, or the SQLSTATE it is refused with.
CREATE FUNCTION gen.refusal(type text, literal text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT to_json(%L::%s)', literal, type);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

-- Can a column have the type? The table is not kept.
CREATE FUNCTION gen.columnable(type text) RETURNS bool
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE gen.trial (c %s)', type);
	RAISE EXCEPTION USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
	RETURN true;
WHEN invalid_table_definition THEN
	RETURN false;  -- there is a pseudo-type in it
END $$;

CREATE FUNCTION gen.below(n float8) RETURNS int
LANGUAGE sql AS 'SELECT floor(random() * n)::int';

CREATE FUNCTION gen.big(most float8) RETURNS numeric
LANGUAGE sql AS 'SELECT trunc((random() * most)::numeric)';

-- Whole numbers of all sizes, to both sides.
CREATE FUNCTION gen.whole(bits int) RETURNS numeric
LANGUAGE sql AS $$
	SELECT trunc(((random() - 0.5) * 2 ^ (1 + random() * bits))::numeric)
$$;

CREATE FUNCTION gen.text() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	noise text := current_setting('fidelity.noise');
	len int := 40 * random() ^ 2;
BEGIN
	RETURN substr(noise, 1 + gen.below(length(noise) - len), len);
END $$;

CREATE FUNCTION gen.label() RETURNS text
LANGUAGE sql AS $$
	SELECT left(md5(random()::text), 1 + gen.below(31))
$$;

CREATE FUNCTION gen.digits(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text := '';
BEGIN
	WHILE length(d) < n LOOP
		d := d || substr(random()::text, 4, 12);
	END LOOP;
	RETURN left(regexp_replace(d, '[^0-9]', '7', 'g'), n);
END $$;

-- 1 to 1,000 digits, few oftener than many; the point anywhere.
CREATE FUNCTION gen."numeric"() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	d text := gen.digits((10 ^ (random() * 3))::int);
	point int := gen.below(length(d) + 1);
BEGIN
	IF random() < 0.5 THEN
		d := left(d, point) || '.' || substr(d || '0', point + 1);
	END IF;
	RETURN (CASE WHEN random() < 0.5 THEN '-' ELSE '' END || d)::numeric;
END $$;

CREATE FUNCTION gen."float8"(span int) RETURNS float8
LANGUAGE sql AS $$
	SELECT (random() - 0.5) * 10.0::float8 ^ ((random() - 0.5) * span)
$$;

-- Up to 6,700 years before and after 2000, near ones oftener.
CREATE FUNCTION gen.since_2000() RETURNS interval
LANGUAGE sql AS $$
	SELECT (random() - 0.5) * 2 * random() ^ 6 * interval '2440000 days'
$$;

CREATE FUNCTION gen."json"(depth int) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE gen.below(CASE WHEN depth > 2 THEN 4 ELSE 7 END)
	WHEN 0 THEN to_json(gen.text())
	WHEN 1 THEN to_json(gen."numeric"())
	WHEN 2 THEN to_json(random() < 0.5)
	WHEN 3 THEN 'null'::json
	WHEN 4 THEN json_build_array(gen."json"(depth + 1),
	    gen."json"(depth + 1))
	WHEN 5 THEN json_build_object(gen.text(), gen."json"(depth + 1),
	    gen.text(), gen.whole(40))
	ELSE (E' [\t' || gen."json"(depth + 1) || E' ,\r\n1 ] ')::json
	END;
END $$;

CREATE FUNCTION gen.hex(bytes int) RETURNS text
LANGUAGE sql AS $$
	SELECT left(md5(random()::text) || md5(random()::text), 2 * bytes)
$$;

CREATE FUNCTION gen."inet"() RETURNS inet LANGUAGE plpgsql AS $$
BEGIN
	IF random() < 0.5 THEN
		RETURN set_masklen('0.0.0.0'::inet + gen.below(2147483647),
		    gen.below(33));
	END IF;
	RETURN set_masklen(regexp_replace(gen.hex(16), '(....)(?=.)', '\1:',
	    'g')::inet, gen.below(129));
END $$;

CREATE FUNCTION gen."point"() RETURNS point
LANGUAGE sql AS $$
	SELECT point(gen."float8"(12), gen."float8"(12))
$$;

CREATE FUNCTION gen."tsvector"() RETURNS tsvector
LANGUAGE sql AS $$
	SELECT setweight(to_tsvector('simple', gen.text()), 'B')
	    || array_to_tsvector(ARRAY[gen.text() || 'x', gen.label()])
$$;

CREATE FUNCTION gen."tsquery"() RETURNS tsquery LANGUAGE plpgsql AS $$
DECLARE
	a tsquery := format('''%s'':*AB',
	    regexp_replace(gen.text() || 'x', '[''\\]', '\\\&', 'g'));
	b tsquery := plainto_tsquery('simple', gen.label());
BEGIN
	RETURN CASE gen.below(4) WHEN 0 THEN a && b WHEN 1 THEN a || !!b
	    WHEN 2 THEN a <-> b ELSE a END;
END $$;

CREATE FUNCTION gen.snapshot() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	low int := 1 + gen.below(100000);
BEGIN
	RETURN format('%s:%s:%s', low, low + 9, array_to_string(
	    ARRAY(SELECT low + i FROM generate_series(1, gen.below(9)) i),
	    ','));
END $$;

CREATE FUNCTION gen.numbers(most float8) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
	RETURN ARRAY(SELECT gen.big(most)::text
	    FROM generate_series(1, gen.below(6)));
END $$;

-- An object of the catalogue, or now and then none.
CREATE FUNCTION gen.object(catalogue regclass) RETURNS oid
LANGUAGE plpgsql AS $$
DECLARE
	found oid;
	least int := gen.below(20000);
BEGIN
	EXECUTE format('SELECT oid FROM %s WHERE oid >= $1'
	    ' ORDER BY oid LIMIT 1', catalogue) INTO found USING least::oid;
	RETURN coalesce(found, 4000000000 + gen.below(1000));
END $$;
