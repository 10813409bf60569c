#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bucket.h"
#include "base/err.h"
#include "net/conn.h"
#include "net/listen.h"
#include "net/tls_server.h"
#include "server/metrics.h"
#include "server/peers.h"

/* Where clients come in: the sockets, their TLS, and how many may. */

#define LISTENERS_MAX 32

struct listener_config {
	const char *const *address; /* HOST:PORT, [V6]:PORT, unix:...; */
	size_t addresses;           /* none: host and port */
	const char *host, *port;
	mode_t mode;                     /* of Unix sockets */
	struct tls_server_settings tls;  /* of TCP; cert NULL: in the clear */
	unsigned most, most_per_address; /* connections; 0 per address: any */
};

struct listeners {
	const struct listener_config *config;
	struct metrics *metrics;
	struct listen at[LISTENERS_MAX];
	size_t count;
	size_t places; /* in the poll set: count, also when they are closed */
	struct ssl_ctx_st *tls; /* for who comes now; NULL: in the clear */
	unsigned most, open;    /* connections that may be, that are */
	struct peers peers;
	int spare; /* given up to refuse a client when descriptors run out */
	struct bucket vain; /* accepts that let nobody in, and no pause */
	int64_t paused_until;
};

/* A client that may stay. The descriptor is the caller's. */
struct arrival {
	int fd;
	struct addr from;
	struct ssl_ctx_st *tls; /* NULL: in the clear */
};

/* First of all, so that listeners_free can be called. */
void listeners_init(struct listeners *l, const struct listener_config *config,
    struct metrics *metrics);
/*
 * Reads the files of TLS, raises the limit of descriptors, of which so many are
 * left to others, and listens on every address, those of a name all. Returns 0,
 * or -1 with err; then no socket of ours is left.
 */
int listeners_open(struct listeners *l, size_t others, struct err *err);
/* Nobody comes in any more; who is in, stays. */
void listeners_close(struct listeners *l);
void listeners_free(struct listeners *l);

/* Reads the files of TLS anew. Returns 0, or -1 with err and what was before
 * stays in use. */
int listeners_reload(struct listeners *l, struct err *err);

/* May anybody come from other machines, who need not show a certificate? */
bool listeners_exposed(const struct listeners *l);

/* "127.0.0.1:50051 with TLS, unix:/run/walstream.sock" */
void listeners_describe(const struct listeners *l, char *text, size_t cap);

/* Fills l->places of the poll set; taking: clients are let in.
 * Returns until when poll may wait at most. */
int64_t listeners_prepare(const struct listeners *l, struct pollfd *p,
    bool taking, int64_t now);

/* The next one at listener i. ARRIVED: *a may stay, until listeners_left.
 * REFUSED: it was sent away. NOBODY: there is none. */
enum arrived { ARRIVED, REFUSED, NOBODY };
enum arrived
listeners_next(struct listeners *l, size_t i, int64_t now, struct arrival *a);
void listeners_left(struct listeners *l, const struct addr *from);
/* Nobody is let in for a moment: something has run out. */
void listeners_pause(struct listeners *l, int64_t now);

#endif
