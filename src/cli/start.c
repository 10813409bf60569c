#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "pg/replication.h"
#include "server/server.h"

#define MIN_BUFFER ((size_t)64 * 1024)
#define MIN_EVENT ((size_t)64 * 1024)
#define MAX_EVENT ((size_t)2 << 30) /* what protobuf can have at most */

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

/* Permissions, and no other bits, in octal. */
static int
read_mode(struct listener_config *l, const char *s, struct err *err)
{
	char *end;
	unsigned long mode = strtoul(s, &end, 8);

	l->mode = (mode_t)mode;
	if (*end == '\0' && strspn(s, "01234567") == strlen(s) && *s != '\0' &&
	    mode <= 0777 && (mode & 0600) == 0600)
		return 0;
	return err_set(err, ERR_USAGE,
	    "--listen-mode must be a mode such as 0600, 0660 or 0666, not "
	    "\"%.100s\"",
	    s);
}

static int
read_client_cert(struct listener_config *l, const struct options *o,
    struct err *err)
{
	const char *s = o->value[OPT_TLS_CLIENT_CERT];

	l->tls.client_optional = strcmp(s, "optional") == 0;
	if (!l->tls.client_optional && strcmp(s, "required") != 0)
		return err_set(err, ERR_USAGE,
		    "--tls-client-cert must be required or optional, not "
		    "\"%.100s\"",
		    s);
	return 0;
}

/* Options of TLS that make no sense without another. */
static int
check_tls(const struct options *o, struct err *err)
{
	static const struct {
		enum option_id id, needs;
		const char *text;
	} rules[] = {
		{ OPT_TLS_CERT, OPT_TLS_KEY, "--tls-cert needs --tls-key" },
		{ OPT_TLS_KEY, OPT_TLS_CERT, "--tls-key needs --tls-cert" },
		{ OPT_TLS_CLIENT_CA, OPT_TLS_CERT,
		    "--tls-client-ca needs --tls-cert" },
		{ OPT_TLS_CLIENT_CRL, OPT_TLS_CLIENT_CA,
		    "--tls-client-crl needs --tls-client-ca" },
		{ OPT_TLS_CLIENT_CERT, OPT_TLS_CLIENT_CA,
		    "--tls-client-cert needs --tls-client-ca" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (o->given[rules[i].id] && !o->given[rules[i].needs])
			return err_set(err, ERR_USAGE, "%s", rules[i].text);
	return 0;
}

static int
read_number(const struct options *o, enum option_id id, unsigned *to,
    struct err *err)
{
	unsigned long long n;

	if (options_number(o, id, 1000000, &n, err) == -1)
		return -1;
	*to = (unsigned)n;
	return 0;
}

static int
read_listen(struct listener_config *l, const struct options *o, struct err *err)
{
	l->host = o->value[OPT_HOST];
	l->port = o->value[OPT_PORT];
	if (l->addresses > 0 && (o->given[OPT_HOST] || o->given[OPT_PORT]))
		return err_set(err, ERR_USAGE,
		    "--listen is instead of --host and --port: give one or the "
		    "other");
	if (read_mode(l, o->value[OPT_LISTEN_MODE], err) == -1 ||
	    read_number(o, OPT_MAX_CONNECTIONS, &l->most, err) == -1 ||
	    read_number(o, OPT_MAX_PER_ADDRESS, &l->most_per_address, err) ==
		-1 ||
	    read_client_cert(l, o, err) == -1 || check_tls(o, err) == -1)
		return -1;
	if (l->most == 0)
		return err_set(err, ERR_USAGE,
		    "--max-connections must be at least 1");
	l->tls.cert = o->value[OPT_TLS_CERT];
	l->tls.key = o->value[OPT_TLS_KEY];
	l->tls.client_ca = o->value[OPT_TLS_CLIENT_CA];
	l->tls.client_crl = o->value[OPT_TLS_CLIENT_CRL];
	return 0;
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
	c->token_file = o->value[OPT_AUTH_TOKEN_FILE];
	c->reflection = o->value[OPT_NO_REFLECTION] == NULL;
	c->metrics_listen = o->value[OPT_METRICS_LISTEN];
	if (repl_check_slot_name(c->pg.slot, err) == -1 ||
	    options_number(o, OPT_PORT, 65535, &port, err) == -1 ||
	    options_bool(o, OPT_TEMPORARY, &c->pg.temporary, err) == -1 ||
	    options_size(o, OPT_BUFFER_SIZE, &c->buffer_size, err) == -1 ||
	    options_size(o, OPT_MAX_EVENT, &c->max_event, err) == -1 ||
	    options_seconds(o, OPT_SLOW_TIMEOUT, &c->slow_timeout_us, err) ||
	    options_seconds(o, OPT_DRAIN, &c->drain_us, err) == -1 ||
	    options_seconds(o, OPT_SHUTDOWN_GRACE, &c->pg.shutdown_grace_us,
		err) == -1 ||
	    options_seconds(o, OPT_SERVER_TIMEOUT, &c->pg.server_timeout_us,
		err) == -1 ||
	    read_limits(c, o, err) == -1 || read_create_slot(c, o, err) == -1 ||
	    read_listen(&c->listen, o, err) == -1)
		return -1;
	if (c->buffer_size < MIN_BUFFER)
		return err_set(err, ERR_USAGE,
		    "--buffer-size must be at least "
		    "%zuKiB",
		    MIN_BUFFER / 1024);
	if (c->max_event < MIN_EVENT || c->max_event > MAX_EVENT)
		return err_set(err, ERR_USAGE,
		    "--max-event must be from 64KiB to 2GiB");
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
	const char *address[OPTIONS_LIST];
	struct server_config config;
	struct conninfo ci;
	struct err err;
	int rc;

	config.pg.publication = publication;
	config.pg.publications = options_list(o, OPT_PUBLICATION, publication);
	config.listen.address = address;
	config.listen.addresses = options_list(o, OPT_LISTEN, address);
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
