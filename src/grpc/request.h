#ifndef GRPC_REQUEST_H
#define GRPC_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"

/*
 * What the headers of a gRPC request say (grpc/doc/PROTOCOL-HTTP2.md,
 * Request-Headers), taken one by one. Pure.
 */

#define REQUEST_MAX_VALUE 255

/* What the header authorization says. */
enum request_auth {
	REQUEST_ANONYMOUS, /* nothing */
	REQUEST_BEARER,    /* a bearer token (RFC 6750, 2.1) */
	REQUEST_OTHERWISE, /* something else, or more than one thing */
};

#define REQUEST_MAX_BYTES 8192 /* as the specification suggests */

struct request {
	char path[REQUEST_MAX_VALUE + 1];     /* "" when it is longer */
	char consumer[REQUEST_MAX_VALUE + 1]; /* of walstream-consumer */
	bool long_consumer;                   /* that had no room */
	enum request_auth auth;
	uint8_t bearer[SECRET_DIGEST]; /* of the token, which is not kept */
	size_t bytes; /* of the header list, as SETTINGS counts them */
	bool post;    /* the method is POST */
	bool grpc;    /* the content-type is application/grpc[+proto] */
	bool encoded; /* grpc-encoding names a compression */
};

void request_header(struct request *q, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t len);

/* Are the len bytes at p the string s? */
bool request_is(const uint8_t *p, size_t len, const char *s);

#endif
