#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/feeder.h"
#include "server/session.h"

/* What is done to all sessions, a turn of the loop at a time. */

#define PROGRESS_DEFAULT SECONDS(10)
#define PROGRESS_MIN MS(100)
/* Waiting and stuck streams are looked at this often. */
#define TICK SECONDS(1)
/* What stands for --slow-client-timeout where that is "never". */
#define STUCK SECONDS(60)
/* How long a stream that has ended may take over its last message, in all, and
 * take nothing of it: its connection may have newer ones. */
#define GONE_TIME SECONDS(30)
#define GONE_STUCK SECONDS(5)
/* How long Subscribe waits for its start. */
#define START_TIME SECONDS(60)
/* Without a turn for so long we were stopped, and nobody could take anything. */
#define STOPPED SECONDS(5)
/* How often a stream that acknowledges nothing is complained about, and for
 * how long it may go unnoticed. */
#define WARN_INTERVAL SECONDS(300)
#define WARN_AFTER SECONDS(60)

/* A stream that holds WAL back, and acknowledges nothing, is named. */
static void
warn_unacked(struct session *s)
{
	const struct session_list *l = s->list;

	if (quorum_idle(&s->member) || !s->member.votes ||
	    s->member.acked != s->warned_lsn) {
		s->warned_lsn = s->member.acked;
		s->warned_at = l->now - WARN_INTERVAL + WARN_AFTER;
		return;
	}
	if (l->now - s->warned_at < WARN_INTERVAL)
		return;
	s->warned_at = l->now;
	log_warn("session.unacked",
	    "a stream%s has acknowledged only up to " LSN_FMT " of " LSN_FMT
	    ": PostgreSQL keeps its WAL since then",
	    session_who(s), LSN_ARG(quorum_position(&s->member)),
	    LSN_ARG(s->member.sent));
}

/* A stream with nothing left to send: its position, and progress. */
static void
update_idle(struct session *s)
{
	struct session_list *l = s->list;
	lsn_t complete = l->wr->publish->complete_lsn;
	int64_t interval = MS(s->start.progress_interval_ms);

	s->moved_at = s->taken_at = l->now; /* what comes has its own time */
	s->moved = 0;
	if (!s->start.exact)
		quorum_served(&s->member, complete);
	else if (interval == 0)
		interval = PROGRESS_DEFAULT;
	if (interval == 0 || s->walk.begun)
		return; /* not in the middle of a transaction */
	interval = interval > PROGRESS_MIN ? interval : PROGRESS_MIN;
	if (s->member.votes && !quorum_idle(&s->member)) {
		s->progress_at = l->now + interval;
	} else if (l->now >= s->progress_at) {
		s->progress_at = l->now + interval;
		feeder_progress(s, lsn_max(complete, s->member.sent));
		h2_wake(s->stream);
	}
	if (s->progress_at < l->next_at)
		l->next_at = s->progress_at;
}

/* Does it need an entry of the ring? */
static bool
needs_ring(const struct session *s)
{
	return session_in_place(s) || feeder_busy(s);
}

/* A stream that takes nothing while there is no room for others' events. */
static bool
is_stuck(struct session *s)
{
	const struct session_list *l = s->list;
	int64_t since = s->moved_at > l->paused_at ? s->moved_at : l->paused_at;

	return l->slow_timeout_us > 0 && l->paused_at != 0 && l->attached > 1 &&
	    !feeder_at_end(s) && l->now - since >= l->slow_timeout_us;
}

/* Its flow control lets no trailers through: only a reset reaches it. */
static void
drop(struct session *s)
{
	s->in_event = false;
	s->batch_left = 0;
	buf_reset(&s->out);
	s->stream->code = GRPC_RESOURCE_EXHAUSTED; /* as the client sees it */
	session_detach(s);
	h2_reset(s->stream);
}

static void
drop_stuck(struct session *s)
{
	log_warn("session.slow",
	    "a stream%s took next to nothing for %d s and held others up: ended",
	    session_who(s), (int)(s->list->slow_timeout_us / 1000000));
	drop(s);
}

static void
update_live(struct session *s)
{
	if (s->stream->ending)
		session_detach(s);
	else if (feeder_at_end(s))
		update_idle(s);
	else
		h2_wake(s->stream);
	if (s->state == SESSION_LIVE)
		warn_unacked(s);
}

/* Whose token does not show every table is not told of others either. */
static const char *
why_for(const struct session *s, const char *why)
{
	return s->walk.allowed == NULL
	    ? why
	    : "changes cannot be streamed now; walstream's log says why";
}

/* Towards its end; but it does not get more time than one that is stuck. */
static void
update_last(struct session *s)
{
	const struct session_list *l = s->list;
	int64_t patience = l->slow_timeout_us > 0 ? l->slow_timeout_us : STUCK;

	if (s->stream->ending)
		session_detach(s);
	else if (!feeder_busy(s) &&
	    (s->walk.cursor >= s->last_id || feeder_at_end(s)))
		session_end(s, l->last_code, "%s", why_for(s, l->last_why));
	else if (l->now - s->moved_at >= patience)
		drop(s);
	else
		h2_wake(s->stream);
}

