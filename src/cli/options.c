#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pg/conninfo.h"

static const struct option table[] = {
	{ OPT_PUBLICATION, "publication", 0, "NAME", NULL, NULL, "start", 1,
	    AT_LEAST_ONE, "publication to stream; repeatable" },
	{ OPT_SLOT, "slot", 0, "NAME", NULL, NULL, "start", 2, REQUIRED,
	    "replication slot; made when it does not exist" },
	{ OPT_PUBLICATION, "publication", 0, "NAME", NULL, NULL, "check", 1,
	    REPEATED, "publication that is to be streamed; repeatable" },
	{ OPT_SLOT, "slot", 0, "NAME", NULL, NULL, "check", 2, OPTIONAL,
	    "replication slot that is to be used" },
	{ OPT_CHECK_FORMAT, "format", 0, "text|json", NULL, "text", "check", 0,
	    OPTIONAL, "a line for each check, or one object" },
	{ OPT_SLOT, "slot", 0, "NAME", NULL, NULL, "delete", 1, REQUIRED,
	    "replication slot to delete" },
	{ OPT_PORT, "port", 'p', "PORT", "PORT", "50051", "start", 0, OPTIONAL,
	    "TCP port to listen on; 0 picks a free one" },
	{ OPT_HOST, "host", 'h', "HOST", "HOST", "0.0.0.0", "start", 0,
	    OPTIONAL, "address to listen on" },
	{ OPT_LISTEN, "listen", 0, "ADDRESS", NULL, NULL, "start", 0, REPEATED,
	    "HOST:PORT, [V6]:PORT, unix:/PATH, unix:@NAME; repeatable" },
	{ OPT_LISTEN_MODE, "listen-mode", 0, "MODE", NULL, "0600", "start", 0,
	    OPTIONAL, "who may connect to Unix sockets: their file's mode" },
	{ OPT_TLS_CERT, "tls-cert", 0, "FILE", NULL, NULL, "start", 0, OPTIONAL,
	    "TLS on every TCP port: our certificate and its chain" },
	{ OPT_TLS_KEY, "tls-key", 0, "FILE", NULL, NULL, "start", 0, OPTIONAL,
	    "the certificate's private key" },
	{ OPT_TLS_CLIENT_CA, "tls-client-ca", 0, "FILE", NULL, NULL, "start", 0,
	    OPTIONAL, "clients need a certificate that one of these signed" },
	{ OPT_TLS_CLIENT_CERT, "tls-client-cert", 0, "required|optional", NULL,
	    "required", "start", 0, OPTIONAL,
	    "may a client come without a certificate" },
	{ OPT_TLS_CLIENT_CRL, "tls-client-crl", 0, "FILE", NULL, NULL, "start",
	    0, OPTIONAL, "certificates of clients that are revoked" },
	{ OPT_MAX_CONNECTIONS, "max-connections", 0, "N", NULL, "4096", "start",
	    0, OPTIONAL, "refuse more connections of clients" },
	{ OPT_MAX_PER_ADDRESS, "max-connections-per-address", 0, "N", NULL,
	    "1024", "start", 0, OPTIONAL,
	    "the same for one address; 0: any number" },
	{ OPT_TEMPORARY, "temporary", 't', "true|false", "TEMPORARY", "true",
	    "start", 0, OPTIONAL,
	    "a slot that lives no longer than this process" },
	{ OPT_METRICS_LISTEN, "metrics-listen", 0, "HOST:PORT", NULL, NULL,
	    "start", 0, OPTIONAL,
	    "serve /metrics, /healthz and /readyz there, by HTTP" },
	{ OPT_BUFFER_SIZE, "buffer-size", 0, "SIZE", NULL, "16MiB", "start", 0,
	    OPTIONAL, "memory for events that clients have not taken" },
	{ OPT_MAX_EVENT, "max-event", 0, "SIZE", NULL, "2GiB", "start", 0,
	    OPTIONAL, "end streams at an event that is larger" },
	{ OPT_CREATE_SLOT, "create-slot", 0, "if-missing|never", NULL,
	    "if-missing", "start", 0, OPTIONAL,
	    "may the first connect make a permanent slot" },
	{ OPT_REQUIRE_CONSUMER, "require-consumer", 0, "NAME", NULL, NULL,
	    "start", 0, REPEATED,
	    "confirm nothing this consumer has not; repeatable" },
	{ OPT_MESSAGES, "messages", 0, NULL, NULL, NULL, "start", 0, OPTIONAL,
	    "logical messages, too (pg_logical_emit_message)" },
	{ OPT_SLOW_TIMEOUT, "slow-client-timeout", 0, "SECONDS", NULL, "60",
	    "start", 0, OPTIONAL,
	    "end a stuck client that holds others up; 0: never" },
	{ OPT_SHUTDOWN_GRACE, "shutdown-grace", 0, "SECONDS", NULL, "10",
	    "start", 0, OPTIONAL,
	    "how long PostgreSQL's shutdown may wait for acks" },
	{ OPT_SERVER_TIMEOUT, "server-timeout", 0, "SECONDS", NULL, "60",
	    "start", 0, OPTIONAL,
	    "reconnect when PostgreSQL is silent for so long; 0: never" },
	{ OPT_DRAIN, "drain", 0, "SECONDS", NULL, "5", "start", 0, OPTIONAL,
	    "how long SIGTERM waits for acks" },
	{ OPT_AUTH_TOKEN_FILE, "auth-token-file", 0, "FILE", NULL, NULL,
	    "start", 0, OPTIONAL,
	    "bearer tokens: clients need one, and what each may see" },
	{ OPT_NO_REFLECTION, "no-reflection", 0, NULL, NULL, NULL, "start", 0,
	    OPTIONAL, "do not tell clients what can be called" },
	{ OPT_PG_GRACE, "pg-grace", 0, "SECONDS", NULL, "30", "start", 0,
	    OPTIONAL, "how long a new stream waits for PostgreSQL" },
	{ OPT_MAX_STREAMS, "max-streams", 0, "N", NULL, "16384", "start", 0,
	    OPTIONAL, "streams of all clients; 0: any number" },
	{ OPT_MAX_PER_CONN, "max-streams-per-connection", 0, "N", NULL, "100",
	    "start", 0, OPTIONAL, "streams of one connection" },
	{ OPT_KEEPALIVE_TIME, "keepalive-time", 0, "SECONDS", NULL, "30",
	    "start", 0, OPTIONAL,
	    "ping a client that is silent for so long; 0: never" },
	{ OPT_KEEPALIVE_TIMEOUT, "keepalive-timeout", 0, "SECONDS", NULL, "10",
	    "start", 0, OPTIONAL, "how long it has to answer" },
	{ OPT_MAX_IDLE, "max-connection-idle", 0, "SECONDS", NULL, "0", "start",
	    0, OPTIONAL, "close connections without a stream; 0: never" },
	{ OPT_MAX_AGE, "max-connection-age", 0, "SECONDS", NULL, "0", "start",
	    0, OPTIONAL, "close connections that are so old; 0: never" },
	{ OPT_MAX_AGE_GRACE, "max-connection-age-grace", 0, "SECONDS", NULL,
	    "10", "start", 0, OPTIONAL,
	    "how long their streams may go on then" },
	{ OPT_SLOT, "slot", 0, "NAME", NULL, NULL, "create", 1, REQUIRED,
	    "replication slot to make" },
	{ OPT_FAILOVER, "failover", 0, NULL, NULL, NULL, "create", 0, OPTIONAL,
	    "synchronize it to standbys (PostgreSQL 17 and later)" },
	{ OPT_ADDRESS, "address", 0, "HOST:PORT", NULL, "127.0.0.1:50051",
	    "tail", 1, OPTIONAL,
	    "walstream server to connect to, or unix:/PATH" },
	{ OPT_COUNT, "count", 0, "N", NULL, NULL, "tail", 0, OPTIONAL,
	    "exit after N events" },
	{ OPT_ACK, "ack", 0, NULL, NULL, NULL, "tail", 0, OPTIONAL,
	    "acknowledge what was printed; otherwise nothing is" },
	{ OPT_QUIET, "quiet", 0, NULL, NULL, NULL, "tail", 0, OPTIONAL,
	    "print only a final count and rate" },
	{ OPT_TAIL_FORMAT, "format", 0, "json|pretty", NULL, "json", "tail", 0,
	    OPTIONAL, "one JSON object a line, or a line to read" },
	{ OPT_TABLE, "table", 0, "GLOB", NULL, NULL, "tail", 0, REPEATED,
	    "only tables whose schema.table matches; repeatable" },
	{ OPT_OPERATION, "operation", 0, "insert|update|delete|truncate", NULL,
	    NULL, "tail", 0, REPEATED, "only these operations; repeatable" },
	{ OPT_RELATIONS, "relations", 0, NULL, NULL, NULL, "tail", 0, OPTIONAL,
	    "print the columns of tables, too" },
	{ OPT_MESSAGE, "message", 0, "GLOB", NULL, NULL, "tail", 0, REPEATED,
	    "logical messages whose prefix matches; repeatable" },
	{ OPT_CONSUMER, "consumer", 0, "NAME", NULL, NULL, "tail", 0, OPTIONAL,
	    "resume where this name left off" },
	{ OPT_AFTER_LSN, "after-lsn", 0, "LSN", NULL, NULL, "tail", 0, OPTIONAL,
	    "skip transactions that end at or before this" },
	{ OPT_OBSERVER, "observer", 0, NULL, NULL, NULL, "tail", 0, OPTIONAL,
	    "hold nothing up" },
	{ OPT_EXACT, "exact", 0, NULL, NULL, NULL, "tail", 0, OPTIONAL,
	    "refuse to start where something is missing" },
	{ OPT_BATCH, "batch", 0, NULL, NULL, NULL, "tail", 0, OPTIONAL,
	    "ask for events in batches" },
	{ OPT_TLS, "tls", 0, NULL, NULL, NULL, "tail", 0, OPTIONAL,
	    "use TLS, and trust the system's authorities" },
	{ OPT_TLS_CA, "tls-ca", 0, "FILE", NULL, NULL, "tail", 0, OPTIONAL,
	    "use TLS, and trust these authorities" },
	{ OPT_TLS_CERT, "tls-cert", 0, "FILE", NULL, NULL, "tail", 0, OPTIONAL,
	    "our certificate, if the server asks for one" },
	{ OPT_TLS_KEY, "tls-key", 0, "FILE", NULL, NULL, "tail", 0, OPTIONAL,
	    "the certificate's private key" },
	{ OPT_TLS_NAME, "tls-name", 0, "NAME", NULL, NULL, "tail", 0, OPTIONAL,
	    "name the server's certificate is for; default: the host" },
	{ OPT_TOKEN_FILE, "token-file", 0, "FILE", NULL, NULL, "tail", 0,
	    OPTIONAL, "bearer token to send: the first one in FILE" },
	{ OPT_ADDRESS, "address", 0, "HOST:PORT", NULL, NULL, "health", 1,
	    OPTIONAL,
	    "server to ask; default: 127.0.0.1:50051, or $HOST and $PORT" },
	{ OPT_TIMEOUT, "timeout", 0, "SECONDS", NULL, "5", "health", 0,
	    OPTIONAL, "how long to wait for the answer" },
	{ OPT_TLS, "tls", 0, NULL, NULL, NULL, "health", 0, OPTIONAL,
	    "use TLS, and trust the system's authorities" },
	{ OPT_TLS_CA, "tls-ca", 0, "FILE", NULL, NULL, "health", 0, OPTIONAL,
	    "use TLS, and trust these authorities" },
	{ OPT_TLS_CERT, "tls-cert", 0, "FILE", NULL, NULL, "health", 0,
	    OPTIONAL, "our certificate, if the server asks for one" },
	{ OPT_TLS_KEY, "tls-key", 0, "FILE", NULL, NULL, "health", 0, OPTIONAL,
	    "the certificate's private key" },
	{ OPT_TLS_NAME, "tls-name", 0, "NAME", NULL, NULL, "health", 0,
	    OPTIONAL,
	    "name the server's certificate is for; default: the host" },
	{ OPT_TOKEN_FILE, "token-file", 0, "FILE", NULL, NULL, "health", 0,
	    OPTIONAL, "bearer token to send: the first one in FILE" },
	{ OPT_SHELL, "shell", 0, "bash|zsh", NULL, NULL, "completion", 1,
	    REQUIRED, "shell to print a completion script for" },
	{ OPT_LIST_FORMAT, "format", 0, "table|json", NULL, "table", "list", 0,
	    OPTIONAL, "how to print the slots" },
	{ OPT_CONNECTION, "connection", 'c', "CONNINFO", "CONNECTION", NULL,
	    NULL, 0, OPTIONAL,
	    "PostgreSQL: \"host=... user=...\" or postgres://..." },
	{ OPT_LOG_LEVEL, "log-level", 0, "error|warn|info|debug", NULL, "info",
	    NULL, 0, OPTIONAL, "log what is as important as this, or more" },
	{ OPT_LOG_FORMAT, "log-format", 0, "text|json", NULL, "text", NULL, 0,
	    OPTIONAL, "a line to read, or a JSON object a line" },
	{ OPT_HELP, "help", 0, NULL, NULL, NULL, NULL, 0, OPTIONAL,
	    "print this help" },
	{ OPT_VERSION, "version", 0, NULL, NULL, NULL, NULL, 0, OPTIONAL,
	    "print the version" },
};

