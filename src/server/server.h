#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "server/lifetime.h"
#include "server/listener.h"
#include "server/walreceiver.h"

struct server_config {
	struct walreceiver_config pg;
	struct listener_config listen;
	const char *metrics_listen; /* HOST:PORT of the pages; NULL: none */
	size_t buffer_size;         /* of the ring, bytes */
	size_t max_event;           /* bytes, as its message */
	int64_t slow_timeout_us;    /* 0: slow clients are never ended */
	int64_t drain_us;       /* how long acks are waited for at shutdown */
	bool reflection;        /* is served */
	const char *token_file; /* of tokens; NULL: none are needed */
	int64_t pg_grace_us;    /* how long a stream waits to be put in place */
	struct lifetime_rules life;         /* of clients' connections */
	unsigned max_streams, max_per_conn; /* streams; 0: no limit in all */
	const char *const *required;        /* names of consumers */
	size_t required_count;
};

/*
 * Runs `walstream start`: the one poll loop. Returns 0 after SIGTERM or
 * SIGINT, or -1 with err when it could not start.
 */
int server_run(const struct server_config *config, struct err *err);

#endif