void
sessions_update(struct session_list *l)
{
	bool stopped = l->now - l->updated_at > STOPPED;
	struct session *s;

	if (!l->ring->paused)
		l->paused_at = 0;
	else if (l->paused_at == 0 || stopped)
		l->paused_at = l->now;
	l->updated_at = l->now;
	l->next_at = l->count > 0 ? l->now + TICK : INT64_MAX;
	for (s = l->first; s != NULL; s = s->next) {
		if (stopped)
			s->moved_at = s->gone_at = l->now;
		if (session_in_place(s) && s->out.failed)
			drop(s); /* no memory for what it is to be sent */
		else if (s->state == SESSION_LIVE && is_stuck(s))
			drop_stuck(s);
		else if (s->state == SESSION_LIVE)
			update_live(s);
		else if (s->state == SESSION_LAST)
			update_last(s);
		else if (s->state == SESSION_STARTING &&
		    l->now - s->since_at >= START_TIME)
			session_end(s, GRPC_DEADLINE_EXCEEDED,
			    "no start has come for %d s",
			    (int)(START_TIME / SECONDS(1)));
		else if (s->state == SESSION_GONE && feeder_busy(s) &&
		    (l->now - s->moved_at >= GONE_STUCK ||
			l->now - s->gone_at >= GONE_TIME))
			drop(s);
	}
}

uint64_t
sessions_low(const struct session_list *l)
{
	uint64_t low = l->ring->next;
	const struct session *s;

	for (s = l->first; s != NULL; s = s->next)
		if (needs_ring(s) && feeder_low(s) < low)
			low = feeder_low(s);
	return low;
}

bool
sessions_settled(const struct session_list *l)
{
	struct session *s;

	for (s = l->first; s != NULL; s = s->next)
		if (session_in_place(s) &&
		    (!feeder_at_end(s) ||
			(s->member.votes && !quorum_idle(&s->member))))
			return false;
	return true;
}

void
sessions_forget(struct session_list *l)
{
	sessions_end(l, false, GRPC_DATA_LOSS,
	    "the server was set back before what was confirmed: changes are "
	    "gone; copy the tables anew");
	lag_reset(&l->wr->publish->lag);
	consumers_forget(l->consumers);
	quorum_reset(l->quorum, l->quorum->confirmed);
}

/* Does its client know of something above lsn, of this stream or, when it has a
 * name, of an earlier one? Returns the position, or 0. */
static lsn_t
known_above(const struct session *s, lsn_t lsn)
{
	lsn_t told = session_told(s);

	if (s->consumer != NULL)
		told = lsn_max(told, s->consumer->told);
	if (session_in_place(s) && s->walk.given_lsn >= lsn)
		told = lsn_max(told, s->walk.given_lsn);
	else if (told <= lsn)
		told = 0;
	return told;
}

unsigned
sessions_cut(struct session_list *l, lsn_t lsn)
{
	struct session *s;
	unsigned n = 0;
	lsn_t told;

	for (s = l->first; s != NULL; s = s->next) {
		if (s->state == SESSION_GONE) {
			s->walk.stale_too = true; /* of its last batch */
			continue;
		}
		if ((told = known_above(s, lsn)) == 0) {
			walk_cut(&s->walk, lsn);
			continue;
		}
		s->walk.stale_too = true;
		session_end_void(s, s->consumer, told, lsn);
		n++;
	}
	lag_reset(&l->wr->publish->lag);
	ring_cut(l->ring, lsn);
	quorum_cut(l->quorum, lsn);
	consumers_cut(l->consumers, lsn);
	return n;
}

/* Returns whether it has ended. */
static bool
readmit(struct session *s)
{
	enum pass_state state = PASS_GOOD;

	if (s->state != SESSION_GONE)
		state = access_renew(s->list->access, &s->pass);
	if (state == PASS_GONE)
		session_end(s, GRPC_UNAUTHENTICATED,
		    "this token is not known here any more");
	else if (state == PASS_CHANGED)
		session_end(s, GRPC_UNAVAILABLE,
		    "what this token may see has changed: connect again");
	else
		s->walk.allowed = pass_allows(&s->pass);
	if (s->consumer != NULL)
		consumer_own(s->consumer, pass_name(&s->pass));
	return state != PASS_GOOD;
}

unsigned
sessions_readmit(struct session_list *l)
{
	unsigned n = 0;

	for (struct session *s = l->first; s != NULL; s = s->next)
		n += readmit(s);
	return n;
}

unsigned
sessions_end_last(struct session_list *l, enum grpc_code code, const char *why)
{
	struct session *s;
	unsigned n = 0;

	l->last_code = code;
	snprintf(l->last_why, sizeof(l->last_why), "%s", why);
	for (s = l->first; s != NULL; s = s->next) {
		if (s->state != SESSION_LIVE)
			continue;
		session_set_state(s, SESSION_LAST);
		s->last_id = l->ring->next;
		s->moved_at = l->now;
		n++;
	}
	return n;
}

unsigned
sessions_end(struct session_list *l, bool waiting_too, enum grpc_code code,
    const char *why)
{
	struct session *s;
	unsigned n = 0;

	for (s = l->first; s != NULL; s = s->next) {
		if (s->state == SESSION_GONE ||
		    (!waiting_too && !session_in_place(s)))
			continue;
		session_end(s, code, "%s", why);
		n++;
	}
	return n;
}

unsigned
sessions_end_waiting(struct session_list *l, int64_t before,
    enum grpc_code code, const char *why)
{
	struct session *s;
	unsigned n = 0;

	for (s = l->first; s != NULL; s = s->next) {
		if (s->state != SESSION_WAITING || s->since_at >= before)
			continue;
		session_end(s, code, "%s", why_for(s, why));
		n++;
	}
	return n;
}
