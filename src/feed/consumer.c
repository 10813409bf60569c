#include "feed/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
consumers_init(struct consumers *cs, struct quorum *q)
{
	memset(cs, 0, sizeof(*cs));
	cs->quorum = q;
}

static void
drop(struct consumers *cs, struct consumer **at)
{
	struct consumer *c = *at;

	*at = c->next;
	cs->n--;
	quorum_leave(cs->quorum, &c->hold);
	free(c->name);
	free(c);
}

void
consumers_free(struct consumers *cs)
{
	while (cs->first != NULL)
		drop(cs, &cs->first);
}

static bool
is_of(const struct consumer *c, const char *owner)
{
	return owner != NULL && c->owned && strcmp(c->owner, owner) == 0;
}

/* The oldest name that nobody uses is the last one of the list. Its owner's go
 * first: who makes up names has its own forgotten. */
static bool
make_room(struct consumers *cs, const char *owner)
{
	struct consumer **at, **oldest = NULL;
	bool own = false;

	if (cs->n < CONSUMER_MAX)
		return true;
	for (at = &cs->first; *at != NULL; at = &(*at)->next) {
		if ((*at)->stream != NULL || (*at)->required ||
		    (own && !is_of(*at, owner)))
			continue;
		own = is_of(*at, owner);
		oldest = at;
	}
	if (oldest != NULL)
		drop(cs, oldest);
	return oldest != NULL;
}

struct consumer *
consumers_get(struct consumers *cs, const char *name, const char *owner)
{
	struct consumer *c;

	for (c = cs->first; c != NULL; c = c->next)
		if (strcmp(c->name, name) == 0)
			return c;
	if (!make_room(cs, owner) || (c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	if ((c->name = strdup(name)) == NULL) {
		free(c);
		return NULL;
	}
	c->next = cs->first;
	cs->first = c;
	cs->n++;
	return c;
}

void
consumer_own(struct consumer *c, const char *owner)
{
	if (owner == NULL)
		return;
	c->owned = true;
	snprintf(c->owner, sizeof(c->owner), "%s", owner);
}

static void
hold(struct consumers *cs, struct consumer *c, lsn_t position)
{
	quorum_leave(cs->quorum, &c->hold);
	quorum_join(cs->quorum, &c->hold, position);
}

int
consumers_require(struct consumers *cs, const char *name)
{
	struct consumer *c = consumers_get(cs, name, NULL);

	if (c == NULL)
		return -1;
	c->required = true;
	hold(cs, c, 0); /* nothing acknowledged yet: nothing is confirmed */
	return 0;
}

void
consumers_forget(struct consumers *cs)
{
	struct consumer *c;

	for (c = cs->first; c != NULL; c = c->next) {
		c->position = c->told = c->void_lsn = c->cut_lsn = 0;
		quorum_leave(cs->quorum, &c->hold);
		if (c->required)
			quorum_join(cs->quorum, &c->hold, 0);
	}
}

void
consumers_cut(struct consumers *cs, lsn_t lsn)
{
	struct consumer *c;

	for (c = cs->first; c != NULL; c = c->next) {
		c->position = lsn_min(c->position, lsn);
		if (c->told <= lsn)
			continue;
		if (c->stream == NULL) {
			c->void_lsn = c->told;
			c->cut_lsn = lsn;
		}
		c->told = lsn;
	}
}

void
consumers_heard(struct consumers *cs, const struct consumer *who)
{
	struct consumer *c;

	for (c = cs->first; c != NULL; c = c->next)
		if (c == who)
			c->void_lsn = c->cut_lsn = 0;
}

void
consumer_claim(struct consumers *cs, struct consumer *c, void *stream)
{
	c->stream = stream;
	if (c->required ||
	    (c->position != 0 && c->position >= cs->quorum->confirmed))
		hold(cs, c, c->position);
}

void
consumer_placed(struct consumers *cs, struct consumer *c)
{
	quorum_leave(cs->quorum, &c->hold);
}

unsigned
consumer_broke(struct consumer *c, struct ring_pos large)
{
	if (!ring_pos_le(large, c->large) || !ring_pos_le(c->large, large))
		c->breaks = 0;
	c->large = large;
	return ++c->breaks;
}

void
consumer_release(struct consumers *cs, struct consumer *c,
    const struct quorum_member *m, lsn_t told)
{
	c->stream = NULL;
	c->told = lsn_max(c->told, told);
	if (m != NULL)
		c->position = quorum_position(m);
	if (c->required)
		hold(cs, c, c->position);
	else
		quorum_leave(cs->quorum, &c->hold);
}
