#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "feed/quorum.h"
#include "feed/ring.h"
#include "grpc/h2.h"
#include "server/publish.h"

/*
 * PluginService/Session: one gRPC stream that is sent events and acknowledges
 * them.
 *
 *	WAITING	 opened; not yet in place, no headers sent
 *	LIVE	 has a cursor in the ring and takes part in the quorum
 */

enum session_state { SESSION_WAITING, SESSION_LIVE };

struct session {
	enum session_state state;
	struct h2_stream *stream;
	struct session_list *list;
	int64_t since_at; /* opened; monotonic us */
	lsn_t early_ack;  /* came while WAITING; 0 none */
	struct quorum_member member;
	/* LIVE: */
	uint64_t cursor;      /* the entry that is sent next, or in part */
	size_t offset;	      /* bytes of it that have been sent */
	lsn_t start_lsn;      /* transactions that commit before are skipped */
	struct ring_pos last; /* events up to here have been sent */
	uint64_t sent, acks;  /* for the log */
	struct session *next, *prev;
};

/* All sessions, and what they share. */
struct session_list {
	struct session *first;
	unsigned count;
	struct ring *ring;
	struct quorum *quorum;
	struct publish *publish;
	bool temporary; /* the slot: a stream starts now, not at confirmed */
	bool draining;	/* shutting down: no new session */
	int64_t now;	/* of this turn of the loop */
};

/* What serves /plugin.PluginService/Session. The connection's user pointer
 * (h2_new_server's arg) is the struct session_list. */
extern const struct h2_handler session_handler;

/*
 * Puts every waiting session in place that can be: replication is running.
 * Returns true when one of them needs what is no longer in memory, and so a
 * rewind to confirmed.
 */
bool sessions_place(struct session_list *l);

/* After new events or positions: wakes streams, moves positions. */
void sessions_update(struct session_list *l);

/* The lowest cursor, or the ring's end when there is none. */
uint64_t sessions_low(const struct session_list *l);

/* Ends every session, or only those in place: who is still waiting has lost
 * nothing. */
void sessions_end(struct session_list *l, bool waiting_too,
    enum grpc_code code, const char *why);
/* Ends those that have been waiting since before `before` (monotonic us). */
void sessions_end_waiting(struct session_list *l, int64_t before,
    enum grpc_code code, const char *why);

#endif
