#include "server/status_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "event/json_out.h"
#include "server/standing.h"

/* A stream that has something to take, and takes nothing for so long. */
#define STALLED_AFTER SECONDS(5)
/* Holders of WAL that are named beside the slot; rows say it of all. */
#define HOLDERS 10

/* What the parts have in common. */
struct survey {
	const struct session_list *l;
	const struct publish *p;
	size_t connections;
	int64_t wall_us; /* now */
	lsn_t head;      /* the highest position the server has told */
	lsn_t low;       /* the lowest position that counts; 0: nobody's does */
};

static lsn_t
lowest(const struct quorum *q)
{
	const struct quorum_member *m;
	lsn_t low = 0;

	for (m = q->members; m != NULL; m = m->next)
		if (m->votes && (low == 0 || quorum_position(m) < low))
			low = lsn_max(quorum_position(m), q->confirmed);
	return low;
}

/* Is it one of those for whom WAL is kept that was received already? */
static bool
holds(const struct survey *v, const struct session *s)
{
	lsn_t position = quorum_position(&s->member);

	return session_in_place(s) && s->member.votes && position <= v->low &&
	    position < v->p->complete_lsn;
}

/* A required consumer that is away: its place does not move by itself. */
static bool
is_absent(const struct consumer *c)
{
	return c->required && c->stream == NULL;
}

static bool
absent_holds(const struct survey *v, const struct consumer *c)
{
	lsn_t position = quorum_position(&c->hold);

	return is_absent(c) && position <= v->low && position < v->head;
}

/* How late is who stands there? What was not received may be older still, so
 * that it is not late is known only while everything comes. */
static void
put_behind(struct buf *to, const struct survey *v, lsn_t lsn)
{
	int64_t age = lag_age(&v->p->lag, lsn, v->wall_us);

	if (age == 0 && !walreceiver_streaming(v->l->wr))
		age = -1;
	if (lsn == 0)
		json_null(to, "behind_bytes");
	else
		json_u64(to, "behind_bytes", standing_distance(lsn, v->head));
	json_seconds(to, "behind_seconds", age);
}

static const char *
name_of(const struct session *s)
{
	return s->consumer != NULL ? s->consumer->name : NULL;
}

static void
put_walstream(struct buf *to, const struct survey *v)
{
	const struct session_list *l = v->l;

	json_open(to, "walstream", '{');
	json_text(to, "version", VERSION);
	json_text(to, "state",
	    l->draining                   ? "stopping"
		: !l->wr->was_ready       ? "starting"
		: walreceiver_able(l->wr) ? "serving"
					  : "not serving");
	json_seconds(to, "time", v->wall_us);
	json_seconds(to, "uptime_seconds", l->now - l->metrics->started_at);
	json_close(to, '}');
}

static void
put_version(struct buf *to, int version)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d", version / 10000, version % 10000);
	json_text(to, "version", version > 0 ? text : NULL);
}

static const char *
role_of(const struct walreceiver *wr)
{
	if (wr->version == 0)
		return NULL;
	return wr->was_standby ? "standby" : "primary";
}

static void
put_server(struct buf *to, const struct survey *v)
{
	const struct walreceiver *wr = v->l->wr;
	const struct conninfo *ci = wr->config->conninfo;
	bool able = walreceiver_able(wr), failed = wr->failures > 0;

	json_open(to, "server", '{');
	json_text(to, "state", walreceiver_state_name(wr));
	json_seconds(to, "state_seconds", v->l->now - wr->state_at);
	json_bool(to, "connected", wr->pg.state == PGCONN_READY);
	json_text(to, "address", *wr->server == '\0' ? NULL : wr->server);
	json_text(to, "database", ci->text[CI_DBNAME]);
	json_text(to, "user", ci->text[CI_USER]);
	put_version(to, wr->version);
	json_text(to, "role", role_of(wr));
	json_text(to, "system_identifier",
	    *wr->system_identifier == '\0' ? NULL : wr->system_identifier);
	json_u64(to, "timeline",
	    wr->timeline != 0 ? wr->timeline : wr->server_timeline);
	json_lsn(to, "lsn", v->head);
	json_text(to, "problem", able ? NULL : wr->last.text);
	json_seconds(to, "retry_seconds",
	    wr->state != WR_OFFLINE        ? -1
		: wr->retry_at > v->l->now ? wr->retry_at - v->l->now
					   : 0);
	json_u64(to, "failures", wr->failures);
	json_text(to, "last_failure", failed ? wr->failed.text : NULL);
	json_seconds(to, "last_failure_seconds",
	    failed ? v->l->now - wr->failed_at : -1);
	json_close(to, '}');
}

