#include "server/lifetime.h"

#include <stddef.h>

#include "base/clock.h"

#define OWED_TIME SECONDS(10)
/* How long the answer to a notice may take. */
#define NOTICE_TIME SECONDS(5)
/* How long streams that were told to end may take. */
#define END_TIME SECONDS(5)
#define LOOK_INTERVAL SECONDS(1)

void
lifetime_init(struct lifetime *l, const struct lifetime_rules *rules,
    int64_t now, int more)
{
	*l = (struct lifetime){ .rules = rules,
		.state = LIFE_OPENING,
		.owed_at = now + OWED_TIME,
		.until_at = INT64_MAX,
		.age_at = INT64_MAX,
		.look_at = INT64_MAX };
	l->heard_at = l->alive_at = l->idle_at = now;
	if (rules->age_us > 0)
		l->age_at = now + rules->age_us + rules->age_us / 1000 * more;
}

void
lifetime_heard(struct lifetime *l, int64_t now)
{
	l->heard_at = l->alive_at = now;
	l->pinged_at = 0;
	l->look_at = INT64_MAX;
}

void
lifetime_progress(struct lifetime *l, int64_t now)
{
	l->alive_at = now;
}

void
lifetime_leave(struct lifetime *l, const char *why)
{
	if (l->leave == NULL)
		l->leave = why;
}

/* When a client that was pinged is given up. */
static int64_t
dead_at(const struct lifetime *l)
{
	int64_t owed = l->alive_at + l->rules->keepalive_us;

	/* We may have been asleep ourselves when the PING was due. */
	if (owed < l->pinged_at)
		owed = l->pinged_at;
	return owed + l->rules->keepalive_timeout_us;
}

static enum life_action
keepalive(struct lifetime *l, int64_t now)
{
	if (l->rules->keepalive_us == 0)
		return LIFE_NOTHING;
	if (l->pinged_at != 0) {
		l->look_at = now + LOOK_INTERVAL;
		return now >= dead_at(l) ? LIFE_DEAD : LIFE_NOTHING;
	}
	if (now < l->heard_at + l->rules->keepalive_us)
		return LIFE_NOTHING;
	l->pinged_at = now;
	l->look_at = now + LOOK_INTERVAL;
	return LIFE_PING;
}

static enum life_action
opening(struct lifetime *l, const struct life_facts *f, int64_t now)
{
	if (f->greeted && !l->greeted) {
		l->greeted = true;
		l->owed_at = now + OWED_TIME;
	}
	if (f->settled)
		l->state = LIFE_OPEN;
	else if (l->leave != NULL && !f->greeted)
		return LIFE_CLOSE; /* nobody who would understand */
	else if (l->leave != NULL)
		l->state = LIFE_OPEN;
	else if (now >= l->owed_at)
		return f->greeted ? LIFE_NO_SETTINGS : LIFE_NO_PREFACE;
	return LIFE_NOTHING;
}

/* Is there a reason to end it? */
static enum life_action
open_step(struct lifetime *l, const struct life_facts *f, int64_t now)
{
	int64_t idle_us = l->rules->idle_us;

	if (now >= l->age_at) {
		l->aged = l->leave == NULL;
		lifetime_leave(l, "max_age");
	}
	if (idle_us != 0 && l->idle_at != 0 && now >= l->idle_at + idle_us)
		lifetime_leave(l, "max_idle");
	if (f->spent)
		lifetime_leave(l, "stream_ids_exhausted");
	if (l->leave == NULL)
		return keepalive(l, now);
	l->state = LIFE_NOTICED;
	l->until_at = now + NOTICE_TIME;
	return LIFE_NOTICE;
}

enum life_action
lifetime_step(struct lifetime *l, const struct life_facts *f, int64_t now)
{
	enum life_action action;

	if (f->streams)
		l->idle_at = 0;
	else if (l->idle_at == 0)
		l->idle_at = now;
	if (l->state == LIFE_OPENING) {
		action = opening(l, f, now);
		if (l->state == LIFE_OPENING)
			return action;
	}
	if (l->state == LIFE_OPEN)
		return open_step(l, f, now);
	if (l->state == LIFE_NOTICED && (f->noticed || now >= l->until_at)) {
		l->state = LIFE_LEAVING;
		l->until_at =
		    l->aged ? now + l->rules->age_grace_us : INT64_MAX;
		return LIFE_GOAWAY;
	}
	if (l->state == LIFE_LEAVING && now >= l->until_at) {
		l->state = LIFE_ENDED;
		l->until_at = now + END_TIME;
		return LIFE_END_ALL;
	}
	if (l->state == LIFE_ENDED && now >= l->until_at)
		return LIFE_CLOSE;
	return keepalive(l, now);
}

int64_t
lifetime_deadline(const struct lifetime *l)
{
	const struct lifetime_rules *r = l->rules;
	int64_t at = INT64_MAX;

	if (l->state == LIFE_OPENING)
		return l->owed_at;
	if (l->state != LIFE_OPEN)
		at = l->until_at;
	else if (r->idle_us != 0 && l->idle_at != 0)
		at = clock_earlier(l->age_at, l->idle_at + r->idle_us);
	else
		at = l->age_at;
	if (r->keepalive_us == 0)
		return at;
	if (l->pinged_at == 0)
		return clock_earlier(at, l->heard_at + r->keepalive_us);
	return clock_earlier(at, clock_earlier(dead_at(l), l->look_at));
}
