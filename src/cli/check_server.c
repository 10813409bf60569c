#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "pg/replication.h"

/*
 * The server, and who we are on it.
 */

#define TESTED_BELOW 190000

/* Between the quotes behind `host "`, as PostgreSQL's message has it; "" where
 * it is in another language. */
static void
host_of(const struct err *err, char *to, size_t cap)
{
	const char *p = strstr(err->text, "host \"");
	size_t n;

	*to = '\0';
	if (p == NULL)
		return;
	p += strlen("host \"");
	n = strcspn(p, "\"");
	if (p[n] == '"' && n < cap) {
		memcpy(to, p, n);
		to[n] = '\0';
	}
}

static void
todo_hba(struct check *c, const struct err *err, const char *user,
    const char *database)
{
	char host[64];

	host_of(err, host, sizeof(host));
	if (strcmp(host, "[local]") == 0)
		check_todo(c, "Put \"local %s %s scram-sha-256\"", database,
		    user);
	else
		check_todo(c, "Put \"host %s %s %s%s scram-sha-256\"", database,
		    user, *host == '\0' ? "ADDRESS" : host,
		    strchr(host, ':') != NULL ? "/128" : "/32");
	check_todo(c,
	    " into pg_hba.conf, above lines that refuse it, and "
	    "SELECT pg_reload_conf()");
}

static const struct {
	const char *sqlstate, *todo; /* %1 is the user, %2 the database */
} remedies[] = {
	{ "28P01",
	    "Give the password of %1 (password= or PGPASSWORD), or set "
	    "it: ALTER ROLE %1 PASSWORD '...' VALID UNTIL 'infinity'" },
	{ "28000",
	    "See that the role exists, may log in and is who pg_hba.conf "
	    "says: ALTER ROLE %1 LOGIN REPLICATION" },
	{ "3D000", "CREATE DATABASE %2, or connect to another (dbname=)" },
	{ "42501",
	    "ALTER ROLE %1 REPLICATION; GRANT CONNECT ON DATABASE %2 "
	    "TO %1" },
	{ "53300",
	    "Raise max_connections or max_wal_senders, or the limit of "
	    "the role or the database, or end a connection" },
	{ "57P03", "Wait until the server has started, and try again" },
};

/* text with %1 and %2 replaced. */
static void
todo_names(struct check *c, const char *text, const char *user,
    const char *database)
{
	for (; *text != '\0'; text++) {
		if (strncmp(text, "%1", 2) == 0)
			check_todo(c, "%s", user), text++;
		else if (strncmp(text, "%2", 2) == 0)
			check_todo(c, "%s", database), text++;
		else
			check_todo(c, "%c", *text);
	}
}

void
check_todo_error(struct check *c, const struct err *err)
{
	struct buf user, database;

	buf_init(&user, 1024);
	buf_init(&database, 1024);
	repl_quote_ident(&user, c->ci->text[CI_USER]);
	repl_quote_ident(&database, c->ci->text[CI_DBNAME]);
	if (strstr(err->text, "pg_hba.conf") != NULL)
		todo_hba(c, err, buf_cstr(&user), buf_cstr(&database));
	else if (err->kind == ERR_IO)
		check_todo(c,
		    "See that PostgreSQL runs there, that "
		    "listen_addresses and port say so, and that no "
		    "firewall is between");
	else if (err->kind == ERR_SERVER)
		for (size_t i = 0; i < sizeof(remedies) / sizeof(*remedies);
		     i++)
			if (strcmp(err->sqlstate, remedies[i].sqlstate) == 0)
				todo_names(c, remedies[i].todo, buf_cstr(&user),
				    buf_cstr(&database));
	buf_free(&user);
	buf_free(&database);
}

