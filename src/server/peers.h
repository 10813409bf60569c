#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include "net/addr.h"

/*
 * How many connections each address has: an IPv4 address, or an IPv6 network of
 * 64 bits, which is what one machine gets. Unix sockets are not counted.
 */
struct peer;
#define PEERS_BUCKETS 1024
struct peers {
	struct peer *bucket[PEERS_BUCKETS];
};

/* One more. Returns 0; or -1 if it has most (> 0) already, -2 when out of
 * memory, and it is not counted. */
int peers_add(struct peers *p, const struct addr *a, unsigned most);
/* One that was counted has left. */
void peers_remove(struct peers *p, const struct addr *a);
void peers_free(struct peers *p);

#endif
