#include "server/dump.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/feeder.h"
#include "server/standing.h"

static void
dump_server(const struct view *v)
{
	const struct session_list *l = v->sessions;
	const struct walreceiver *wr = l->wr;

	log_info("server.state",
	    "%u streams, %zu connections, %s; longest turn %" PRIu64 " ms",
	    l->count, *v->connections,
	    l->draining          ? "shutting down"
		: pages_ready(v) ? "ready"
				 : "not ready",
	    l->metrics->longest_us / 1000);
	log_info("server.state",
	    "PostgreSQL: %s%s%s%s%s, %" PRIu64 " failures, %" PRIu64 " rewinds",
	    walreceiver_state_name(wr), *wr->server == '\0' ? "" : ", last ",
	    wr->server, wr->last.kind != ERR_NONE ? ": " : "",
	    wr->last.kind != ERR_NONE ? wr->last.text : "", wr->failures,
	    wr->rewinds);
}

static void
dump_positions(const struct session_list *l)
{
	const struct walreceiver *wr = l->wr;
	lsn_t server = standing_server_lsn(l);

	log_info("server.state",
	    "%s slot \"%s\": confirmed " LSN_FMT ", reported " LSN_FMT
	    ", received " LSN_FMT ", server " LSN_FMT ", %" PRIu64
	    " bytes of WAL held",
	    wr->config->temporary ? "temporary" : "permanent", wr->config->slot,
	    LSN_ARG(l->quorum->confirmed), LSN_ARG(wr->reported),
	    LSN_ARG(wr->received), LSN_ARG(server),
	    standing_distance(l->quorum->confirmed, server));
	log_info("server.state",
	    "buffer: %zu of %zu bytes, %zu not sent to the slowest%s; %" PRIu64
	    " events of %" PRIu64 " transactions",
	    ring_behind(l->ring, l->ring->first), l->ring->size,
	    ring_behind(l->ring, sessions_low(l)),
	    l->ring->paused ? ", full" : "", wr->publish->events,
	    wr->publish->transactions);
}

static void
dump_stream(const struct session *s)
{
	const struct session_list *l = s->list;
	bool placed = session_in_place(s);
	struct standing at;

	standing_of_stream(s, &at);
	log_info("session.state",
	    "%s %s%s%s of %s, %s for %" PRId64 " s: at " LSN_FMT
	    ", sent " LSN_FMT ", acknowledged " LSN_FMT ", %" PRIu64
	    " bytes of WAL held, %zu bytes to send, %" PRIu64
	    " events sent, %" PRIu64 " acks",
	    s->subscribe ? "Subscribe" : "Session",
	    s->consumer == NULL ? "without a name" : "\"",
	    s->consumer == NULL ? "" : s->consumer->name,
	    s->consumer == NULL ? "" : "\"", h2_peer(s->stream),
	    standing_state_name(s->state), (l->now - s->since_at) / SECONDS(1),
	    LSN_ARG(placed ? quorum_position(&s->member) : 0),
	    LSN_ARG(at.sent_lsn), LSN_ARG(at.acked_lsn), at.held,
	    placed ? ring_behind(l->ring, feeder_low(s)) : 0, s->sent, s->acks);
}

void
dump(const struct view *v)
{
	static int64_t next_at;
	const struct session_list *l = v->sessions;
	const struct session *s;
	unsigned n = 0;

	if (l->now < next_at)
		return;
	next_at = l->now + SECONDS(1);
	dump_server(v);
	dump_positions(l);
	for (s = l->first; s != NULL && n < DUMP_STREAMS; s = s->next, n++)
		dump_stream(s);
	if (l->count > n)
		log_info("session.state", "and %u more streams", l->count - n);
}
