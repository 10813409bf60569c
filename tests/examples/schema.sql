-- What test_exactly_once.py keeps the same: a key that is always generated,
-- large values, a name that needs care, a key of two columns, a table without
-- a key, and two that can only be truncated together.
CREATE TABLE account (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text,
	amount numeric,
	doc json,
	big text,
	twice numeric GENERATED ALWAYS AS (amount * 2) STORED,
	"a%b ""c" int
);
ALTER TABLE account ALTER big SET STORAGE EXTERNAL;
CREATE TABLE pair (a int, b text, v int[], PRIMARY KEY (a, b));
CREATE TABLE log (n int, v text);
ALTER TABLE log REPLICA IDENTITY FULL;
CREATE TABLE scratch (id int PRIMARY KEY);
CREATE TABLE scratch_of (id int PRIMARY KEY REFERENCES scratch);
