#ifndef SERVER_HEALTH_H
#define SERVER_HEALTH_H

#include "event/proto_health.h"
#include "grpc/h2.h"
#include "server/session.h"

/*
 * grpc.health.v1.Health: can a stream that is opened now be served? So it is
 * SERVING while PostgreSQL is connected or, with nobody attached, was when it
 * was last needed; NOT_SERVING while it cannot be reached, refuses, or the
 * slot is gone or another walstream's, and from SIGTERM on.
 *
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)
 */

/* The answer. */
enum health health_of(const struct session_list *l);

/* Serves HEALTH_CHECK; like session_handler, on a struct session_list. */
extern const struct h2_handler health_check_handler;

#endif
