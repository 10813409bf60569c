#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "base/err.h"
#include "net/addr.h"

/*
 * Looks a host name up without waiting: getaddrinfo(3) blocks for as long as
 * the name servers are silent, so it runs in a thread of its own. The two share
 * no memory; the answer comes through a socket, for poll.
 */
struct resolve {
	int fd; /* readable when the answer is here; -1: nothing is asked */
};

void resolve_init(struct resolve *r);
/* Asks. Returns 0, or -1 with ERR_IO. */
int resolve_start(struct resolve *r, const char *host, const char *port,
    struct err *err);
/* Takes the answer: how many addresses were written to list[ADDR_MAX], 0 when
 * it is not here yet, or -1 with ERR_IO naming the host. */
int resolve_take(struct resolve *r, struct addr *list, struct err *err);
/* Forgets the question; the thread ends by itself. */
void resolve_cancel(struct resolve *r);

#endif
