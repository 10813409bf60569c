#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include <stdbool.h>

#include "grpc/h2.h"
#include "net/conn.h"
#include "server/session.h"

/* One accepted connection: a socket and the HTTP/2 on it. */
struct client {
	struct conn conn;
	struct h2 *h2;
	struct addr from;
	bool more;     /* there is output left that the turn had no time for */
	bool draining; /* GOAWAY, once no stream is open */
	bool closing;  /* close once the output is gone */
	bool dead;     /* close now */
	struct client *next;
};

/* Takes over fd, or closes it and returns NULL when out of memory. */
struct client *
client_new(int fd, const struct addr *from, struct session_list *sessions);
/* Ends every stream and closes. */
void client_del(struct client *c);

short client_want(const struct client *c);
/* Reads once. */
void client_read(struct client *c);
/* Writes what there is, up to a turn's share. */
void client_write(struct client *c);
/* No new streams; closes once those that are open have ended. */
void client_drain(struct client *c);
/* Is it to be freed? */
bool client_over(const struct client *c);

#endif
