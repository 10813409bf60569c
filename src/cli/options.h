#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/*
 * The command line: one table of all options, read by the parser and by
 * --help.
 */

enum option_id {
	OPT_CONNECTION,
	OPT_LOG_LEVEL,
	OPT_LOG_FORMAT,
	OPT_PUBLICATION,
	OPT_SLOT,
	OPT_PORT,
	OPT_HOST,
	OPT_TEMPORARY,
	OPT_METRICS_LISTEN,
	OPT_BUFFER_SIZE,
	OPT_MAX_EVENT,
	OPT_CREATE_SLOT,
	OPT_FAILOVER,
	OPT_REQUIRE_CONSUMER,
	OPT_MESSAGES,
	OPT_SLOW_TIMEOUT,
	OPT_SHUTDOWN_GRACE,
	OPT_SERVER_TIMEOUT,
	OPT_DRAIN,
	OPT_AUTH_TOKEN_FILE,
	OPT_NO_REFLECTION,
	OPT_PG_GRACE,
	OPT_MAX_STREAMS,
	OPT_MAX_PER_CONN,
	OPT_KEEPALIVE_TIME,
	OPT_KEEPALIVE_TIMEOUT,
	OPT_MAX_IDLE,
	OPT_MAX_AGE,
	OPT_MAX_AGE_GRACE,
	OPT_TOKEN_FILE,
	OPT_ADDRESS,
	OPT_COUNT,
	OPT_ACK,
	OPT_QUIET,
	OPT_TAIL_FORMAT,
	OPT_TABLE,
	OPT_OPERATION,
	OPT_RELATIONS,
	OPT_MESSAGE,
	OPT_CONSUMER,
	OPT_AFTER_LSN,
	OPT_OBSERVER,
	OPT_EXACT,
	OPT_BATCH,
	OPT_LIST_FORMAT,
	OPT_CHECK_FORMAT,
	OPT_TIMEOUT,
	OPT_SHELL,
	OPT_LISTEN,
	OPT_LISTEN_MODE,
	OPT_MAX_CONNECTIONS,
	OPT_MAX_PER_ADDRESS,
	OPT_TLS,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_TLS_CA,
	OPT_TLS_NAME,
	OPT_TLS_CLIENT_CA,
	OPT_TLS_CLIENT_CRL,
	OPT_TLS_CLIENT_CERT,
	OPT_HELP,
	OPT_VERSION,
	OPTIONS
};

/* How many options that can be repeated a command line may have. */
#define OPTIONS_LIST 64

struct options;

struct command {
	const char *name;
	const char *usage;                   /* what follows the name */
	const char *summary;                 /* one line */
	int (*run)(const struct options *o); /* returns the exit status */
};

/* A row of the table. One with several values says them as "this|that". */
struct option {
	enum option_id id;
	const char *name;
	char letter;         /* 0: none */
	const char *arg;     /* NULL: a flag */
	const char *env;     /* NULL: none */
	const char *def;     /* NULL: none */
	const char *command; /* NULL: every command */
	int position;        /* 1, 2: may also be given without its name */
	enum { OPTIONAL, REQUIRED, REPEATED, AT_LEAST_ONE } kind;
	const char *help;
};

struct options {
	const struct command *commands;
	const struct command *command; /* NULL: none was named */
	/* From the command line, else the environment, else the default; NULL
	 * when there is none. A flag that was given is "". */
	const char *value[OPTIONS];
	bool given[OPTIONS]; /* it is from the command line */
	/* Options that may be given more than once, in order. */
	const char *list[OPTIONS_LIST];
	enum option_id list_id[OPTIONS_LIST];
	size_t list_len;
};

/* Reads argv. commands ends with a NULL name. Returns 0, or -1 with
 * ERR_USAGE. Nothing is missing when neither --help nor --version was given. */
int options_parse(struct options *o, const struct command *commands, int argc,
    char **argv, struct err *err);

/* Prints what --help prints, for o's command or for walstream as a whole. */
void options_help(const struct options *o, FILE *to);

/* The next option of a command (NULL: of every command) behind last (NULL: the
 * first), or NULL. */
const struct option *
options_next(const struct command *c, const struct option *last);

/* An option's value. Each returns 0, or -1 with ERR_USAGE naming it. */
int options_bool(const struct options *o, enum option_id id, bool *v,
    struct err *err);
int options_number(const struct options *o, enum option_id id,
    unsigned long long max, unsigned long long *v, struct err *err);
/* The values of an option that can be repeated, into to[OPTIONS_LIST]. Returns
 * how many. */
size_t
options_list(const struct options *o, enum option_id id, const char **to);
/* Seconds, into microseconds. */
int options_seconds(const struct options *o, enum option_id id, int64_t *us,
    struct err *err);
/* Bytes, with an optional suffix KiB, MiB or GiB. */
int options_size(const struct options *o, enum option_id id, size_t *v,
    struct err *err);

#endif
