#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <stdint.h>

#include "net/tls_fault.h"

/*
 * What is counted while the server runs, from its start, for the metrics page:
 * everything that is not already counted where it happens.
 */

/* Why a connection or a request was refused or cut off: the label `reason`. */
#define REFUSALS(X)                                   \
	X(REFUSED_CONNECTIONS, "connections")         \
	X(REFUSED_PER_ADDRESS, "per_address")         \
	X(REFUSED_DESCRIPTORS, "descriptors")         \
	X(REFUSED_HANDSHAKE, "handshake")             \
	X(REFUSED_NOT_HTTP2, "not_http2")             \
	X(REFUSED_TIMEOUT, "timeout")                 \
	X(REFUSED_KEEPALIVE, "keepalive")             \
	X(REFUSED_FLOOD, "flood")                     \
	X(REFUSED_PROTOCOL, "protocol")               \
	X(REFUSED_HEADERS, "headers")                 \
	X(REFUSED_STREAMS, "streams")                 \
	X(REFUSED_UNAUTHENTICATED, "unauthenticated") \
	X(REFUSED_PERMISSION, "permission")           \
	X(REFUSED_UNKNOWN_METHOD, "unknown_method")   \
	X(REFUSED_MALFORMED, "malformed")             \
	X(REFUSED_MEMORY, "memory")

enum refusal {
#define X(reason, name) reason,
	REFUSALS(X)
#undef X
	    REFUSED_REASONS
};

struct metrics {
	uint64_t refused[REFUSED_REASONS];
	uint64_t accepted;   /* connections of clients */
	uint64_t handshakes; /* of TLS that were completed */
	uint64_t handshakes_failed[TLS_FAULT_KINDS]; /* tls_fault_name */
};

static inline void
metrics_refused(struct metrics *m, enum refusal why)
{
	m->refused[why]++;
}

#endif
