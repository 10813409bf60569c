#ifndef GRPC_REQUEST_H
#define GRPC_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the headers of a gRPC request say (grpc/doc/PROTOCOL-HTTP2.md,
 * Request-Headers), taken one by one. Pure.
 */

#define REQUEST_MAX_VALUE 255
#define REQUEST_MAX_BYTES 8192 /* as the specification suggests */
#define REQUEST_MAX_HEADERS 100
#define REQUEST_MAX_AGENT 128

struct request {
	char path[REQUEST_MAX_VALUE + 1];     /* "" when it is longer */
	char consumer[REQUEST_MAX_VALUE + 1]; /* of walstream-consumer */
	bool long_consumer;                   /* that had no room */
	char agent[REQUEST_MAX_AGENT + 1];    /* of user-agent, cut */
	int64_t timeout_us;                   /* of grpc-timeout */
	bool has_timeout, bad_timeout;
	size_t bytes; /* of the header list, as SETTINGS counts them */
	size_t count; /* of headers */
	bool post;    /* the method is POST */
	bool grpc;    /* the content-type is application/grpc[+proto] */
	bool encoded; /* grpc-encoding names a compression */
};

/* What is beyond the limits, see request_too_large, is counted, not kept. */
void request_header(struct request *q, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t len);

/* Are there more headers, or more bytes of them, than are looked at? */
bool request_too_large(const struct request *q);

/* The value of grpc-timeout, 1 to 8 digits and a unit, in microseconds: rounded
 * up. Returns 0, or -1 when it is none. */
int request_timeout(const uint8_t *value, size_t len, int64_t *us);

/* Does what came first on a connection begin like a request of HTTP/1? */
bool request_is_http1(const uint8_t *p, size_t len);

/* Are the len bytes at p the string s? */
bool request_is(const uint8_t *p, size_t len, const char *s);

#endif
