#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "event/json.h"
#include "server/query.h"

/* The columns, each an expression over pg_replication_slots that every
 * supported version knows. */
static const struct column {
	const char *name;
	const char *sql;
	char json; /* 's' string, 'n' number, 'b' boolean */
} columns[] = {
	{ "slot_name", "slot_name", 's' },
	{ "slot_type", "slot_type", 's' },
	{ "plugin", "plugin", 's' },
	{ "database", "database", 's' },
	{ "temporary", "temporary", 'b' },
	{ "active", "active", 'b' },
	{ "active_pid", "active_pid", 'n' },
	{ "restart_lsn", "restart_lsn", 's' },
	{ "confirmed_flush_lsn", "confirmed_flush_lsn", 's' },
	{ "wal_status", "wal_status", 's' },
	{ "retained_bytes",
	    "pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog."
	    "pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
	    "ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn)",
	    'n' },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct table {
	char *(*cell)[COLUMNS]; /* NULL: SQL NULL */
	size_t rows;
};

static void
write_query(struct buf *sql)
{
	buf_put_str(sql, "SELECT ");
	for (size_t i = 0; i < COLUMNS; i++)
		buf_putf(sql, "%s%s", i == 0 ? "" : ", ", columns[i].sql);
	buf_put_str(sql,
	    " FROM pg_catalog.pg_replication_slots "
	    "ORDER BY slot_name");
}

static int
add_row(void *arg, const struct wire_row *row, struct err *err)
{
	struct table *t = arg;
	char *(*cell)[COLUMNS];

	cell = realloc(t->cell, (t->rows + 1) * sizeof(*cell));
	if (cell == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	t->cell = cell;
	for (size_t i = 0; i < COLUMNS; i++)
		cell[t->rows][i] = wire_row_dup(row, (int)i);
	t->rows++;
	return 0;
}

static void
table_free(struct table *t)
{
	for (size_t r = 0; r < t->rows; r++)
		for (size_t i = 0; i < COLUMNS; i++)
			free(t->cell[r][i]);
	free(t->cell);
}

/* How a cell is shown: booleans as words, NULL as a dash. */
static const char *
shown(const struct column *c, const char *value)
{
	if (value == NULL)
		return "-";
	if (c->json == 'b')
		return *value == 't' ? "yes" : "no";
	return value;
}

static void
print_table(const struct table *t)
{
	int width[COLUMNS];

	for (size_t i = 0; i < COLUMNS; i++) {
		width[i] = (int)strlen(columns[i].name);
		for (size_t r = 0; r < t->rows; r++) {
			const char *s = shown(&columns[i], t->cell[r][i]);

			if ((int)strlen(s) > width[i])
				width[i] = (int)strlen(s);
		}
	}
	for (size_t r = 0; r <= t->rows; r++) {
		for (size_t i = 0; i < COLUMNS; i++) {
			const char *s = r == 0
			    ? columns[i].name
			    : shown(&columns[i], t->cell[r - 1][i]);

			if (i + 1 < COLUMNS)
				printf("%-*s  ", width[i], s);
			else
				printf("%*s\n", width[i], s);
		}
	}
}

static void
put_json_cell(struct buf *out, const struct column *c, const char *value)
{
	json_put_string(out, c->name, strlen(c->name));
	buf_put_u8(out, ':');
	if (value == NULL)
		buf_put_str(out, "null");
	else if (c->json == 'b')
		buf_put_str(out, *value == 't' ? "true" : "false");
	else if (c->json == 'n')
		buf_put_str(out, value);
	else
		json_put_string(out, value, strlen(value));
}

static void
print_json(const struct table *t)
{
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	buf_put_u8(&out, '[');
	for (size_t r = 0; r < t->rows; r++) {
		buf_put_str(&out, r == 0 ? "\n {" : ",\n {");
		for (size_t i = 0; i < COLUMNS; i++) {
			if (i > 0)
				buf_put_u8(&out, ',');
			put_json_cell(&out, &columns[i], t->cell[r][i]);
		}
		buf_put_u8(&out, '}');
	}
	buf_put_str(&out, t->rows == 0 ? "]\n" : "\n]\n");
	fputs(buf_cstr(&out), stdout);
	buf_free(&out);
}

static int
check_format(const char *format, struct err *err)
{
	if (strcmp(format, "table") == 0 || strcmp(format, "json") == 0)
		return 0;
	return err_set(err, ERR_USAGE,
	    "--format must be table or json, not "
	    "\"%.100s\"",
	    format);
}

int
cmd_list(const struct options *o)
{
	const char *format = o->value[OPT_LIST_FORMAT];
	struct table t = { NULL, 0 };
	struct conninfo ci;
	struct buf sql;
	struct err err;
	int rc;

	if (check_format(format, &err) == -1 ||
	    cmd_conninfo(&ci, o, &err) == -1)
		return cmd_fail(&err);
	buf_init(&sql, 4096);
	write_query(&sql);
	rc = query_run(&ci, false, buf_cstr(&sql), add_row, &t, &err);
	if (rc == 0 && strcmp(format, "json") == 0)
		print_json(&t);
	else if (rc == 0)
		print_table(&t);
	buf_free(&sql);
	conninfo_free(&ci);
	table_free(&t);
	return rc == 0 ? EXIT_DONE : cmd_fail(&err);
}
