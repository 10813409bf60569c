#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include <stdbool.h>

#include "grpc/h2.h"
#include "net/conn.h"
#include "server/listener.h"
#include "server/session.h"

/* One accepted connection: a socket and the HTTP/2 on it. */
struct client {
	struct conn conn;
	struct h2 *h2;
	struct addr from;
	int64_t ready_at; /* it has to be open by then; INT64_MAX: it is */
	bool opening;     /* the TLS handshake is not done */
	bool more;     /* there is output left that the turn had no time for */
	bool draining; /* GOAWAY, once no stream is open */
	bool closing;  /* close once the output is gone */
	bool dead;     /* close now */
	struct client *next;
};

/* Takes over the descriptor, or closes it and returns NULL when out of memory. */
struct client *
client_new(const struct arrival *a, struct session_list *sessions, int64_t now);
/* Ends every stream and closes. */
void client_del(struct client *c);

short client_want(const struct client *c);
/* When something is to be done whatever comes; INT64_MAX: nothing. */
int64_t client_deadline(const struct client *c, int64_t now);
/* Has it taken too long to get ready? Then it is given up; err says why. */
bool client_is_late(struct client *c, int64_t now, struct err *err);

/* A step of the TLS handshake: CONN_OK: it is done; CONN_AGAIN: not yet;
 * otherwise it failed, and the client is given up; err says why. */
enum conn_result client_handshake(struct client *c, struct err *err);
/* Why it failed, and had the client said nothing at all? */
enum tls_fault client_fault(const struct client *c);
bool client_is_silent(const struct client *c);

/* Reads once. */
void client_read(struct client *c);
/* Writes what there is, up to a turn's share. */
void client_write(struct client *c);
/* No new streams; closes once those that are open have ended. */
void client_drain(struct client *c);
/* Is it to be freed? */
bool client_over(const struct client *c);

#endif
