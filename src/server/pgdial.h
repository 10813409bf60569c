#ifndef SERVER_PGDIAL_H
#define SERVER_PGDIAL_H

#include <stdint.h>

#include "net/conn.h"
#include "net/resolve.h"
#include "pg/conninfo.h"

/*
 * From a list of hosts to a connecting socket, address by address: hosts in
 * their order, or by chance (load_balance_hosts), each with all the addresses
 * its name has. With target_session_attrs=prefer-standby there are two rounds.
 */
struct pgdial {
	const struct conninfo *ci;
	size_t *order; /* indices of hosts; owned */
	size_t host_at;
	bool one;                   /* only the address that was given */
	bool any_will_do;           /* prefer-standby: the second round */
	struct addr addr[ADDR_MAX]; /* of the host being tried */
	int addr_count, addr_at;
	struct resolve resolve;
	int64_t deadline_at; /* of what is being tried; monotonic us */
	struct err failed;   /* the last failure, its text is that of all */
	unsigned failures;
};

void pgdial_init(struct pgdial *d);
void pgdial_free(struct pgdial *d);

/* Begins with the first host; or, with beside, has the address that that one
 * has, and no other. Returns 0, or -1 with ERR_NOMEM. */
int pgdial_begin(struct pgdial *d, const struct conninfo *ci,
    const struct pgdial *beside, struct err *err);

enum pgdial_step {
	PGDIAL_FAILED = -1, /* nothing is left: err has all that was wrong */
	PGDIAL_RESOLVING, /* poll d->resolve.fd for POLLIN, until deadline_at */
	PGDIAL_CONNECTING, /* c is connecting, until deadline_at */
};
/* Goes on to the address that is to be tried next: without a pgdial_refused
 * before it, the same once more. */
enum pgdial_step
pgdial_step(struct pgdial *d, struct conn *c, int64_t now, struct err *err);

/* The address being tried is of no use, for this reason. */
void pgdial_refused(struct pgdial *d, const struct err *why);
/* Nor are the host's others. */
void pgdial_refused_host(struct pgdial *d, const struct err *why);

/* Something else that was wrong, to be told at the end. */
void pgdial_remember(struct pgdial *d, const struct err *why);

/* The host being tried, and its address. */
const struct conninfo_host *pgdial_host(const struct pgdial *d);
const struct addr *pgdial_address(const struct pgdial *d);

#endif
