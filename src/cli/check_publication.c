#include <stdlib.h>

#include "cli/check.h"
#include "pg/replication.h"

/*
 * What is published.
 */

/* Tables named in one line; the rest is counted. */
#define NAMED "10"

void
check_put_publications(struct check *c)
{
	buf_put_str(&c->sql, "ARRAY[");
	for (size_t i = 0; i < c->publications; i++) {
		if (i > 0)
			buf_put_u8(&c->sql, ',');
		repl_quote_literal(&c->sql, c->publication[i]);
	}
	buf_put_str(&c->sql, "]::text[]");
}

static int
list_publications(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT string_agg(quote_ident(pubname), ', ' ORDER BY pubname) "
		"FROM pg_publication",
		err) == -1)
		return -1;
	if (c->col[0] == NULL) {
		check_warn(c, "there is none in this database");
		check_todo(c,
		    "CREATE PUBLICATION publication FOR ALL TABLES, "
		    "or FOR TABLE ...");
		return 0;
	}
	check_ok(c, "none was named (--publication); there are %s",
	    check_text(c, 0));
	return 0;
}

/* One that is there: its tables are counted, its operations named. */
static void
describe_publication(struct check *c)
{
	bool none = check_is(c, 6, "0");

	(none ? check_warn : check_ok)(c, "%s covers %s%s and publishes %s%s",
	    check_text(c, 1), check_text(c, 6),
	    check_true(c, 2)          ? " tables, which is all"
		: check_is(c, 6, "1") ? " table"
				      : " tables",
	    check_is(c, 3, "") ? "nothing" : check_text(c, 3),
	    check_true(c, 4) ? ", partitions as their root" : "");
	if (none)
		check_todo(c, "ALTER PUBLICATION %s ADD TABLE ...",
		    check_text(c, 1));
}

int
check_publication(struct check *c, struct err *err)
{
	int got;

	if (c->publications == 0)
		return list_publications(c, err);
	buf_put_str(&c->sql,
	    "SELECT p.oid IS NOT NULL, quote_ident(name), puballtables, "
	    "concat_ws(', ', CASE WHEN pubinsert THEN 'insert' END, "
	    "CASE WHEN pubupdate THEN 'update' END, "
	    "CASE WHEN pubdelete THEN 'delete' END, "
	    "CASE WHEN pubtruncate THEN 'truncate' END), pubviaroot, "
	    "quote_ident(current_database()), "
	    "(SELECT count(*) FROM pg_publication_tables t "
	    "WHERE t.pubname = p.pubname) FROM unnest(");
	check_put_publications(c);
	if (check_ask(c,
		") WITH ORDINALITY n(name, i) "
		"LEFT JOIN pg_publication p ON p.pubname = n.name ORDER BY i",
		err) == -1)
		return -1;
	while ((got = check_next(c, err)) == 1) {
		if (check_true(c, 0)) {
			describe_publication(c);
			continue;
		}
		check_fail(c, "%s does not exist in database %s",
		    check_text(c, 1), check_text(c, 5));
		check_todo(c,
		    "CREATE PUBLICATION %s FOR ALL TABLES, or FOR "
		    "TABLE ...; or connect to another database",
		    check_text(c, 1));
	}
	return got;
}

/* The names of what is published, some of them. */
static int
name_tables(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "SELECT count(*), string_agg(name, ', ' ORDER BY name) "
	    "FILTER (WHERE i <= " NAMED "), greatest(count(*) - " NAMED ", 0) "
	    "FROM (SELECT name, row_number() OVER (ORDER BY name) AS i "
	    "FROM (SELECT DISTINCT format('%I.%I', schemaname, tablename) "
	    "AS name FROM pg_publication_tables WHERE pubname = ANY (");
	check_put_publications(c);
	if (check_row(c, ")) t) t", err) == -1)
		return -1;
	if (check_is(c, 0, "0"))
		return 0; /* said of the publication */
	if (check_is(c, 2, "0"))
		check_ok(c, "%s", check_text(c, 1));
	else
		check_ok(c, "%s and %s more", check_text(c, 1),
		    check_text(c, 2));
	return 0;
}

/* Rows that a publication leaves out (PostgreSQL 15 and later). */
static int
name_filters(struct check *c, struct err *err)
{
	int got;

	buf_put_str(&c->sql,
	    "SELECT format('%I.%I', schemaname, tablename), rowfilter, "
	    "quote_ident(pubname) FROM pg_publication_tables "
	    "WHERE rowfilter IS NOT NULL AND pubname = ANY (");
	check_put_publications(c);
	if (check_ask(c, ") ORDER BY 1, 3 LIMIT " NAMED, err) == -1)
		return -1;
	while ((got = check_next(c, err)) == 1)
		check_ok(c, "%s: only rows with %s (publication %s)",
		    check_text(c, 0), check_text(c, 1), check_text(c, 2));
	return got;
}

