#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "feed/consumer.h"
#include "feed/quorum.h"
#include "feed/ring.h"
#include "grpc/h2.h"
#include "server/access.h"
#include "server/metrics.h"
#include "server/walk.h"
#include "server/walreceiver.h"

/*
 * One gRPC stream of PluginService: it is sent events and acknowledges them.
 *
 *	STARTING  a Subscribe stream whose start has not come yet
 *	WAITING	  not yet in place, no headers sent
 *	LIVE	  has a place in the ring and takes part in the quorum
 *	LAST	  so, too, but replication has broken off: it is sent what was
 *		  in the ring by then, and ends
 *	GONE	  over for us; the stream is closing
 */
enum session_state {
	SESSION_STARTING,
	SESSION_WAITING,
	SESSION_LIVE,
	SESSION_LAST,
	SESSION_GONE,
};

struct session {
	enum session_state state;
	struct h2_stream *stream;
	struct session_list *list;
	int64_t since_at; /* opened; monotonic us, as all below */
	bool subscribe;
	struct start start;        /* Subscribe: what the client asked for */
	struct consumer *consumer; /* NULL: it has no name */
	const struct consumer *void_of; /* it ends since that was sent what is
					   void; may be gone by now */
	struct pass pass;               /* what it was let in with */
	lsn_t early_ack;                /* came while WAITING; 0 none */
	struct quorum_member member;

	/* LIVE: */
	struct walk walk;
	/* What is being sent: first `out` (messages and heads of our own), then
	 * the rest of the event below the walk's cursor. */
	struct buf out;
	bool in_event;
	size_t offset;         /* bytes of the event that have been sent */
	struct ring_pos large; /* the last event that may be too large for its
				  client; commit_lsn 0: none */
	uint32_t batch_left;   /* items of the batch being sent */
	int64_t progress_at;   /* the next progress is due */
	int64_t moved_at;      /* something worth the name was taken */
	int64_t taken_at;      /* anything was */
	int64_t gone_at;       /* GONE: since then */
	size_t moved;          /* bytes taken since */
	int64_t warned_at;     /* that it holds WAL back */
	lsn_t warned_lsn;      /* acknowledged then */
	uint64_t last_id;      /* LAST: the entry it does not get any more */
	uint64_t sent, acks;   /* for the log */
	uint64_t number;       /* the how-manieth it is; of no other stream */
	struct session *next, *prev;
};

/* All sessions, and what they share. */
struct session_list {
	struct session *first;
	unsigned count;    /* all of them */
	unsigned attached; /* WAITING and LIVE: somebody to stream for */
	struct ring *ring;
	struct quorum *quorum;
	struct consumers *consumers;
	const struct walreceiver *wr;
	struct metrics *metrics;
	struct access *access;   /* who may open one */
	struct watches *watches; /* of server/health.h */
	bool reflection;         /* is served */
	size_t reflecting;       /* bytes that its streams wait with */
	bool draining;           /* shutting down: no new session */
	int64_t slow_timeout_us; /* a stream that takes nothing for so long, and
				    holds others up, is ended; 0: never */
	enum grpc_code last_code; /* how those that are LAST end */
	char last_why[512];
	int64_t updated_at; /* when sessions_update was called last */
	int64_t paused_at;  /* since when the ring has had no room; 0 */
	lsn_t server_lsn;   /* how far the server's WAL goes, for who watches;
			      0: nobody has asked */
	int64_t now;        /* of this turn of the loop */
	int64_t next_at;    /* when sessions_update is due again */
	struct buf scratch;
};

/* What serves the two methods. The connection's user pointer (h2_new_server's
 * arg) is the struct session_list. */
extern const struct h2_handler session_handler, subscribe_handler;

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

/* Has every stream that acknowledges been sent, and acknowledged, all there
 * is? */
bool sessions_settled(const struct session_list *l);

/* The server was set back: nothing that was sent or acknowledged before says
 * anything now. Streams in place end, names lose their positions. */
void sessions_forget(struct session_list *l);
/* The server has gone on on another timeline, which has what is below lsn.
 * Streams that were sent anything above end with DATA_LOSS; the others go on,
 * and so do names. Returns how many ended. */
unsigned sessions_cut(struct session_list *l, lsn_t lsn);

/* The tokens were read anew: streams whose token is gone end with
 * UNAUTHENTICATED, those whose token may see something else with UNAVAILABLE.
 * Returns how many. */
unsigned sessions_readmit(struct session_list *l);

/* Ends those in place, each when it was sent what is in the ring. Returns how
 * many. */
unsigned
sessions_end_last(struct session_list *l, enum grpc_code code, const char *why);
/* Ends every session, or only those in place: who is still waiting has lost
 * nothing. Returns how many. */
unsigned sessions_end(struct session_list *l, bool waiting_too,
    enum grpc_code code, const char *why);
/* Ends those that have been waiting since before `before`. Returns how many. */
unsigned sessions_end_waiting(struct session_list *l, int64_t before,
    enum grpc_code code, const char *why);

/* For session.c, sessions.c and feeder.c: */

static inline bool
session_in_place(const struct session *s)
{
	return s->state == SESSION_LIVE || s->state == SESSION_LAST;
}

void session_set_state(struct session *s, enum session_state state);
/* " of NAME (token NAME)", as far as it has them, for the log; good until the
 * next call. */
const char *session_who(const struct session *s);
/* The highest position that its client knows of from it; 0: none. */
lsn_t session_told(const struct session *s);
/* Ends it: its client knows of what is void above lsn. */
void session_end_void(struct session *s, const struct consumer *c, lsn_t told,
    lsn_t lsn);
/* Leaves the quorum and the name; acks until now count. */
void session_detach(struct session *s);
/* Ends a session: it leaves the quorum and its name at once, its trailers go
 * out behind the message that is being sent. */
void session_end(struct session *s, enum grpc_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
