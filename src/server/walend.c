#include "server/walend.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define INTERVAL SECONDS(10)
#define RETRY SECONDS(60)
/* To who reads types: it may take for ever. */
#define GIVE_WAY SECONDS(60)
#define ANSWER_TIMEOUT SECONDS(60)
#define READ_SIZE ((size_t)4096)

/* A standby decodes what it has replayed. */
static const char question[] =
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() "
    "THEN pg_catalog.pg_last_wal_replay_lsn() "
    "ELSE pg_catalog.pg_current_wal_flush_lsn() END";

void
walend_init(struct walend *w, struct conninfo *ci, const struct pgconn *server,
    const struct typecat *types)
{
	memset(w, 0, sizeof(*w));
	pgconn_init(&w->pg);
	w->ci = ci;
	w->server = server;
	w->types = types;
}

void
walend_free(struct walend *w)
{
	pgconn_close(&w->pg);
}

int
walend_fd(const struct walend *w)
{
	return pgconn_fd(&w->pg);
}

short
walend_want(const struct walend *w)
{
	return pgconn_want(&w->pg);
}

int64_t
walend_deadline(const struct walend *w)
{
	if (w->pg.state != PGCONN_CLOSED && w->pg.state != PGCONN_READY)
		return pgconn_deadline(&w->pg);
	if (!w->wanted)
		return INT64_MAX;
	if (w->giving_way_at != 0 && w->due_at < w->giving_way_at + GIVE_WAY)
		return w->giving_way_at + GIVE_WAY;
	return w->due_at;
}

static int
take_row(struct walend *w, const struct wire_msg *msg, struct err *err)
{
	struct wire_row row;
	char text[32];
	lsn_t lsn;

	if (wire_row(msg, &row, err) == -1)
		return -1;
	wire_row_text(&row, 0, text, sizeof(text));
	if (lsn_parse(text, &lsn) == 0)
		w->lsn = lsn;
	return 0;
}

/* The next try is not before then, wanted or not meanwhile: a server that is
 * connected to anew over and over, as for rewinds, is not asked more often for
 * that. */
static void
rest(struct walend *w, int64_t at)
{
	pgconn_close(&w->pg);
	w->asked = false;
	w->due_at = at;
}

static int
take_answer(struct walend *w, int64_t now, struct err *err)
{
	struct wire_msg msg;
	int got;

	while ((got = pgconn_next(&w->pg, &msg, err)) == 1) {
		if (msg.type == PQ_DATA_ROW && take_row(w, &msg, err) == -1)
			return -1;
		if (msg.type != PQ_READY)
			continue;
		/* An idle backend would hold a smart shutdown up. */
		rest(w, now + INTERVAL);
		return 0;
	}
	return got;
}

/* READY: asks when it is time, and takes what has come. */
static int
converse(struct walend *w, short revents, int64_t now, struct err *err)
{
	if (w->asked && now >= w->due_at)
		return err_set(err, ERR_IO, "the server does not answer");
	if (!w->asked && now >= w->due_at) {
		pgconn_query(&w->pg, question);
		w->asked = true;
		w->due_at = now + ANSWER_TIMEOUT;
	}
	if (pgconn_flush(&w->pg, err) == -1)
		return -1;
	if (conn_readable(&w->pg.conn, revents) &&
	    pgconn_fill(&w->pg, READ_SIZE, err) == -1)
		return -1;
	return take_answer(w, now, err);
}

static int
step(struct walend *w, short revents, int64_t now, struct err *err)
{
	if (w->pg.state == PGCONN_CLOSED && now < w->due_at)
		return 0;
	if (w->pg.state == PGCONN_CLOSED)
		return pgconn_open(&w->pg, w->ci, false, w->server, now, err);
	if (w->pg.state != PGCONN_READY)
		return pgconn_step(&w->pg, revents, now, err);
	return converse(w, revents, now, err);
}

void
walend_step(struct walend *w, bool wanted, short revents, int64_t now)
{
	struct err err;

	if (!wanted)
		w->lsn = 0;
	if (!typecat_needs(w->types))
		w->giving_way_at = 0;
	else if (w->giving_way_at == 0)
		w->giving_way_at = now;
	w->wanted = wanted;
	if (!wanted ||
	    (w->giving_way_at != 0 && now < w->giving_way_at + GIVE_WAY)) {
		if (w->pg.state != PGCONN_CLOSED)
			rest(w, now + INTERVAL);
		return;
	}
	if (step(w, revents, now, &err) == -1) {
		log_debug("walend.retry",
		    "asking for the WAL position: %s; trying again in 60 s",
		    err.text);
		rest(w, now + RETRY);
		w->lsn = 0;
	}
}