int
check_connection(struct check *c, struct err *err)
{
	bool local, tls;

	if (query_open(&c->query, c->ci, false, NULL, err) == -1) {
		check_fail(c, "%s", err->text);
		check_todo_error(c, err);
		c->unusable = true;
		return 0;
	}
	c->connected = true;
	if (check_row(c,
		"SELECT pg_catalog.set_config('search_path', 'pg_catalog', "
		"false)",
		err) == -1 ||
	    check_row(c,
		"SELECT current_setting('server_version_num'), "
		"host(inet_server_addr()), inet_server_port(), "
		"coalesce(inet_client_addr() <<= '127.0.0.0/8' OR "
		"inet_client_addr() = '::1' OR inet_client_addr() = "
		"inet_server_addr(), true), (SELECT version FROM pg_stat_ssl "
		"WHERE pid = pg_backend_pid() AND ssl)",
		err) == -1)
		return -1;
	c->version = atoi(check_text(c, 0));
	local = check_true(c, 3);
	tls = c->col[4] != NULL;
	if (local || tls)
		check_ok(c, "%s", "");
	else
		check_warn(c, "%s", "");
	if (c->col[1] == NULL)
		report_text(c->report, "over a Unix socket");
	else
		report_text(c->report, "to %s, port %s, %s", check_text(c, 1),
		    check_text(c, 2), tls ? check_text(c, 4) : "no TLS");
	if (!local && !tls)
		check_todo(c,
		    "Rows and, with the method password, the "
		    "password cross the network as they are: use "
		    "TLS, or keep it on a trusted network");
	return 0;
}

int
check_version(struct check *c, struct err *err)
{
	if (check_row(c, "SELECT current_setting('server_version')", err) == -1)
		return -1;
	if (c->version < 140000) {
		check_fail(c, "PostgreSQL %s", check_text(c, 0));
		check_todo(c, "walstream needs PostgreSQL 14 or later");
		c->unusable = true;
	} else if (c->version >= TESTED_BELOW) {
		check_warn(c, "PostgreSQL %s", check_text(c, 0));
		check_todo(c,
		    "This walstream was tested with 14 to 18: see "
		    "whether there is a newer one");
	} else {
		check_ok(c, "PostgreSQL %s", check_text(c, 0));
	}
	return 0;
}

int
check_recovery(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT pg_is_in_recovery(), "
		"current_setting('hot_standby_feedback'), "
		"current_setting('primary_slot_name')",
		err) == -1)
		return -1;
	c->standby = check_true(c, 0);
	if (!c->standby) {
		check_ok(c, "a primary");
	} else if (c->version < 160000) {
		check_fail(c,
		    "a standby, which cannot decode WAL before "
		    "PostgreSQL 16");
		check_todo(c, "Connect to the primary");
	} else if (!check_is(c, 1, "on") || check_is(c, 2, "")) {
		check_warn(c,
		    "a standby; the primary may remove rows that "
		    "decoding needs, which invalidates the slot");
		check_todo(c,
		    "On the standby ALTER SYSTEM SET "
		    "hot_standby_feedback = on, and primary_slot_name"
		    " = a physical slot of the primary; SELECT "
		    "pg_reload_conf()");
	} else {
		check_ok(c,
		    "a standby, with hot_standby_feedback and "
		    "primary_slot_name");
	}
	return 0;
}

/* On a standby the primary's counts, too, and nothing here shows it. */
int
check_wal_level(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT setting, pending_restart FROM pg_settings "
		"WHERE name = 'wal_level'",
		err) == -1)
		return -1;
	if (check_is(c, 0, "logical")) {
		check_ok(c, "logical%s",
		    c->standby ? " here; the primary has to have it, too" : "");
		return 0;
	}
	check_fail(c, "%s", check_text(c, 0));
	check_todo(c, "%s",
	    check_true(c, 1) ? "It is changed already: restart PostgreSQL"
			     : "ALTER SYSTEM SET wal_level = logical, and "
			       "restart PostgreSQL");
	return 0;
}

int
check_slots(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "SELECT count(*), "
	    "current_setting('max_replication_slots'), "
	    "count(*) < current_setting("
	    "'max_replication_slots')::int, "
	    "coalesce(bool_or(slot_name = ");
	repl_quote_literal(&c->sql, c->slot == NULL ? "" : c->slot);
	if (check_row(c, "), false) FROM pg_replication_slots", err) == -1)
		return -1;
	c->slot_exists = check_true(c, 3);
	if (check_true(c, 2) || c->slot_exists) {
		check_ok(c, "%s of %s are used", check_text(c, 0),
		    check_text(c, 1));
		return 0;
	}
	check_fail(c, "all %s are used", check_text(c, 1));
	check_todo(c,
	    "Delete one that nobody needs (walstream list, walstream "
	    "delete), or ALTER SYSTEM SET max_replication_slots and "
	    "restart PostgreSQL");
	return 0;
}

