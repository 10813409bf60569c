#include "server/probe.h"

#include <string.h>

#include "base/clock.h"

void
probe_init(struct probe *p, struct conninfo *ci, const struct pgconn *server,
    int64_t interval_us)
{
	memset(p, 0, sizeof(*p));
	pgconn_init(&p->pg);
	p->ci = ci;
	p->server = server;
	/* No sooner than that, however short the grace. */
	p->interval_us = interval_us > SECONDS(1) ? interval_us : SECONDS(1);
}

void
probe_free(struct probe *p)
{
	pgconn_close(&p->pg);
}

int
probe_fd(const struct probe *p)
{
	return pgconn_fd(&p->pg);
}

short
probe_want(const struct probe *p)
{
	return pgconn_want(&p->pg);
}

int64_t
probe_deadline(const struct probe *p)
{
	if (p->pg.state != PGCONN_CLOSED)
		return pgconn_deadline(&p->pg);
	return p->next_at == 0 ? INT64_MAX : p->next_at;
}

/* "the database system is shutting down", or "starting up" again. */
static bool
is_shutdown(const struct err *err)
{
	return strcmp(err->sqlstate, "57P03") == 0;
}

bool
probe_step(struct probe *p, bool wanted, short revents, int64_t now)
{
	struct err err = { .kind = ERR_NONE };
	int rc;

	if (!wanted) {
		pgconn_close(&p->pg);
		p->next_at = 0;
		return false;
	}
	if (p->next_at == 0)
		p->next_at = now + p->interval_us;
	if (p->pg.state == PGCONN_CLOSED && now < p->next_at)
		return false;
	if (p->pg.state == PGCONN_CLOSED) {
		p->next_at = now + p->interval_us;
		rc = pgconn_open(&p->pg, p->ci, false, p->server, now, &err);
	} else {
		rc = pgconn_step(&p->pg, revents, now, &err);
	}
	if (p->pg.state == PGCONN_READY)
		pgconn_close(&p->pg); /* it is well */
	return rc == -1 && is_shutdown(&err);
}
