#include "cli/check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "pg/replication.h"

#define SQL_MAX ((size_t)64 * 1024)
#define ROW_MAX ((size_t)1 << 20)

/* In the order in which they are run and printed. */
static const struct {
	const char *id;
	check_run *run;
	int since; /* the first version of PostgreSQL that has it */
} checks[] = {
	{ "connection", check_connection, 0 },
	{ "version", check_version, 0 },
	{ "recovery", check_recovery, 140000 },
	{ "wal_level", check_wal_level, 140000 },
	{ "max_replication_slots", check_slots, 140000 },
	{ "max_wal_senders", check_walsenders, 140000 },
	{ "replication", check_replication, 140000 },
	{ "role", check_role, 140000 },
	{ "output_plugin_libraries", check_plugin, 140000 },
	{ "publication", check_publication, 140000 },
	{ "tables", check_tables, 140000 },
	{ "replica_identity", check_identity, 140000 },
	{ "column_lists", check_column_lists, 150000 },
	{ "generated_columns", check_generated, 140000 },
	{ "slot", check_slot, 140000 },
	{ "other_slots", check_other_slots, 140000 },
	{ "wal_sender_timeout", check_sender_timeout, 140000 },
	{ "max_slot_wal_keep_size", check_keep_size, 140000 },
	{ "idle_replication_slot_timeout", check_idle_timeout, 180000 },
	{ "failover", check_failover, 170000 },
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

__attribute__((format(printf, 3, 0))) static void
add(struct check *c, enum result result, const char *fmt, va_list ap)
{
	report_add(c->report, c->id, result);
	report_vtext(c->report, fmt, ap);
}

void
check_ok(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, RESULT_OK, fmt, ap);
	va_end(ap);
}

void
check_warn(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, RESULT_WARN, fmt, ap);
	va_end(ap);
}

void
check_fail(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, RESULT_FAIL, fmt, ap);
	va_end(ap);
}

void
check_todo(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_vtodo(c->report, fmt, ap);
	va_end(ap);
}

int
check_ask(struct check *c, const char *sql, struct err *err)
{
	int rc;

	buf_put_str(&c->sql, sql);
	if (c->sql.failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	rc = query_send(&c->query, buf_cstr(&c->sql), err);
	buf_reset(&c->sql);
	return rc;
}

int
check_next(struct check *c, struct err *err)
{
	struct wire_row row;
	size_t at[WIRE_MAX_COLUMNS] = { 0 };
	const char *cells;
	int got;

	memset(c->col, 0, sizeof(c->col));
	if ((got = query_next(&c->query, &row, err)) != 1)
		return got;
	buf_reset(&c->cells);
	for (int i = 0; i < row.n; i++) {
		at[i] = buf_unread(&c->cells);
		buf_put(&c->cells, row.col[i].p, row.col[i].len);
		buf_put_u8(&c->cells, '\0');
	}
	if (c->cells.failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	cells = buf_cstr(&c->cells);
	for (int i = 0; i < row.n; i++)
		c->col[i] = row.col[i].p == NULL ? NULL : cells + at[i];
	return 1;
}

int
check_row(struct check *c, const char *sql, struct err *err)
{
	return check_ask(c, sql, err) == -1 ? -1 : check_next(c, err);
}

const char *
check_text(const struct check *c, int i)
{
	return c->col[i] == NULL ? "" : c->col[i];
}

bool
check_true(const struct check *c, int i)
{
	return check_is(c, i, "t");
}

bool
check_is(const struct check *c, int i, const char *text)
{
	return strcmp(check_text(c, i), text) == 0;
}

/* A role that may not see something is no failure; whatever else was asked in
 * vain is one. */
static void
could_not_ask(struct check *c, const struct err *err)
{
	if (strcmp(err->sqlstate, "42501") == 0) {
		check_warn(c, "this role may not see it");
		check_todo(c,
		    "GRANT pg_read_all_settings to it, or run this "
		    "check as a role that has it");
		return;
	}
	check_fail(c, "cannot be told: %s", err->text);
	c->unusable |= err->kind != ERR_SERVER;
}

static void
run(struct check *c)
{
	struct err err;

	for (size_t i = 0; i < CHECKS && !c->unusable; i++) {
		if (c->version < checks[i].since)
			continue;
		c->id = checks[i].id;
		buf_reset(&c->sql);
		if (checks[i].run(c, &err) == -1)
			could_not_ask(c, &err);
	}
}

static int
print(const struct report *r, bool json, struct err *err)
{
	struct buf out;
	int rc = 0;

	buf_init(&out, SIZE_MAX / 2);
	if (json)
		report_put_json(r, &out);
	else
		report_put_text(r, &out);
	if (out.failed)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	else
		fputs(buf_cstr(&out), stdout);
	buf_free(&out);
	return rc;
}

static int
read_options(struct check *c, const struct options *o, bool *json,
    struct err *err)
{
	const char *format = o->value[OPT_CHECK_FORMAT];

	c->slot = o->value[OPT_SLOT];
	for (size_t i = 0; i < c->publications; i++)
		if (*c->publication[i] == '\0')
			return err_set(err, ERR_USAGE,
			    "--publication is empty");
	if (c->slot != NULL && repl_check_slot_name(c->slot, err) == -1)
		return -1;
	*json = strcmp(format, "json") == 0;
	if (*json || strcmp(format, "text") == 0)
		return 0;
	return err_set(err, ERR_USAGE,
	    "--format must be text or json, not \"%.100s\"", format);
}

int
cmd_check(const struct options *o)
{
	const char *publication[OPTIONS_LIST];
	struct check c = { .publication = publication };
	struct report report;
	struct conninfo ci;
	struct err err;
	bool json;
	int rc;

	c.publications = options_list(o, OPT_PUBLICATION, publication);
	if (read_options(&c, o, &json, &err) == -1 ||
	    cmd_conninfo(&ci, o, &err) == -1)
		return cmd_fail(&err);
	c.ci = &ci;
	c.report = &report;
	report_init(&report);
	buf_init(&c.sql, SQL_MAX);
	buf_init(&c.cells, ROW_MAX);
	run(&c);
	if (c.connected)
		query_close(&c.query);
	rc = print(&report, json, &err) == -1 ? cmd_fail(&err)
	    : report.failed                   ? EXIT_FAILED
					      : EXIT_DONE;
	buf_free(&c.sql);
	buf_free(&c.cells);
	report_free(&report);
	conninfo_free(&ci);
	return rc;
}