/* Who is to blame, at most HOLDERS of them, and how many there are. */
static void
put_holders(struct buf *to, const struct survey *v)
{
	const struct consumer *c;
	const struct session *s;
	unsigned n = 0;

	json_open(to, "held_by", '[');
	for (c = v->l->consumers->first; c != NULL; c = c->next)
		if (absent_holds(v, c) && n++ < HOLDERS)
			json_text(to, NULL, c->name);
	for (s = v->l->first; s != NULL; s = s->next)
		if (holds(v, s) && n++ < HOLDERS)
			json_text(to, NULL,
			    s->consumer != NULL ? name_of(s)
						: h2_peer(s->stream));
	json_close(to, ']');
	json_u64(to, "holders", n);
}

static void
put_slot(struct buf *to, const struct survey *v)
{
	const struct walreceiver *wr = v->l->wr;
	const struct walreceiver_config *config = wr->config;
	lsn_t confirmed = v->l->quorum->confirmed;

	json_open(to, "slot", '{');
	json_text(to, "name", config->slot);
	json_bool(to, "temporary", config->temporary);
	json_open(to, "publications", '[');
	for (size_t i = 0; i < config->publications; i++)
		json_text(to, NULL, config->publication[i]);
	json_close(to, ']');
	json_lsn(to, "received_lsn", v->p->complete_lsn);
	json_lsn(to, "confirmed_lsn", confirmed);
	json_lsn(to, "reported_lsn", wr->reported);
	put_behind(to, v, confirmed);
	put_holders(to, v);
	json_close(to, '}');
}

static void
put_totals(struct buf *to, const struct survey *v)
{
	json_open(to, "received", '{');
	json_u64(to, "events", v->p->events);
	json_u64(to, "transactions", v->p->transactions);
	json_u64(to, "bytes", v->p->bytes);
	json_close(to, '}');
	json_open(to, "sent", '{');
	json_u64(to, "events", v->l->metrics->sent_events);
	json_u64(to, "bytes", v->l->metrics->sent_bytes);
	json_close(to, '}');
}

static void
put_buffer(struct buf *to, const struct survey *v)
{
	const struct ring *r = v->l->ring;

	json_open(to, "buffer", '{');
	json_u64(to, "size_bytes", r->size);
	/* What the slowest stream has not been sent; the rest may go. */
	json_u64(to, "unsent_bytes", ring_behind(r, r->low));
	json_u64(to, "kept_bytes", ring_behind(r, r->first));
	json_bool(to, "full", r->paused);
	json_seconds(to, "full_seconds",
	    v->l->paused_at == 0 ? -1 : v->l->now - v->l->paused_at);
	json_close(to, '}');
}

static void
put_clients(struct buf *to, const struct survey *v)
{
	static const char *const names[] = {
#define X(reason, name) [reason] = name,
		REFUSALS(X)
#undef X
	};
	const struct metrics *m = v->l->metrics;

	json_open(to, "clients", '{');
	json_u64(to, "connections", v->connections);
	json_u64(to, "accepted", m->accepted);
	json_u64(to, "tls_handshakes", m->handshakes);
	json_open(to, "refused", '{');
	for (size_t i = 0; i < REFUSED_REASONS; i++)
		json_u64(to, names[i], m->refused[i]);
	json_close(to, '}');
	json_close(to, '}');
}

/* In place: what is it doing? */
static const char *
activity(const struct session *s)
{
	const struct session_list *l = s->list;
	bool more = s->in_event || buf_unread(&s->out) > 0 ||
	    s->walk.cursor < l->ring->next;

	if (more && l->now - s->taken_at >= STALLED_AFTER)
		return "stalled";
	if (more)
		return "sending";
	if (s->member.votes && !quorum_idle(&s->member))
		return "unacknowledged";
	return "current";
}