#define TABLE_LEN (sizeof(table) / sizeof(table[0]))

/* Does this row count for the command (NULL: none named yet)? */
static bool
applies(const struct option *opt, const struct command *c)
{
	return opt->command == NULL ||
	    (c != NULL && strcmp(opt->command, c->name) == 0);
}

const struct option *
options_next(const struct command *c, const struct option *last)
{
	const struct option *opt = last == NULL ? table : last + 1;

	while (opt < table + TABLE_LEN && !applies(opt, c))
		opt++;
	return opt < table + TABLE_LEN ? opt : NULL;
}

static const struct option *
find_name(const struct command *c, const char *name, size_t len)
{
	for (size_t i = 0; i < TABLE_LEN; i++)
		if (applies(&table[i], c) && strlen(table[i].name) == len &&
		    strncmp(table[i].name, name, len) == 0)
			return &table[i];
	return NULL;
}

static const struct option *
find_letter(const struct command *c, char letter)
{
	for (size_t i = 0; i < TABLE_LEN; i++)
		if (applies(&table[i], c) && table[i].letter == letter)
			return &table[i];
	return NULL;
}

static const struct option *
find_position(const struct command *c, int position)
{
	for (size_t i = 0; i < TABLE_LEN; i++)
		if (applies(&table[i], c) && table[i].position == position)
			return &table[i];
	return NULL;
}

