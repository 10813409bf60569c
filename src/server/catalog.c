#include "server/catalog.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define ANSWER_TIMEOUT SECONDS(60)
#define RETRY SECONDS(1)
/* How often to look whether a transaction can be seen, and to complain. */
#define LOOK_AGAIN MS(50)
#define COMPLAIN SECONDS(10)
#define READ_SIZE ((size_t)64 * 1024)
#define SQL_MAX ((size_t)256 * 1024)

void
catalog_init(struct catalog *c, struct conninfo *ci,
    const struct pgconn *server, struct typecat *types)
{
	memset(c, 0, sizeof(*c));
	pgconn_init(&c->pg);
	c->ci = ci;
	c->server = server;
	c->types = types;
}

void
catalog_free(struct catalog *c)
{
	pgconn_close(&c->pg);
}

int
catalog_fd(const struct catalog *c)
{
	return pgconn_fd(&c->pg);
}

short
catalog_want(const struct catalog *c)
{
	return pgconn_want(&c->pg);
}

int64_t
catalog_deadline(const struct catalog *c, int64_t now)
{
	if (c->pg.state != PGCONN_CLOSED && c->pg.state != PGCONN_READY)
		return pgconn_deadline(&c->pg);
	if (!typecat_needs(c->types))
		return c->pg.state == PGCONN_CLOSED ? INT64_MAX : now;
	return c->due_at;
}

static void
ask(struct catalog *c, int64_t now)
{
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	typecat_ask(c->types, &sql);
	pgconn_query(&c->pg, buf_cstr(&sql));
	c->pg.conn.out.failed |= sql.failed;
	buf_free(&sql);
	c->asked = true;
	c->due_at = now + ANSWER_TIMEOUT;
}

enum { FAILED = -1, WAITING, DONE, TOO_EARLY };

static int
finish(struct catalog *c, struct err *err)
{
	switch (typecat_done(c->types, err)) {
	case 0:
		return DONE;
	case 1:
		return TOO_EARLY;
	default:
		return FAILED;
	}
}

static int
take_answer(struct catalog *c, struct err *err)
{
	struct wire_msg msg;
	struct wire_row row;
	int got;

	while ((got = pgconn_next(&c->pg, &msg, err)) == 1) {
		if (msg.type == PQ_READY)
			return finish(c, err);
		if (msg.type != PQ_DATA_ROW)
			continue;
		if (wire_row(&msg, &row, err) == -1 ||
		    typecat_row(c->types, &row, err) == -1)
			return FAILED;
	}
	return got; /* WAITING or FAILED */
}

/* What it waits for, or what became of it: one of the above. */
static int
step(struct catalog *c, short revents, int64_t now, struct err *err)
{
	if (c->pg.state == PGCONN_CLOSED)
		return pgconn_open(&c->pg, c->ci, false, c->server, now, err);
	if (c->pg.state != PGCONN_READY) {
		if (pgconn_step(&c->pg, revents, now, err) == -1)
			return -1;
		revents = 0;
	}
	if (c->pg.state != PGCONN_READY)
		return 0;
	if (!c->asked)
		ask(c, now);
	else if (now >= c->due_at)
		return err_set(err, ERR_IO, "the server does not answer");
	if (pgconn_flush(&c->pg, err) == -1)
		return -1;
	if (conn_readable(&c->pg.conn, revents) &&
	    pgconn_fill(&c->pg, READ_SIZE, err) == -1)
		return -1;
	return take_answer(c, err);
}

/* Nothing is under way; the next try is in `us`. */
static void
rest(struct catalog *c, int64_t now, int64_t us)
{
	pgconn_close(&c->pg);
	c->asked = false;
	c->due_at = us == 0 ? 0 : now + us;
}

static void
too_early(struct catalog *c, int64_t now)
{
	rest(c, now, LOOK_AGAIN);
	if (now - c->complained_at < COMPLAIN)
		return;
	if (c->complained_at != 0)
		log_warn("catalog.wait",
		    "types made by transaction %u cannot be seen yet, and "
		    "delivery waits for them: is a synchronous standby missing?",
		    c->types->needed_xid);
	c->complained_at = now;
}

bool
catalog_step(struct catalog *c, short revents, int64_t now)
{
	struct err err;

	if (!typecat_needs(c->types)) {
		rest(c, now, 0);
		c->complained_at = 0;
		return false;
	}
	if (c->pg.state == PGCONN_CLOSED && now < c->due_at)
		return false;
	switch (step(c, revents, now, &err)) {
	case FAILED:
		rest(c, now, RETRY);
		log_warn("catalog.retry",
		    "reading types: %s; trying again in 1 s", err.text);
		return false;
	case TOO_EARLY:
		too_early(c, now);
		return false;
	case DONE:
		rest(c, now, 0);
		return true;
	default:
		return false;
	}
}