/* FOR ALL TABLES is all but these. */
static int
name_unlogged(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY 1) "
	    "FROM pg_class c WHERE relpersistence = 'u' AND relkind = 'r' "
	    "AND EXISTS (SELECT FROM pg_publication WHERE puballtables "
	    "AND pubname = ANY (");
	check_put_publications(c);
	if (check_row(c, "))", err) == -1)
		return -1;
	if (c->col[0] == NULL)
		return 0;
	check_warn(c, "unlogged tables are not in the WAL: %s",
	    check_text(c, 0));
	check_todo(c,
	    "ALTER TABLE ... SET LOGGED where their changes are "
	    "wanted");
	return 0;
}

int
check_tables(struct check *c, struct err *err)
{
	if (c->publications == 0)
		return 0;
	if (name_tables(c, err) == -1 || name_unlogged(c, err) == -1)
		return -1;
	return c->version < 150000 ? 0 : name_filters(c, err);
}

/* PostgreSQL refuses to send a table whose publications disagree. */
int
check_column_lists(struct check *c, struct err *err)
{
	int got;

	if (c->publications == 0)
		return 0;
	buf_put_str(&c->sql,
	    "SELECT format('%I.%I', schemaname, tablename), "
	    "count(DISTINCT attnames) > 1, string_agg(DISTINCT "
	    "array_to_string(attnames, ', '), '; ') "
	    "FROM pg_publication_tables t WHERE pubname = ANY (");
	check_put_publications(c);
	if (check_ask(c,
		") GROUP BY schemaname, tablename "
		"HAVING count(DISTINCT attnames) > 1 OR bool_or(EXISTS (SELECT "
		"FROM pg_attribute WHERE attrelid = format('%I.%I', schemaname,"
		" tablename)::regclass AND attnum > 0 AND NOT attisdropped AND "
		"attgenerated = '' AND attname <> ALL (attnames))) "
		"ORDER BY 1 LIMIT " NAMED,
		err) == -1)
		return -1;
	while ((got = check_next(c, err)) == 1) {
		if (!check_true(c, 1)) {
			check_ok(c, "%s: only the columns %s", check_text(c, 0),
			    check_text(c, 2));
			continue;
		}
		check_fail(c, "the publications have different columns of %s",
		    check_text(c, 0));
		check_todo(c,
		    "ALTER PUBLICATION ... SET TABLE, so that they "
		    "agree: PostgreSQL will not send it");
	}
	return got;
}

/* Sent since 18, and only if the publication says so; virtual ones never. */
int
check_generated(struct check *c, struct err *err)
{
	int got;

	if (c->publications == 0)
		return 0;
	buf_put_str(&c->sql,
	    "SELECT format('%I.%I', schemaname, tablename), "
	    "string_agg(DISTINCT quote_ident(attname), ', '), "
	    "attgenerated = 's', min(quote_ident(p.pubname)) "
	    "FROM pg_publication_tables t JOIN pg_publication p USING (pubname)"
	    " JOIN pg_attribute ON attrelid = format('%I.%I', schemaname, "
	    "tablename)::regclass AND attnum > 0 AND NOT attisdropped "
	    "WHERE (attgenerated = 'v' OR (attgenerated = 's' AND "
	    "coalesce(to_jsonb(p)->>'pubgencols', 'n') = 'n')) "
	    "AND p.pubname = ANY (");
	check_put_publications(c);
	if (check_ask(c, ") GROUP BY 1, 3 ORDER BY 1, 3 LIMIT " NAMED, err) ==
	    -1)
		return -1;
	while ((got = check_next(c, err)) == 1) {
		check_warn(c, "%s: generated columns are not sent: %s",
		    check_text(c, 0), check_text(c, 1));
		if (c->version >= 180000 && check_true(c, 2))
			check_todo(c,
			    "ALTER PUBLICATION %s SET "
			    "(publish_generated_columns = stored)",
			    check_text(c, 3));
		else
			check_todo(c,
			    "Compute them from the others where "
			    "they are needed%s",
			    check_true(c, 2) ? "; PostgreSQL 18 can send them"
					     : "");
	}
	return got;
}
