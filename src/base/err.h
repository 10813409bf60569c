#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * Why something failed, carried to whoever decides what to do about it. Pure
 * code fills a struct err and returns -1; only state machines and main() log.
 */

enum err_kind {
	ERR_NONE = 0,
	ERR_USAGE,  /* asked wrongly: option, conninfo keyword, number */
	ERR_IO,     /* socket or file; worth a retry */
	ERR_PROTO,  /* the peer broke its protocol */
	ERR_AUTH,   /* authentication refused, by either side */
	ERR_SERVER, /* PostgreSQL's ErrorResponse; sqlstate is set */
	ERR_CONFIG, /* the database is not set up for what was asked */
	ERR_LOST,   /* the slot, or WAL it needs, is gone: data was lost */
	ERR_LIMIT,  /* larger than a configured or built-in bound */
	ERR_DATA,   /* a row that cannot be delivered as it is */
	ERR_NOMEM,
};

struct err {
	enum err_kind kind;
	char sqlstate[6]; /* "" unless kind is ERR_SERVER */
	char text[1024];  /* one line; what is wrong and what to do */
};

/* Fills e; always returns -1, so that `return err_set(...)` fails. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<fmt>: " before the text that is already there; returns -1. */
int err_prefix(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