static const char *
command_name(const struct options *o)
{
	return o->command == NULL ? "" : o->command->name;
}

static int
unknown(const struct options *o, const char *arg, struct err *err)
{
	/* Without its value, which may be a password. */
	return err_set(err, ERR_USAGE,
	    "unknown option %.*s (try walstream "
	    "%s%s--help)",
	    (int)strcspn(arg, "="), arg, command_name(o),
	    o->command ? " " : "");
}

static int
set(struct options *o, const struct option *opt, const char *value,
    struct err *err)
{
	bool repeated = opt->kind == REPEATED || opt->kind == AT_LEAST_ONE;

	if (repeated && o->list_len == OPTIONS_LIST)
		return err_set(err, ERR_USAGE, "--%s is given too often",
		    opt->name);
	if (repeated) {
		o->list_id[o->list_len] = opt->id;
		o->list[o->list_len++] = value;
		return 0;
	}
	if (o->value[opt->id] != NULL)
		return err_set(err, ERR_USAGE, "--%s is given twice",
		    opt->name);
	o->value[opt->id] = value;
	o->given[opt->id] = true;
	return 0;
}

/* argv[*i] is an option; takes its value from behind '=' or the next word. */
static int
take_option(struct options *o, int argc, char **argv, int *i, struct err *err)
{
	const char *arg = argv[*i], *value = NULL;
	const struct option *opt;
	size_t len;

	if (arg[1] == '-') {
		len = strcspn(arg + 2, "=");
		opt = find_name(o->command, arg + 2, len);
		if (arg[2 + len] == '=')
			value = arg + 2 + len + 1;
	} else {
		opt = find_letter(o->command, arg[1]);
		if (arg[2] != '\0')
			value = arg + 2 + (arg[2] == '=');
	}
	if (opt == NULL)
		return unknown(o, arg, err);
	if (opt->arg == NULL)
		return value != NULL
		    ? err_set(err, ERR_USAGE, "--%s takes no value", opt->name)
		    : set(o, opt, "", err);
	if (value == NULL && *i + 1 < argc)
		value = argv[++*i];
	if (value == NULL)
		return err_set(err, ERR_USAGE, "--%s needs a value: %s",
		    opt->name, opt->arg);
	return set(o, opt, value, err);
}

