#include "server/standing.h"

#include <string.h>

#include "base/utf8.h"

const char *
standing_state_name(enum session_state state)
{
	static const char *const names[] = { [SESSION_STARTING] = "starting",
		[SESSION_WAITING] = "waiting",
		[SESSION_LIVE] = "live",
		[SESSION_LAST] = "last",
		[SESSION_GONE] = "gone" };

	return names[state];
}

lsn_t
standing_server_lsn(const struct session_list *l)
{
	lsn_t told = lsn_max(l->wr->server_lsn, l->wr->received);

	return lsn_max(lsn_max(l->server_lsn, told),
	    l->wr->publish->complete_lsn);
}

uint64_t
standing_distance(lsn_t low, lsn_t high)
{
	return low == 0 || low >= high ? 0 : high - low;
}

/* What is kept for a voter at this position. Before the first one comes, or
 * after a restart, that is what is confirmed. */
static uint64_t
held_for(const struct session_list *l, lsn_t position)
{
	return standing_distance(lsn_max(position, l->quorum->confirmed),
	    standing_server_lsn(l));
}

void
standing_of_stream(const struct session *s, struct standing *to)
{
	memset(to, 0, sizeof(*to));
	to->streams = s->state != SESSION_GONE;
	if (!session_in_place(s))
		return;
	to->sent_lsn = s->member.sent;
	to->acked_lsn = s->member.acked;
	if (s->member.votes)
		to->held = held_for(s->list, quorum_position(&s->member));
}

void
standing_of(const struct session_list *l, const struct consumer *c,
    struct standing *to)
{
	const struct session *s = c->stream;

	if (s != NULL && session_in_place(s)) {
		standing_of_stream(s, to);
		return;
	}
	*to = (struct standing){ s != NULL, c->told, c->position, 0 };
	if (c->required)
		to->held = held_for(l, c->position);
}

bool
standing_is_named(const struct consumer *c)
{
	return c != NULL && utf8_valid(c->name, strlen(c->name));
}

void
standing_of_unnamed(const struct session_list *l, struct standing *to)
{
	const struct session *s;
	struct standing one;
	bool any = false;

	memset(to, 0, sizeof(*to));
	for (s = l->first; s != NULL; s = s->next) {
		if (standing_is_named(s->consumer))
			continue;
		standing_of_stream(s, &one);
		to->streams += one.streams;
		if (!session_in_place(s) || !s->member.votes)
			continue;
		if (!any || one.held > to->held)
			to->held = one.held;
		if (!any || one.sent_lsn < to->sent_lsn)
			to->sent_lsn = one.sent_lsn;
		if (!any || one.acked_lsn < to->acked_lsn)
			to->acked_lsn = one.acked_lsn;
		any = true;
	}
}
