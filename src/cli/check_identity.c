#include <stdlib.h>

#include "cli/check.h"

/*
 * PostgreSQL refuses updates and deletes of a published table that has nothing
 * to name the row by: the application's statements fail.
 */

#define NAMED 20

/* Rows of a partitioned table are those of its partitions. */
static int
ask(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "WITH published AS (SELECT DISTINCT format('%I.%I', schemaname, "
	    "tablename)::regclass AS id FROM pg_publication_tables t "
	    "JOIN pg_publication p USING (pubname) "
	    "WHERE (pubupdate OR pubdelete) AND p.pubname = ANY (");
	check_put_publications(c);
	return check_ask(c,
	    ")), leaf AS (SELECT DISTINCT coalesce(tree.relid, id) AS id "
	    "FROM published LEFT JOIN LATERAL (SELECT relid FROM "
	    "pg_partition_tree(id) WHERE isleaf) tree ON true), "
	    "told AS (SELECT id::text, relreplident, "
	    "CASE relreplident WHEN 'f' THEN true WHEN 'n' THEN false ELSE "
	    "EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisvalid"
	    " AND CASE relreplident WHEN 'd' THEN indisprimary ELSE "
	    "indisreplident END) END AS good "
	    "FROM leaf JOIN pg_class c ON c.oid = id) "
	    "SELECT id, relreplident, good, "
	    "count(*) FILTER (WHERE NOT good) OVER (), "
	    "count(*) FILTER (WHERE relreplident = 'f') OVER (), "
	    "count(*) OVER () FROM told ORDER BY good, id",
	    err);
}

static void
complain(struct check *c)
{
	const char *table = check_text(c, 0);

	if (check_is(c, 1, "n"))
		check_fail(c, "%s has REPLICA IDENTITY NOTHING", table);
	else if (check_is(c, 1, "i"))
		check_fail(c,
		    "the index that is to identify rows of %s is "
		    "gone or invalid",
		    table);
	else
		check_fail(c, "%s has no primary key", table);
	check_todo(c,
	    "UPDATE and DELETE fail in the application: give it a "
	    "primary key, or ALTER TABLE %s REPLICA IDENTITY USING "
	    "INDEX ... or FULL",
	    table);
}

int
check_identity(struct check *c, struct err *err)
{
	int got, bad = 0, full = 0, all = 0, seen = 0;

	if (c->publications == 0)
		return 0;
	if (ask(c, err) == -1)
		return -1;
	while ((got = check_next(c, err)) == 1) {
		bad = atoi(check_text(c, 3));
		full = atoi(check_text(c, 4));
		all = atoi(check_text(c, 5));
		if (check_true(c, 2))
			break; /* so have all that follow */
		if (seen++ < NAMED)
			complain(c);
	}
	if (got == -1 || all == 0)
		return got;
	if (bad > NAMED) {
		check_fail(c, "%d more tables have none", bad - NAMED);
		check_todo(c, "Mend these first");
	} else if (bad == 0 && full == 0) {
		check_ok(c, "each of %d has one", all);
	} else if (bad == 0) {
		check_ok(c,
		    "each of %d has one; %d have FULL, which "
		    "writes the whole old row to the WAL",
		    all, full);
	}
	return 0;
}
