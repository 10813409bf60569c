#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <stdint.h>

#include "grpc/status.h"
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

/* Turns of the loop by how long they took: up to these many microseconds, the
 * last bucket's longer. */
#define TURN_BUCKETS 11
extern const uint32_t metrics_bounds[TURN_BUCKETS - 1];

struct metrics {
	int64_t started_at; /* monotonic us */
	uint64_t refused[REFUSED_REASONS];
	uint64_t accepted;   /* connections of clients */
	uint64_t handshakes; /* of TLS that were completed */
	uint64_t handshakes_failed[TLS_FAULT_KINDS]; /* tls_fault_name */

	uint64_t streams;                 /* that were opened */
	uint64_t ended[STATUS_CODES];     /* by the status they ended with */
	uint64_t sent_events, sent_bytes; /* to clients */
	/* Acknowledgements; those among them that moved nothing, and those of
	 * what was not sent. */
	uint64_t acks, idle_acks, bad_acks;

	uint64_t turns[TURN_BUCKETS];
	uint64_t turns_us, longest_us; /* of all turns; of one */
	uint64_t longest_cpu_us;       /* of one, with its poll */
};

/* A stream has ended with this status, OK: none was sent. */
void metrics_ended(struct metrics *m, enum grpc_code code);
/* A turn of the loop took us, and cpu_us of the CPU. */
void metrics_turn(struct metrics *m, int64_t us, int64_t cpu_us);

static inline void
metrics_refused(struct metrics *m, enum refusal why)
{
	m->refused[why]++;
}

#endif
