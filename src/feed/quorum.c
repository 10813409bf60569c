#include "feed/quorum.h"

#include <stddef.h>
#include <string.h>

void
quorum_init(struct quorum *q)
{
	memset(q, 0, sizeof(*q));
}

void
quorum_join(struct quorum *q, struct quorum_member *m, lsn_t start_lsn)
{
	m->acked = m->sent = m->served = start_lsn;
	m->votes = true;
	m->prev = NULL;
	m->next = q->members;
	if (q->members != NULL)
		q->members->prev = m;
	q->members = m;
}

/* m will not be asked again: its position stands until the turn is settled. */
static void
remember(struct quorum *q, const struct quorum_member *m)
{
	lsn_t position = quorum_position(m);

	if (!m->votes)
		return;
	if (!q->someone_left || position < q->left)
		q->left = position;
	q->someone_left = true;
}

void
quorum_leave(struct quorum *q, struct quorum_member *m)
{
	if (m->prev == NULL && q->members != m)
		return;
	remember(q, m);
	if (m->next != NULL)
		m->next->prev = m->prev;
	if (m->prev != NULL)
		m->prev->next = m->next;
	else
		q->members = m->next;
	m->next = m->prev = NULL;
}

void
quorum_observe(struct quorum *q, struct quorum_member *m)
{
	remember(q, m);
	m->votes = false;
}

void
quorum_sent(struct quorum_member *m, lsn_t pg_lsn)
{
	/* What was served until now stays this member's position. */
	if (quorum_idle(m))
		m->acked = quorum_position(m);
	m->sent = lsn_max(m->sent, pg_lsn);
}

void
quorum_served(struct quorum_member *m, lsn_t lsn)
{
	m->served = lsn_max(m->served, lsn);
}

int
quorum_ack(struct quorum_member *m, lsn_t lsn, struct err *err)
{
	if (lsn > m->sent)
		return err_set(err, ERR_USAGE,
		    "acknowledged " LSN_FMT
		    ", but the highest pg_lsn sent on this stream is " LSN_FMT,
		    LSN_ARG(lsn), LSN_ARG(m->sent));
	m->acked = lsn_max(m->acked, lsn);
	return 0;
}

bool
quorum_idle(const struct quorum_member *m)
{
	return m->acked >= m->sent;
}

lsn_t
quorum_position(const struct quorum_member *m)
{
	return quorum_idle(m) ? lsn_max(m->acked, m->served) : m->acked;
}

lsn_t
quorum_confirm(struct quorum *q)
{
	const struct quorum_member *m;
	lsn_t low = q->left;
	bool any = q->someone_left;

	for (m = q->members; m != NULL; m = m->next) {
		if (!m->votes)
			continue;
		if (!any || quorum_position(m) < low)
			low = quorum_position(m);
		any = true;
	}
	if (any)
		q->confirmed = lsn_max(q->confirmed, low);
	return q->confirmed;
}

lsn_t
quorum_settle(struct quorum *q)
{
	quorum_confirm(q);
	q->someone_left = false;
	return q->confirmed;
}

lsn_t
quorum_high(const struct quorum *q)
{
	const struct quorum_member *m;
	lsn_t high = q->confirmed;

	for (m = q->members; m != NULL; m = m->next)
		high = lsn_max(high, lsn_max(m->sent, quorum_position(m)));
	return high;
}

void
quorum_cut(struct quorum *q, lsn_t lsn)
{
	struct quorum_member *m;

	for (m = q->members; m != NULL; m = m->next) {
		m->acked = lsn_min(m->acked, lsn);
		m->sent = lsn_min(m->sent, lsn);
		m->served = lsn_min(m->served, lsn);
	}
	q->left = lsn_min(q->left, lsn);
	q->confirmed = lsn_min(q->confirmed, lsn);
}

void
quorum_reset(struct quorum *q, lsn_t confirmed)
{
	q->confirmed = confirmed;
	q->someone_left = false;
}