static int
take_word(struct options *o, const struct command *commands, const char *word,
    int *position, struct err *err)
{
	const struct option *opt;
	const struct command *c;

	if (strstr(word, "password=") != NULL ||
	    (strstr(word, "://") != NULL && strncmp(word, "unix:", 5) != 0))
		return err_set(err, ERR_USAGE,
		    "a connection string goes behind --connection");
	if (o->command != NULL) {
		opt = find_position(o->command, ++*position);
		if (opt == NULL)
			return err_set(err, ERR_USAGE,
			    "unexpected argument "
			    "\"%.100s\" (try walstream %s --help)",
			    word, o->command->name);
		return set(o, opt, word, err);
	}
	for (c = commands; c->name != NULL; c++) {
		if (strcmp(c->name, word) == 0) {
			o->command = c;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE,
	    "unknown command \"%.100s\" (try "
	    "walstream --help)",
	    word);
}

static bool
is_missing(const struct options *o, const struct option *opt)
{
	const char *list[OPTIONS_LIST];

	return (opt->kind == REQUIRED && o->value[opt->id] == NULL) ||
	    (opt->kind == AT_LEAST_ONE && options_list(o, opt->id, list) == 0);
}

/* Fills what was not given, and says what is missing. */
static int
complete(struct options *o, struct err *err)
{
	const struct option *opt;
	const char *env;

	for (size_t i = 0; i < TABLE_LEN; i++) {
		opt = &table[i];
		if (!applies(opt, o->command) || o->value[opt->id] != NULL)
			continue;
		env = opt->env == NULL ? NULL : getenv(opt->env);
		if (env != NULL && *env != '\0')
			o->value[opt->id] = env;
		else
			o->value[opt->id] = opt->def;
		if (is_missing(o, opt))
			return err_set(err, ERR_USAGE,
			    "--%s is missing (try "
			    "walstream %s --help)",
			    opt->name, command_name(o));
	}
	return 0;
}

int
options_parse(struct options *o, const struct command *commands, int argc,
    char **argv, struct err *err)
{
	bool only_words = false;
	int position = 0, rc;

	memset(o, 0, sizeof(*o));
	o->commands = commands;
	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
			continue;
		}
		if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0')
			rc = take_option(o, argc, argv, &i, err);
		else
			rc = take_word(o, commands, argv[i], &position, err);
		if (rc == -1)
			return -1;
	}
	if (o->value[OPT_HELP] != NULL || o->value[OPT_VERSION] != NULL)
		return 0;
	if (o->command == NULL)
		return err_set(err, ERR_USAGE,
		    "no command given (try walstream --help)");
	return complete(o, err);
}