static const char *
state_of(const struct session *s)
{
	switch (s->state) {
	case SESSION_STARTING:
		return "starting";
	case SESSION_WAITING:
		return "waiting";
	case SESSION_LIVE:
		return activity(s);
	case SESSION_LAST:
		return "ending";
	case SESSION_GONE:
		break;
	}
	return "closed";
}

static void
put_place(struct buf *to, const struct survey *v, const struct session *s)
{
	const struct quorum_member *m = &s->member;
	lsn_t position = quorum_position(m);

	json_lsn(to, "position_lsn", position);
	json_lsn(to, "acked_lsn", m->acked);
	json_lsn(to, "sent_lsn", m->sent);
	put_behind(to, v, position);
	json_bool(to, "holds", holds(v, s));
}

static void
put_stream(struct buf *to, const struct survey *v, const struct session *s)
{
	bool placed = session_in_place(s);

	json_open(to, NULL, '{');
	json_u64(to, "id", s->number);
	json_text(to, "consumer", name_of(s));
	json_text(to, "peer", h2_peer(s->stream));
	json_text(to, "method", s->subscribe ? "Subscribe" : "Session");
	json_text(to, "state", state_of(s));
	json_bool(to, "observer", placed && !s->member.votes);
	json_u64(to, "events", s->sent);
	json_u64(to, "acks", s->acks);
	json_seconds(to, "open_seconds", v->l->now - s->since_at);
	if (placed)
		put_place(to, v, s);
	json_close(to, '}');
}

/* A required consumer that is not there is waited for like one that is. */
static void
put_absent(struct buf *to, const struct survey *v)
{
	const struct consumer *c;
	lsn_t position;

	json_open(to, "absent", '[');
	for (c = v->l->consumers->first; c != NULL; c = c->next) {
		if (!is_absent(c))
			continue;
		position = lsn_max(c->position, v->l->quorum->confirmed);
		json_open(to, NULL, '{');
		json_text(to, "consumer", c->name);
		json_lsn(to, "position_lsn", position);
		put_behind(to, v, position);
		json_bool(to, "holds", absent_holds(v, c));
		json_close(to, '}');
	}
	json_close(to, ']');
}

/* Lowest first; those without a place, which hold nothing, last. */
static int
by_position(const void *a, const void *b)
{
	const struct session *const *s = a, *const *t = b;
	bool s_placed = session_in_place(*s), t_placed = session_in_place(*t);
	lsn_t s_lsn, t_lsn;

	if (s_placed != t_placed)
		return s_placed ? -1 : 1;
	s_lsn = s_placed ? quorum_position(&(*s)->member) : 0;
	t_lsn = t_placed ? quorum_position(&(*t)->member) : 0;
	if (s_lsn != t_lsn)
		return s_lsn < t_lsn ? -1 : 1;
	return (*s)->number < (*t)->number ? -1 : (*s)->number > (*t)->number;
}

static void
put_streams(struct buf *to, const struct survey *v)
{
	const struct session **list = malloc((v->l->count + 1) * sizeof(*list));
	const struct session *s;
	size_t n = 0, listed;

	if (list == NULL) {
		to->failed = true;
		return;
	}
	for (s = v->l->first; s != NULL; s = s->next)
		list[n++] = s;
	qsort(list, n, sizeof(*list), by_position);
	json_open(to, "streams", '[');
	for (listed = 0; listed < n && listed < STATUS_STREAMS &&
	     buf_unread(to) < STATUS_BYTES;
	     listed++)
		put_stream(to, v, list[listed]);
	json_close(to, ']');
	json_u64(to, "streams_open", n);
	json_u64(to, "streams_left_out", n - listed);
	free(list);
}

void
status_json(struct buf *to, const struct session_list *l, size_t connections,
    int64_t wall_us)
{
	const struct publish *p = l->wr->publish;
	struct survey v = { .l = l,
		.p = p,
		.connections = connections,
		.wall_us = wall_us,
		.head = standing_server_lsn(l),
		.low = lowest(l->quorum) };

	json_open(to, NULL, '{');
	put_walstream(to, &v);
	put_server(to, &v);
	put_slot(to, &v);
	put_totals(to, &v);
	put_buffer(to, &v);
	put_clients(to, &v);
	put_absent(to, &v);
	put_streams(to, &v);
	json_close(to, '}');
	buf_put_u8(to, '\n');
}
