#ifndef SERVER_WALRECEIVER_H
#define SERVER_WALRECEIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/lsn.h"
#include "feed/quorum.h"
#include "pg/conninfo.h"
#include "pg/timeline.h"
#include "server/pace.h"
#include "server/pgconn.h"
#include "server/publish.h"

/*
 * The PostgreSQL side: a state machine that keeps a replication connection,
 * finds or makes the slot, streams while somebody listens, reports what is
 * confirmed, and comes back after every loss of the connection.
 *
 *	OFFLINE -> CONNECTING -> IDENTIFY -> SETTINGS -> PUBLICATION -> SLOT
 *	    ^	  (timeline 2 or later) HISTORY		 |
 *	    |			      (first start, or temporary) CREATE |
 *	    |						     \------> READY
 *	    |		    	 LOCATE -> RECHECK -> TYPES <------+
 *	    |					    v
 *	    +-- DROP (temporary) <- STOPPING <- STREAMING
 *	    |					(READY <-> ADVANCE or WATCH)
 *	    +-- any failure, after a while
 *
 * A connection serves one COPY only (see walquery.c), so every rewind, and
 * every leave of the last client, ends with a new connection.
 */
#define WALRECEIVER_STATES(X)                            \
	X(WR_OFFLINE, "offline")                         \
	X(WR_CONNECTING, "connecting")                   \
	X(WR_IDENTIFY, "identifying the system")         \
	X(WR_HISTORY, "reading the timeline's history")  \
	X(WR_SETTINGS, "reading settings")               \
	X(WR_PUBLICATION, "looking for the publication") \
	X(WR_SLOT, "looking for the slot")               \
	X(WR_CREATE, "creating the slot")                \
	X(WR_READY, "ready")                             \
	X(WR_LOCATE, "asking for the present position")  \
	X(WR_RECHECK, "looking at the slot again")       \
	X(WR_TYPES, "reading the types")                 \
	X(WR_START, "starting replication")              \
	X(WR_STREAMING, "streaming")                     \
	X(WR_STOPPING, "stopping replication")           \
	X(WR_DROP, "dropping the slot")                  \
	X(WR_ADVANCE, "advancing the slot")              \
	X(WR_WATCH, "looking after the slot")            \
	X(WR_CLOSED, "closed")

enum walreceiver_state {
#define X(state, name) state,
	WALRECEIVER_STATES(X)
#undef X
	    WR_STATES
};

struct walreceiver_config {
	struct conninfo *conninfo;
	const char *slot;
	const char *const *publication;
	size_t publications;
	bool messages; /* ask for logical messages */
	bool temporary;
	bool create_slot;          /* on the first connect, if it is missing */
	int64_t shutdown_grace_us; /* how long a server that is shutting down
				      may wait for what is not confirmed */
	int64_t server_timeout_us; /* silence in a COPY after which the
				      connection is dead; 0: never */
};

struct walreceiver {
	const struct walreceiver_config *config;
	struct publish *publish;
	struct quorum *quorum;
	enum walreceiver_state state;
	struct pgconn pg;

	bool wanted;      /* somebody is attached */
	bool rewind;      /* the next START begins a segment of its own */
	bool finishing;   /* read no further than the open transaction's end */
	bool closing;     /* no more START; close once stopped */
	char server[256]; /* which one it was connected to last; "" */
	bool was_ready;   /* the first connect succeeded */
	bool pending;     /* messages are here that there was no room for */
	bool again;       /* the message that came last has to be given again */
	struct pace pace; /* STREAMING: when it is read */

	int64_t state_at;   /* when the state was entered */
	int64_t retry_at;   /* OFFLINE: when to try again */
	int64_t backoff_us; /* the next wait */
	int64_t stop_at;    /* STOPPING: give up and disconnect */
	int64_t idle_at;    /* READY: look after the slot that nobody reads */

	char system_identifier[32]; /* of the first connect, for ever */
	int version;                /* server_version_num */
	char started[40];           /* when the server at hand was, its words */

	bool was_standby; /* when it said where its WAL ends: it may have been
			     promoted since */