static void
help_option(const struct option *opt, FILE *to)
{
	char left[64];
	int n;

	n = opt->letter != 0
	    ? snprintf(left, sizeof(left), "-%c, --%s", opt->letter, opt->name)
	    : snprintf(left, sizeof(left), "    --%s", opt->name);
	if (opt->arg != NULL)
		snprintf(left + n, sizeof(left) - (size_t)n, " %s", opt->arg);
	fprintf(to, "  %-28s %s", left, opt->help);
	if (opt->env != NULL)
		fprintf(to, " [env: %s]", opt->env);
	if (opt->def != NULL)
		fprintf(to, " [default: %s]", opt->def);
	fputc('\n', to);
}

/* The keywords of a connection string, in lines of at most 78. */
static void
help_conninfo(FILE *to)
{
	const char *keyword;
	size_t column, n;

	fputs(
	    "CONNINFO is a connection string of libpq, or a postgres:// URI.\n"
	    "Keywords:",
	    to);
	column = strlen("Keywords:");
	for (int i = 0; i < CI_SETTINGS; i++) {
		keyword = conninfo_keyword((enum conninfo_id)i);
		n = strlen(keyword) + 2;
		if (column + n > 78) {
			fputs("\n ", to);
			column = 1;
		}
		fprintf(to, " %s%s", keyword, i + 1 < CI_SETTINGS ? "," : "");
		column += n;
	}
	fputs(".\n\n", to);
}