int
check_walsenders(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT count(*), current_setting('max_wal_senders'), "
		"count(*) < current_setting('max_wal_senders')::int "
		"FROM pg_stat_replication",
		err) == -1)
		return -1;
	if (check_true(c, 2)) {
		check_ok(c, "%s of %s are used", check_text(c, 0),
		    check_text(c, 1));
		return 0;
	}
	check_fail(c, "all %s are used", check_text(c, 1));
	check_todo(c,
	    "ALTER SYSTEM SET max_wal_senders to more, and restart "
	    "PostgreSQL");
	return 0;
}

/* pg_hba.conf treats it as the connection there is, but a pooler does not. */
int
check_replication(struct check *c, struct err *err)
{
	char id[32], timeline[16];
	struct wire_row row;
	struct query q;

	if (query_open(&q, c->ci, true, &c->query, err) == -1) {
		check_fail(c, "no replication connection: %s", err->text);
		check_todo_error(c, err);
		return 0;
	}
	err_set(err, ERR_PROTO, "IDENTIFY_SYSTEM returned nothing");
	c->replicates = query_send(&q, "IDENTIFY_SYSTEM", err) == 0 &&
	    query_next(&q, &row, err) == 1;
	if (c->replicates) {
		wire_row_text(&row, 0, id, sizeof(id));
		wire_row_text(&row, 1, timeline, sizeof(timeline));
		check_ok(c, "a walsender answers; system %s, timeline %s", id,
		    timeline);
	} else {
		check_fail(c, "no walsender answers: %s", err->text);
		check_todo(c, "Connect to PostgreSQL itself, not to a pooler");
	}
	query_close(&q);
	return 0;
}

/* Some services let roles replicate that lack the attribute: whether it works
 * has been tried. */
int
check_role(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT rolname, quote_ident(rolname), rolreplication, "
		"rolsuper, quote_ident(current_database()), "
		"has_database_privilege(current_database(), 'CONNECT'), "
		"date_trunc('second', rolvaliduntil), "
		"rolvaliduntil < now() + interval '30 days' "
		"FROM pg_roles WHERE rolname = session_user",
		err) == -1)
		return -1;
	if (!check_true(c, 2) && !check_true(c, 3) && !c->replicates) {
		check_fail(c, "%s lacks the REPLICATION attribute",
		    check_text(c, 0));
		check_todo(c, "ALTER ROLE %s REPLICATION", check_text(c, 1));
	} else if (!check_true(c, 5)) {
		check_fail(c, "%s lacks CONNECT on the database",
		    check_text(c, 0));
		check_todo(c, "GRANT CONNECT ON DATABASE %s TO %s",
		    check_text(c, 4), check_text(c, 1));
	} else if (check_true(c, 7)) {
		check_warn(c, "the password of %s expires at %s",
		    check_text(c, 0), check_text(c, 6));
		check_todo(c, "ALTER ROLE %s VALID UNTIL 'infinity'",
		    check_text(c, 1));
	} else {
		check_ok(c, "%s %s", check_text(c, 0),
		    check_true(c, 3)       ? "is a superuser"
			: check_true(c, 2) ? "has REPLICATION"
					   : "may replicate");
	}
	return 0;
}

bool
check_listed(const char *list, const char *name)
{
	size_t len = strlen(name), n;
	bool quoted;

	for (;;) {
		list += strspn(list, " \t\r\n,");
		if (*list == '\0')
			return false;
		quoted = *list == '"';
		list += quoted;
		n = strcspn(list, quoted ? "\"" : " \t\r\n,");
		if (n == len && strncmp(list, name, n) == 0)
			return true;
		list += n;
		list += quoted && *list == '"';
	}
}

/* Which libraries may decode; minor releases of 2026 brought it. */
int
check_plugin(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT current_setting('output_plugin_libraries', true)",
		err) == -1)
		return -1;
	if (c->col[0] == NULL)
		return 0;
	if (check_listed(check_text(c, 0), "pgoutput")) {
		check_ok(c, "%s", check_text(c, 0));
		return 0;
	}
	check_fail(c, "\"%s\" does not name pgoutput", check_text(c, 0));
	check_todo(c,
	    "Add pgoutput to output_plugin_libraries in "
	    "postgresql.conf, and SELECT pg_reload_conf()");
	return 0;
}
