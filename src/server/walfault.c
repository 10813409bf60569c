#include "server/walfault.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define BACKOFF_MIN MS(100)
#define BACKOFF_MAX SECONDS(10)
/* A slot that is in use is asked for this often. */
#define BUSY_MAX SECONDS(1)

/* The server is starting or stopping, has no free connection, is a standby, or
 * the slot is in use. */
bool
walfault_passes(const struct walreceiver *wr, const struct err *err)
{
	static const char *const states[] = { "57P01", "57P02", "57P03",
		"53300", "55006" };

	if (wr->refused)
		return true;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(err->sqlstate, states[i]) == 0)
			return true;
	return false;
}

static bool
in_class(const struct err *err, const char *two)
{
	return strncmp(err->sqlstate, two, 2) == 0;
}

/* What the server's refusal to stream means: of the slot, or later of the
 * publication or of a row. */
void
walfault_classify(const struct walreceiver *wr, struct err *err)
{
	if (err->kind != ERR_SERVER)
		return;
	/* 0A, 42: of publications; 22, 54: a row that it cannot send. */
	if (wr->state == WR_STREAMING &&
	    (in_class(err, "0A") || in_class(err, "42")))
		err->kind = ERR_CONFIG;
	if (wr->state == WR_STREAMING &&
	    (in_class(err, "22") || in_class(err, "54")))
		err->kind = ERR_DATA;
	/* On a standby it may be the slot's present state only: the next look
	 * at it tells. */
	if (wr->state != WR_START || wr->pg.standby)
		return;
	if (strcmp(err->sqlstate, "42704") == 0 ||
	    strcmp(err->sqlstate, "55000") == 0)
		err->kind = ERR_LOST;
}

bool
walfault_lasts(const struct err *err)
{
	return err->kind == ERR_LOST || err->kind == ERR_CONFIG ||
	    err->kind == ERR_DATA || err->kind == ERR_LIMIT;
}

/* Without its file a history is not known, which matters only where the server
 * has left our timeline. */
bool
walfault_is_none(const struct walreceiver *wr, const struct err *err)
{
	return wr->state == WR_HISTORY && err->kind == ERR_SERVER &&
	    in_class(err, "58") &&
	    (wr->timeline == 0 || wr->timeline == wr->server_timeline);
}

/* Up to a fifth more or less, so that many do not come back at once. */
static int64_t
jitter(int64_t us)
{
	uint16_t r = 0;

	if (RAND_bytes((unsigned char *)&r, sizeof(r)) != 1)
		return us;
	return us - us / 5 + us * 2 / 5 * r / UINT16_MAX;
}

/* Was the last COPY worth beginning? If not, the next one waits for longer. */
static bool
made_progress(const struct walreceiver *wr, int64_t now)
{
	return wr->state == WR_STREAMING &&
	    (wr->publish->events > wr->events ||
		now - wr->state_at >= BACKOFF_MAX);
}

int64_t
walfault_wait(struct walreceiver *wr, const struct err *err, int64_t now)
{
	int64_t us = wr->backoff_us;

	if (us == 0 || (made_progress(wr, now) && !walfault_lasts(err)))
		us = BACKOFF_MIN;
	if (wr->busy)
		us = clock_earlier(us, BUSY_MAX);
	wr->backoff_us = clock_earlier(us * 2, BACKOFF_MAX);
	return jitter(us);
}

void
walfault_note(struct walreceiver *wr, const struct err *err, int64_t wait,
    int64_t now)
{
	wr->failures++;
	wr->failed = *err;
	wr->failed_at = now;
	if (wr->busy && wr->was_ready) /* for as long as a client waits */
		log_limited(LOG_WARN, "pg.lost",
		    "%s: %s; trying again in %d ms", walreceiver_state_name(wr),
		    err->text, (int)(wait / 1000));
	else
		log_warn(wr->was_ready ? "pg.lost" : "pg.wait",
		    "%s: %s; trying again in %d ms", walreceiver_state_name(wr),
		    err->text, (int)(wait / 1000));
	if (wr->was_ready && wr->config->temporary)
		err_set(&wr->broken, ERR_LOST,
		    "the temporary slot \"%s\" went "
		    "away with its connection: changes may be missing (%s)",
		    wr->config->slot, err->text);
	else if (walfault_lasts(err))
		wr->broken = *err;
	if (wr->broken.kind != ERR_NONE) {
		wr->rewind = true; /* what is in the ring is past */
		/* Who comes later may still get what is before a bad row. */
		wr->for_all = !wr->config->temporary &&
		    wr->broken.kind != ERR_DATA && wr->broken.kind != ERR_LIMIT;
	}
}