void
options_help(const struct options *o, FILE *to)
{
	const struct command *c = o->command;
	const struct option *opt = NULL;

	if (c != NULL) {
		fprintf(to, "%s\n\nUsage: walstream [OPTION...] %s %s\n\n",
		    c->summary, c->name, c->usage);
	} else {
		fprintf(to,
		    "Streams the row changes of a PostgreSQL database "
		    "to gRPC clients.\n\n"
		    "Usage: walstream [OPTION...] COMMAND ...\n\nCommands:\n");
		for (c = o->commands; c->name != NULL; c++)
			fprintf(to, "  %-10s %s\n", c->name, c->summary);
		fputs("\nwalstream COMMAND --help lists a command's options."
		      "\n\n",
		    to);
		help_conninfo(to);
	}
	fputs("Options:\n", to);
	while ((opt = options_next(o->command, opt)) != NULL)
		help_option(opt, to);
}

/* The name by which to complain about an option. */
static const char *
name_of(enum option_id id)
{
	for (size_t i = 0; i < TABLE_LEN; i++)
		if (table[i].id == id)
			return table[i].name;
	return "?";
}

int
options_bool(const struct options *o, enum option_id id, bool *v,
    struct err *err)
{
	const char *s = o->value[id];

	*v = strcmp(s, "true") == 0;
	if (*v || strcmp(s, "false") == 0)
		return 0;
	return err_set(err, ERR_USAGE,
	    "--%s must be true or false, not "
	    "\"%.100s\"",
	    name_of(id), s);
}

/* Digits only, up to max; *end is what follows. */
static int
number(const char *s, unsigned long long max, unsigned long long *v, char **end)
{
	if (!isdigit((unsigned char)*s))
		return -1;
	errno = 0;
	*v = strtoull(s, end, 10);
	return errno != 0 || *v > max ? -1 : 0;
}

int
options_number(const struct options *o, enum option_id id,
    unsigned long long max, unsigned long long *v, struct err *err)
{
	char *end;

	if (number(o->value[id], max, v, &end) == 0 && *end == '\0')
		return 0;
	return err_set(err, ERR_USAGE,
	    "--%s must be a number from 0 to %llu, "
	    "not \"%.100s\"",
	    name_of(id), max, o->value[id]);
}

size_t
options_list(const struct options *o, enum option_id id, const char **to)
{
	size_t n = 0;

	for (size_t i = 0; i < o->list_len; i++)
		if (o->list_id[i] == id)
			to[n++] = o->list[i];
	return n;
}

int
options_seconds(const struct options *o, enum option_id id, int64_t *us,
    struct err *err)
{
	unsigned long long n;

	if (options_number(o, id, 1000000, &n, err) == -1)
		return -1;
	*us = (int64_t)n * 1000000;
	return 0;
}

int
options_size(const struct options *o, enum option_id id, size_t *v,
    struct err *err)
{
	static const char *const unit[] = { "", "KiB", "MiB", "GiB" };
	unsigned long long n;
	char *end;

	if (number(o->value[id], SIZE_MAX >> 30, &n, &end) == 0) {
		for (int i = 0; i < 4; i++) {
			if (strcmp(end, unit[i]) != 0)
				continue;
			*v = (size_t)n << (10 * i);
			return 0;
		}
	}
	return err_set(err, ERR_USAGE,
	    "--%s must be a size such as 65536, "
	    "512KiB, 16MiB or 1GiB, not \"%.100s\"",
	    name_of(id), o->value[id]);
}
