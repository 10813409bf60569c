#include "server/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "event/proto.h"

/* An ack takes 11 bytes. */
#define MAX_CLIENT_MESSAGE 4096

static void
session_open(struct h2_stream *stream, void *arg)
{
	struct session_list *l = arg;
	struct session *s;

	if (l->draining) {
		h2_end(stream, GRPC_UNAVAILABLE, "walstream is shutting down");
		return;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		h2_end(stream, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	stream->user = s;
	s->stream = stream;
	s->list = l;
	s->since_at = l->now;
	s->next = l->first;
	if (s->next != NULL)
		s->next->prev = s;
	l->first = s;
	l->count++;
}

static void
session_closed(struct h2_stream *stream)
{
	struct session *s = stream->user;

	if (s == NULL)
		return;
	stream->user = NULL;
	quorum_leave(s->list->quorum, &s->member);
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		s->list->first = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->list->count--;
	log_info("session.closed", "stream closed: %" PRIu64 " events sent, "
	    "acknowledged up to " LSN_FMT ", %u left", s->sent,
	    LSN_ARG(s->member.acked), s->list->count);
	free(s);
}

static void
acknowledge(struct session *s, lsn_t lsn)
{
	struct err err;

	if (s->state == SESSION_WAITING) {
		s->early_ack = lsn_max(s->early_ack, lsn);
		return;
	}
	s->acks++;
	if (quorum_ack(&s->member, lsn, &err) == -1) {
		log_warn("session.bad_ack", "%s", err.text);
		h2_end(s->stream, GRPC_INVALID_ARGUMENT, "%s", err.text);
	}
}

static void
session_message(struct h2_stream *stream, const uint8_t *p, size_t n)
{
	struct session *s = stream->user;
	struct client_message m;
	struct err err;

	if (s == NULL)
		return;
	if (proto_get_client(p, n, &m, &err) == -1)
		h2_end(stream, GRPC_INTERNAL, "%s", err.text);
	else if (m.has_ack)
		acknowledge(s, m.ack_lsn);
}

/* Who will not acknowledge any more holds nobody up; it keeps receiving. */
static void
session_half_closed(struct h2_stream *stream)
{
	struct session *s = stream->user;

	if (s != NULL)
		s->member.votes = false;
}

/* Ending, and at the end of a message: its cursor holds nothing any more. */
static bool
over(const struct session *s)
{
	return s->stream->ending && s->offset == 0;
}

static bool
skips(const struct session *s, const struct ring_entry *e)
{
	return e->pos.commit_lsn < s->start_lsn ||
	    ring_pos_le(e->pos, s->last);
}

/* Moves the cursor to the next entry that this stream is to be sent, if it is
 * here, and returns it. */
static const struct ring_entry *
next_entry(struct session *s)
{
	const struct ring_entry *e;

	while ((e = ring_at(s->list->ring, s->cursor)) != NULL &&
	    s->offset == 0 && skips(s, e))
		s->cursor++;
	return e;
}

static size_t
session_pull(struct h2_stream *stream, uint8_t *to, size_t cap)
{
	struct session *s = stream->user;
	const struct ring_entry *e;
	size_t n = 0, take;

	while (s != NULL && n < cap && !over(s) &&
	    (e = next_entry(s)) != NULL) {
		take = e->len - s->offset < cap - n ? e->len - s->offset
						    : cap - n;
		memcpy(to + n, e->data + s->offset, take);
		n += take;
		s->offset += take;
		if (s->offset == e->len) {
			s->offset = 0;
			s->cursor++;
			s->last = e->pos;
			s->sent++;
			quorum_sent(&s->member, e->pg_lsn);
		}
	}
	stream->mid_message = s != NULL && s->offset > 0;
	return n;
}

const struct h2_handler session_handler = {
	.max_message = MAX_CLIENT_MESSAGE,
	.open = session_open,
	.message = session_message,
	.half_closed = session_half_closed,
	.pull = session_pull,
	.closed = session_closed,
};

static void
place(struct session *s, lsn_t start_lsn, uint64_t cursor)
{
	bool votes = !s->stream->half_closed;

	s->state = SESSION_LIVE;
	s->start_lsn = start_lsn;
	s->cursor = cursor;
	quorum_join(s->list->quorum, &s->member, start_lsn);
	s->member.votes = votes;
	h2_respond(s->stream);
	log_info("session.opened", "stream opened at " LSN_FMT ", %u attached",
	    LSN_ARG(start_lsn), s->list->count);
	if (s->early_ack != 0)
		acknowledge(s, s->early_ack);
}

bool
sessions_place(struct session_list *l)
{
	struct session *s;
	bool rewind = false;
	uint64_t cursor;

	for (s = l->first; s != NULL; s = s->next) {
		if (s->state != SESSION_WAITING || s->stream->ending)
			continue;
		if (l->temporary)
			place(s, publish_now(l->publish), l->ring->next);
		else if (ring_holds(l->ring, l->quorum->confirmed, &cursor))
			place(s, l->quorum->confirmed, cursor);
		else
			rewind = true;
	}
	return rewind;
}

void
sessions_update(struct session_list *l)
{
	struct session *s;

	for (s = l->first; s != NULL; s = s->next) {
		if (s->state != SESSION_LIVE)
			continue;
		if (s->stream->ending)
			quorum_leave(l->quorum, &s->member);
		else if (next_entry(s) != NULL)
			h2_wake(s->stream);
		else
			quorum_served(&s->member, l->publish->complete_lsn);
	}
}

uint64_t
sessions_low(const struct session_list *l)
{
	uint64_t low = l->ring->next;
	const struct session *s;

	for (s = l->first; s != NULL; s = s->next)
		if (s->state == SESSION_LIVE && !over(s) && s->cursor < low)
			low = s->cursor;
	return low;
}

void
sessions_end(struct session_list *l, bool waiting_too, enum grpc_code code,
    const char *why)
{
	struct session *s;

	for (s = l->first; s != NULL; s = s->next)
		if (waiting_too || s->state == SESSION_LIVE)
			h2_end(s->stream, code, "%s", why);
}

void
sessions_end_waiting(struct session_list *l, int64_t before,
    enum grpc_code code, const char *why)
{
	struct session *s;

	for (s = l->first; s != NULL; s = s->next)
		if (s->state == SESSION_WAITING && s->since_at < before)
			h2_end(s->stream, code, "%s", why);
}
