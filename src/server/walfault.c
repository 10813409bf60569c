#include "server/walfault.h"

#include <string.h>

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
