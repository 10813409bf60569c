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
	static const char *const kind[] = { "", ", which is all",
		", those of its schemas among them" };
	bool no_table = check_is(c, 6, "0"), no_operation = check_is(c, 3, "");

	(no_table || no_operation ? check_warn : check_ok)(c,
	    "%s covers %s table%s%s and publishes %s%s", check_text(c, 1),
	    check_text(c, 6), check_is(c, 6, "1") ? "" : "s",
	    kind[atoi(check_text(c, 2)) % 3],
	    no_operation ? "nothing" : check_text(c, 3),
	    check_true(c, 4) ? ", partitions as their root" : "");
	if (no_operation)
		check_todo(c,
		    "ALTER PUBLICATION %s SET (publish = 'insert, update, "
		    "delete, truncate')",
		    check_text(c, 1));
	else if (no_table)
		check_todo(c, "ALTER PUBLICATION %s ADD TABLE ...",
		    check_text(c, 1));
}

int
check_publication(struct check *c, struct err *err)
{
	int got;

	if (c->publications == 0)
		return list_publications(c, err);
	buf_put_str(&c->sql, "SELECT p.oid IS NOT NULL, quote_ident(name), ");
	/* Schemas can be published since 15. */
	buf_put_str(&c->sql,
	    c->version < 150000
		? "puballtables::int, "
		: "CASE WHEN puballtables THEN 1 WHEN EXISTS (SELECT FROM "
		  "pg_publication_namespace WHERE pnpubid = p.oid) THEN 2 "
		  "ELSE 0 END, ");
	buf_put_str(&c->sql,
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

/* What is covered by its name, its schema or FOR ALL TABLES, and is not in the
 * WAL. */
static int
name_uncovered(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "WITH pub AS (SELECT * FROM pg_publication WHERE pubname = ANY (");
	check_put_publications(c);
	buf_put_str(&c->sql,
	    ")) SELECT string_agg(name, ', ' ORDER BY name) FILTER (WHERE "
	    "i <= " NAMED "), greatest(count(*) - " NAMED ", 0) "
	    "FROM (SELECT name, row_number() OVER (ORDER BY name) AS i FROM "
	    "(SELECT format('%I.%I%s', n.nspname, relname, CASE relkind "
	    "WHEN 'f' THEN ' (foreign)' ELSE ' (unlogged)' END) AS name "
	    "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
	    "WHERE (relkind = 'f' OR relkind = 'r' AND relpersistence = 'u') "
	    "AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' "
	    "AND (EXISTS (SELECT FROM pub WHERE puballtables) "
	    "OR EXISTS (SELECT FROM pub JOIN pg_publication_tables t "
	    "USING (pubname) WHERE schemaname = n.nspname AND tablename = "
	    "relname)");
	if (c->version >= 150000)
		buf_put_str(&c->sql,
		    " OR EXISTS (SELECT FROM pub JOIN pg_publication_namespace"
		    " ON pnpubid = pub.oid WHERE pnnspid = n.oid)");
	if (check_row(c, ")) t) t", err) == -1)
		return -1;
	if (c->col[0] == NULL)
		return 0;
	check_warn(c, "changes of these are not in the WAL: %s",
	    check_text(c, 0));
	if (!check_is(c, 1, "0"))
		report_text(c->report, " and %s more", check_text(c, 1));
	check_todo(c,
	    "Where they are wanted, ALTER TABLE ... SET LOGGED; publish "
	    "foreign tables where their rows are");
	return 0;
}

int
check_tables(struct check *c, struct err *err)
{
	if (c->publications == 0)
		return 0;
	if (name_tables(c, err) == -1 || name_uncovered(c, err) == -1)
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
		"ORDER BY 2 DESC, 1 LIMIT " NAMED,
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

/* Sent since 18, and only if the publication says so, or its column list;
 * virtual ones never. Who has made a list has left out what is not in it. */
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
	    " JOIN pg_namespace n ON n.nspname = schemaname JOIN pg_class r "
	    "ON relnamespace = n.oid AND relname = tablename "
	    "JOIN pg_attribute a ON attrelid = r.oid AND attnum > 0 "
	    "AND NOT attisdropped AND attgenerated <> '' "
	    "WHERE ");
	if (c->version >= 180000) /* 15 has them among attnames, unsent */
		buf_put_str(&c->sql, "attname <> ALL (attnames) AND ");
	buf_put_str(&c->sql,
	    "NOT EXISTS (SELECT FROM pg_publication_rel pr WHERE "
	    "prpubid = p.oid AND prrelid = r.oid AND "
	    "to_jsonb(pr)->>'prattrs' IS NOT NULL) AND p.pubname = ANY (");
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
