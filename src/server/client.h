#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include <stdbool.h>

#include "base/bucket.h"
#include "grpc/h2.h"
#include "net/conn.h"
#include "server/lifetime.h"
#include "server/listener.h"
#include "server/session.h"

/* What all clients share. */
struct client_rules {
	struct h2_limits h2;
	struct lifetime_rules life;
	struct bucket complaints; /* lines in the log about clients */
	unsigned untold;          /* that were too many */
};

/* One accepted connection: a socket and the HTTP/2 on it. */
struct client {
	struct conn conn;
	struct h2 *h2;
	struct addr from;
	struct client_rules *rules;
	struct metrics *metrics;
	struct lifetime life;
	int64_t handshake_us; /* of TLS: how much more time it has */
	int64_t h2_at;        /* h2_tick is due */
	uint64_t taken;       /* bytes that the socket took */
	uint64_t arrived;     /* of those, as far as TCP knows, while pinged */
	uint64_t ping_end;    /* of those, where the PING ends; 0: not known */
	size_t discarded;     /* bytes read while closing */
	int64_t closed_at;    /* closing: closed then at the latest */
	int64_t retry_at;     /* a full socket is asked again then, or when poll
				says that it has room; 0: it is not full */
	bool opening;         /* the TLS handshake is not done */
	bool put_off;         /* so the turn had no time for it */
	bool more;            /* there is output left that the turn had no
				time for */
	bool closing;         /* close once the output is gone */
	bool finished;        /* closing: FIN was sent, it may still read */
	bool dead;            /* close now */
	bool agent_known;     /* its user-agent was logged */
	struct client *next;
};

/* Takes over the descriptor, or closes it and returns NULL when out of memory. */
struct client *client_new(const struct arrival *a,
    struct session_list *sessions, struct client_rules *rules, int64_t now);
/* Ends every stream and closes. */
void client_del(struct client *c);

short client_want(const struct client *c);
/* When client_write is due though nothing happened (monotonic us). */
int64_t client_deadline(const struct client *c, int64_t now);

/* us have passed since this was asked last: has the TLS handshake taken too
 * long? Then it is given up; err says why. What is our own fault is not held
 * against it: that it was put off, or that we were away. */
bool client_is_late(struct client *c, int64_t us, struct err *err);
/* A step of it: CONN_OK: it is done; CONN_AGAIN: not yet; otherwise it failed,
 * and the client is given up; err says why. */
enum conn_result
client_handshake(struct client *c, int64_t now, struct err *err);
/* Why it failed, and had the client said nothing at all? */
enum tls_fault client_fault(const struct client *c);
bool client_is_silent(const struct client *c);

/* Reads once. */
void client_read(struct client *c, int64_t now);
/* Does what is due, then writes what there is, up to about so many bytes, and
 * makes so many at once: size, at most CLIENT_WRITE_MAX. */
#define CLIENT_WRITE_MAX ((size_t)64 * 1024)
void client_write(struct client *c, size_t most, size_t size, int64_t now);
/* Asks for no new streams; closes once those that are open have ended. */
void client_drain(struct client *c);
/* Is it to be freed? */
bool client_over(const struct client *c);

#endif
