#ifndef CLI_CALL_H
#define CLI_CALL_H

#include "base/buf.h"
#include "base/err.h"
#include "cli/options.h"
#include "grpc/h2.h"
#include "net/conn.h"

/*
 * One call to a walstream server on a connection of its own, for commands:
 * they serve it alone and may wait.
 */
struct call {
	struct conn conn;
	struct h2 *h2;
	struct h2_stream *stream; /* the handler's closed sets it to NULL */
	struct err err;           /* what went wrong; ERR_NONE: nothing */
	struct tls_settings tls;  /* strings borrowed */
	bool secure;              /* over TLS */
	struct buf authorization; /* "Bearer TOKEN", or empty */
};

void call_init(struct call *c);
/* Runs the handler's closed if the call is not over. */
void call_free(struct call *c);

/* Reads the options that begin with --tls. Returns 0, or -1 with c->err. */
int call_read_tls(struct call *c, const struct options *o);
/* From now on the call has the first token of a file, NULL: none. Returns 0,
 * or -1 with c->err. */
int call_read_token(struct call *c, const char *file);

/* Connects to address (HOST:PORT; what it leaves out is default_host and port;
 * or a Unix socket, see addr_unix) within timeout_ms and starts the call.
 * Returns 0, or -1 with c->err. */
int call_begin(struct call *c, const char *address, const char *default_host,
    const char *port, int timeout_ms, const char *path,
    const struct h2_handler *handler, void *user);

/* Sends what there is to send. Returns 0, or -1 with c->err. */
int call_send(struct call *c);
/* Waits up to timeout_ms (-1: for ever) for the server, and gives what came to
 * the handler. Returns 0, also when nothing came or a signal did, or -1 with
 * c->err. */
int call_wait(struct call *c, int timeout_ms);
/* Gives the call up so that all that was sent before arrives. */
void call_give_up(struct call *c, int timeout_ms);

#endif
