#include <string.h>

#include "cli/commands.h"
#include "pg/replication.h"
#include "server/server.h"

#define MIN_BUFFER ((size_t)64 * 1024)

static int
read_create_slot(struct server_config *c, const struct options *o,
    struct err *err)
{
	const char *s = o->value[OPT_CREATE_SLOT];

	c->pg.create_slot = strcmp(s, "if-missing") == 0;
	if (c->pg.create_slot || strcmp(s, "never") == 0)
		return 0;
	return err_set(err, ERR_USAGE,
	    "--create-slot must be if-missing or "
	    "never, not \"%.100s\"",
	    s);
}

/* What clients may do, and for how long. */
static int
read_limits(struct server_config *c, const struct options *o, struct err *err)
{
	const struct {
		enum option_id id;
		int64_t *us;
	} spans[] = { { OPT_PG_GRACE, &c->pg_grace_us },
		{ OPT_KEEPALIVE_TIME, &c->life.keepalive_us },
		{ OPT_KEEPALIVE_TIMEOUT, &c->life.keepalive_timeout_us },
		{ OPT_MAX_IDLE, &c->life.idle_us },
		{ OPT_MAX_AGE, &c->life.age_us },
		{ OPT_MAX_AGE_GRACE, &c->life.age_grace_us } };
	unsigned long long total, per_conn;

	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		if (options_seconds(o, spans[i].id, spans[i].us, err) == -1)
			return -1;
	if (options_number(o, OPT_MAX_STREAMS, 1000000, &total, err) == -1 ||
	    options_number(o, OPT_MAX_PER_CONN, 1000000, &per_conn, err) == -1)
		return -1;
	if (per_conn == 0)
		return err_set(err, ERR_USAGE,
		    "--max-streams-per-connection must be at least 1");
	c->max_streams = (unsigned)total;
	c->max_per_conn = (unsigned)per_conn;
	return 0;
}

static int
read_options(struct server_config *c, const struct options *o, struct err *err)
{
	unsigned long long port;

	c->pg.slot = o->value[OPT_SLOT];
	c->pg.messages = o->value[OPT_MESSAGES] != NULL;
	c->host = o->value[OPT_HOST];
	c->port = o->value[OPT_PORT];
	if (repl_check_slot_name(c->pg.slot, err) == -1 ||
	    options_number(o, OPT_PORT, 65535, &port, err) == -1 ||
	    options_bool(o, OPT_TEMPORARY, &c->pg.temporary, err) == -1 ||
	    options_size(o, OPT_BUFFER_SIZE, &c->buffer_size, err) == -1 ||
	    options_seconds(o, OPT_SLOW_TIMEOUT, &c->slow_timeout_us, err) ||
	    options_seconds(o, OPT_DRAIN, &c->drain_us, err) == -1 ||
	    options_seconds(o, OPT_SHUTDOWN_GRACE, &c->pg.shutdown_grace_us,
		err) == -1 ||
	    options_seconds(o, OPT_SERVER_TIMEOUT, &c->pg.server_timeout_us,
		err) == -1 ||
	    read_limits(c, o, err) == -1 || read_create_slot(c, o, err) == -1)
		return -1;
	if (c->buffer_size < MIN_BUFFER)
		return err_set(err, ERR_USAGE,
		    "--buffer-size must be at least "
		    "%zuKiB",
		    MIN_BUFFER / 1024);
	for (size_t i = 0; i < c->pg.publications; i++)
		if (*c->pg.publication[i] == '\0')
			return err_set(err, ERR_USAGE,
			    "--publication is empty");
	return 0;
}

int
cmd_start(const struct options *o)
{
	const char *required[OPTIONS_LIST], *publication[OPTIONS_LIST];
	struct server_config config;
	struct conninfo ci;
	struct err err;
	int rc;

	config.pg.publication = publication;
	config.pg.publications = options_list(o, OPT_PUBLICATION, publication);
	if (read_options(&config, o, &err) == -1 ||
	    cmd_conninfo(&ci, o, &err) == -1)
		return cmd_fail(&err);
	config.pg.conninfo = &ci;
	config.required = required;
	config.required_count = options_list(o, OPT_REQUIRE_CONSUMER, required);
	rc = server_run(&config, &err);
	conninfo_free(&ci);
	return rc == 0 ? EXIT_DONE : cmd_fail(&err);
}
