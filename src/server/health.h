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

struct watch;

/* Everybody who watches; they are no sessions, and keep nothing running. */
struct watches {
	struct watch *first;
	enum health status; /* what those in the list were last woken for */
	bool over; /* the server stops: there is nothing more to tell */
};

/* The answer. */
enum health health_of(const struct session_list *l);

/* Serve HEALTH_CHECK and HEALTH_WATCH; like session_handler, on a struct
 * session_list. */
extern const struct h2_handler health_check_handler, health_watch_handler;

/* Wakes those who watch when something has changed; once a turn. */
void health_update(const struct session_list *l);
/* Ends their streams with UNAVAILABLE, behind the last status. */
void health_end(const struct session_list *l);

#endif
