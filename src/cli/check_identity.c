#include <stdlib.h>

#include "cli/check.h"

/*
 * PostgreSQL refuses updates and deletes of a published table that has nothing
 * to name the row by, or whose publication leaves a part of that out: the
 * application's statements fail (CheckCmdReplicaIdentity).
 */

#define NAMED 20

static const struct {
	const char *state, *text, *todo;
	bool full; /* REPLICA IDENTITY FULL helps, too */
} complaints[] = {
	{ "none", "has no primary key", "give it one", true },
	{ "deferrable", "has a primary key that is deferrable",
	    "make it NOT DEFERRABLE", true },
	{ "nothing", "has REPLICA IDENTITY NOTHING",
	    "let it be DEFAULT, with a primary key", true },
	{ "index", "has an identity index that is gone or invalid",
	    "ALTER TABLE ... REPLICA IDENTITY USING INDEX another", true },
	{ "filter", "has a row filter on columns outside its replica identity",
	    "filter by the key", true },
	{ "list",
	    "has a column list that lacks columns of its replica identity",
	    "ALTER PUBLICATION ... SET TABLE with the columns of its primary "
	    "key in the list, and REPLICA IDENTITY DEFAULT",
	    false },
};

/* What the publications themselves spoil; the columns of a filter are known by
 * its dependencies, which a list's columns are among. */
static void
put_spoilt(struct check *c)
{
	if (c->version < 150000) {
		buf_put_str(&c->sql, "NULL");
		return;
	}
	buf_put_str(&c->sql,
	    "(SELECT min(CASE WHEN prattrs IS NULL THEN 'filter' ELSE 'list' "
	    "END) FROM pg_publication_rel pr JOIN pg_publication p "
	    "ON p.oid = prpubid WHERE prrelid = c.oid AND "
	    "(pubupdate OR pubdelete) AND p.pubname = ANY (");
	check_put_publications(c);
	buf_put_str(&c->sql,
	    ") AND CASE WHEN prattrs IS NOT NULL THEN relreplident = 'f' OR "
	    "NOT key <@ prattrs::int2[] WHEN prqual IS NOT NULL THEN "
	    "relreplident <> 'f' AND NOT (SELECT "
	    "coalesce(array_agg(refobjsubid::int2), '{}') FROM pg_depend "
	    "WHERE classid = 'pg_publication_rel'::regclass AND objid = pr.oid "
	    "AND refclassid = 'pg_class'::regclass AND refobjid = c.oid "
	    "AND refobjsubid > 0) <@ key ELSE false END)");
}

/* Rows of a partitioned table are those of its partitions. What is not logged,
 * or foreign, is not published, whatever the list says. */
static int
ask(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "WITH published AS (SELECT DISTINCT r.oid AS id, r.relkind "
	    "FROM pg_publication_tables t JOIN pg_publication p USING (pubname)"
	    " JOIN pg_namespace n ON n.nspname = schemaname JOIN pg_class r "
	    "ON r.relnamespace = n.oid AND r.relname = tablename "
	    "WHERE (pubupdate OR pubdelete) AND p.pubname = ANY (");
	check_put_publications(c);
	buf_put_str(&c->sql,
	    ")), leaf AS (SELECT id FROM published WHERE relkind <> 'p' UNION "
	    "SELECT relid FROM published, pg_partition_tree(id) "
	    "WHERE relkind = 'p' AND isleaf), "
	    "told AS (SELECT format('%I.%I', n.nspname, relname) AS name, "
	    "relreplident, CASE WHEN relreplident <> 'f' AND key IS NULL THEN "
	    "CASE relreplident WHEN 'n' THEN 'nothing' WHEN 'i' THEN 'index' "
	    "ELSE CASE WHEN EXISTS (SELECT FROM pg_index WHERE "
	    "indrelid = c.oid AND indisprimary) THEN 'deferrable' "
	    "ELSE 'none' END END ELSE ");
	put_spoilt(c);
	return check_ask(c,
	    " END AS state FROM leaf JOIN pg_class c ON c.oid = leaf.id "
	    "JOIN pg_namespace n ON n.oid = relnamespace LEFT JOIN LATERAL "
	    "(SELECT (indkey::int2[])[0:indnkeyatts - 1] AS key FROM pg_index "
	    "WHERE indrelid = c.oid AND indisvalid AND indimmediate AND "
	    "CASE relreplident WHEN 'd' THEN indisprimary WHEN 'i' THEN "
	    "indisreplident ELSE false END) i ON true "
	    "WHERE c.relkind = 'r' AND relpersistence = 'p') "
	    "SELECT name, state, count(state) OVER (), "
	    "count(*) FILTER (WHERE relreplident = 'f') OVER (), "
	    "count(*) OVER () FROM told ORDER BY state IS NULL, name",
	    err);
}

static void
complain(struct check *c)
{
	const char *table = check_text(c, 0);

	for (size_t i = 0; i < sizeof(complaints) / sizeof(*complaints); i++) {
		if (!check_is(c, 1, complaints[i].state))
			continue;
		check_fail(c, "%s %s", table, complaints[i].text);
		check_todo(c, "UPDATE and DELETE fail in the application: %s",
		    complaints[i].todo);
		if (complaints[i].full)
			check_todo(c,
			    ", or ALTER TABLE %s REPLICA IDENTITY FULL", table);
	}
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
		bad = atoi(check_text(c, 2));
		full = atoi(check_text(c, 3));
		all = atoi(check_text(c, 4));
		if (c->col[1] == NULL)
			break; /* so have all that follow */
		if (seen++ < NAMED)
			complain(c);
	}
	if (got == -1 || all == 0)
		return got;
	if (bad > NAMED) {
		check_fail(c, "%d more tables are like that", bad - NAMED);
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