	/* Positions are of this timeline; 0: there are none yet. */
	uint32_t timeline;
	char copied_from[128]; /* the address of the server that the last COPY
				  was of */
	char promotable[40]; /* `started` of the standby that the last COPY was
				of, and which may have been promoted under it;
				"" when it was of a primary */
	lsn_t began_lsn;     /* where it left the one before; 0: not known */
	/* What IDENTIFY_SYSTEM says, and the server's history, if it has one,
	 * of that and of ours. */
	uint32_t server_timeline;
	lsn_t server_began_lsn;
	struct timeline ours;
	bool refused; /* this server will not do; another may, or it later */
	/* Whoever takes these resets them. The server has gone on on another
	 * timeline: positions above this are of WAL that it never had. */
	lsn_t cut_lsn;
	bool set_back; /* all positions are void */
	bool slow;     /* CREATE: it was said that it takes long */

	int64_t status_interval_us; /* between unasked status updates */
	int64_t status_at;          /* the next one is due */
	int64_t status_sent_at;
	int64_t heard_at;  /* the server said something then, or nobody was
			     listening */
	bool pinged;       /* it was asked to say something since */
	int silences;      /* COPYs that ended so without an event */
	int64_t answer_at; /* the last keepalive that asked was, or is to be,
			      answered then */
	lsn_t received;    /* reported as written */
	lsn_t reported;    /* as flushed */
	uint64_t events;   /* in the ring when the last COPY began */
	int64_t nagged_at; /* the server asks and asks since; 0: it does not */
	lsn_t nagged_lsn;  /* to have this confirmed */

	/* Connections made, that failed or could not be made, and times that
	 * streaming began anew for who needs what is past; ever. */
	uint64_t connects, failures, rewinds;
	struct err failed; /* the last one, and when; ERR_NONE: none was */
	int64_t failed_at;

	bool busy;         /* the slot is another session's */
	bool found;        /* the query of this state returned a row */
	char missing[256]; /* a publication that is not there; "" */
	/* What the slot's row or the last IDENTIFY_SYSTEM said: */
	lsn_t slot_confirmed;
	lsn_t server_lsn;

	/* Set when streams cannot go on: changes may be missing (ERR_LOST) or
	 * the database is not set up any more (ERR_CONFIG). Whoever takes it
	 * sets kind to ERR_NONE. */
	struct err broken;
	bool for_all;    /* also for streams that are not in place yet */
	struct err last; /* why it is not streaming; ERR_NONE: no reason */
};

void walreceiver_init(struct walreceiver *wr,
    const struct walreceiver_config *config, struct publish *publish,
    struct quorum *quorum);
void walreceiver_free(struct walreceiver *wr);

/* The socket (-1: none), the events to poll it for, and when to call again at
 * the latest (monotonic us). Nothing is read while the ring has no room. */
int walreceiver_fd(const struct walreceiver *wr);
short walreceiver_want(struct walreceiver *wr);
int64_t walreceiver_deadline(struct walreceiver *wr, int64_t now);

/* Moves on. Returns 0, or -1 with err when the first connect failed for a
 * reason that waiting will not cure. */
int walreceiver_step(struct walreceiver *wr, short revents, int64_t now,
    struct err *err);

/* Is there somebody to stream for? */
void walreceiver_attach(struct walreceiver *wr, bool wanted);
/* Read only what completes the transaction that is open. */
void walreceiver_finish(struct walreceiver *wr);
/* Begin again at confirmed: a stream needs what is not in memory. */
void walreceiver_rewind(struct walreceiver *wr);
/* Sends a status update when one is due or confirmed has moved. */
void walreceiver_report(struct walreceiver *wr, int64_t now);
/* Reports, ends the COPY and disconnects; WR_CLOSED when that is done. */
void walreceiver_close(struct walreceiver *wr, int64_t now);

/* "streaming", ... */
const char *walreceiver_state_name(const struct walreceiver *wr);
bool walreceiver_streaming(const struct walreceiver *wr);
/* Would a stream that is opened now be served? Not while wr->last says why
 * not, unless the connection has been made again since, and the slot is free. */
bool walreceiver_able(const struct walreceiver *wr);
/* Streaming, but nothing is being read, so nothing is heard either. */
bool walreceiver_held_up(struct walreceiver *wr);
/* The server is shutting down while that is so: disconnects. */
int walreceiver_let_go(struct walreceiver *wr, int64_t now, struct err *err);

#endif
