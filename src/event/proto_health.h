#ifndef EVENT_PROTO_HEALTH_H
#define EVENT_PROTO_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* The messages of proto/health.proto as bytes, both ways. */

#define HEALTH_CHECK "/grpc.health.v1.Health/Check"
#define HEALTH_WATCH "/grpc.health.v1.Health/Watch"
#define HEALTH_MAX_SERVICE 255

enum health {
	HEALTH_UNKNOWN = 0,
	HEALTH_SERVING = 1,
	HEALTH_NOT_SERVING = 2,
	HEALTH_SERVICE_UNKNOWN = 3,
};

/* "SERVING", …; "UNKNOWN" for anything else. */
const char *health_name(enum health status);

/* A request, and an answer; sets out->failed when there is no room. */
void proto_put_health_request(struct buf *out, const char *service);
void proto_put_health(struct buf *out, enum health status);

/* Reads a request; a longer name is cut. Returns 0, or -1 with ERR_PROTO. */
int proto_get_health_request(const uint8_t *p, size_t n,
    char service[HEALTH_MAX_SERVICE + 1], struct err *err);
/* Reads an answer. Returns 0, or -1 with ERR_PROTO. */
int proto_get_health(const uint8_t *p, size_t n, enum health *status,
    struct err *err);

#endif
