#include "server/walk.h"

#include <stdlib.h>
#include <string.h>

void
walk_init(struct walk *w, const struct ring *ring, const struct names *names)
{
	memset(w, 0, sizeof(*w));
	w->ring = ring;
	w->names = names;
}

void
walk_free(struct walk *w)
{
	free(w->verdict);
	w->verdict = NULL;
}

void
walk_start(struct walk *w, uint64_t cursor, lsn_t start_lsn)
{
	w->cursor = cursor;
	w->start_lsn = start_lsn;
	w->last = (struct ring_pos){ 0, 0 };
	w->begun = false;
}

/* What the filter says about a table; asked once for each, memory allowing. */
static bool
wants_table(struct walk *w, uint32_t table)
{
	uint32_t n = w->names->n;
	uint8_t *verdict;
	bool yes;

	if (w->filter.n == 0)
		return true;
	if (table >= w->verdicts &&
	    (verdict = realloc(w->verdict, n)) != NULL) {
		memset(verdict + w->verdicts, 0, n - w->verdicts);
		w->verdict = verdict;
		w->verdicts = n;
	}
	if (table < w->verdicts && w->verdict[table] != 0)
		return w->verdict[table] == 1;
	yes = filter_table(&w->filter, w->names->name[table]);
	if (table < w->verdicts)
		w->verdict[table] = yes ? 1 : 2;
	return yes;
}

/* Is this entry to be delivered? Takes in what a begin or commit says. */
static bool
wants(struct walk *w, const struct ring_entry *e)
{
	if (e->pos.commit_lsn < w->start_lsn || ring_pos_le(e->pos, w->last))
		return false;
	if (e->pos.seq == RING_BEGIN) {
		memcpy(&w->txn, e->data, sizeof(w->txn));
		w->begun = false;
		return false;
	}
	if (e->pos.seq == RING_COMMIT) {
		memcpy(&w->txn, e->data, sizeof(w->txn));
		return w->begun;
	}
	return filter_operation(&w->filter, e->tag.operation) &&
	    wants_table(w, e->tag.table);
}

static void
pass(struct walk *w, const struct ring_entry *e)
{
	w->cursor++;
	if (!ring_pos_le(e->pos, w->last))
		w->last = e->pos;
}

static const struct ring_entry *
settle(struct walk *w)
{
	const struct ring_entry *e;

	while ((e = ring_at(w->ring, w->cursor)) != NULL && !wants(w, e))
		pass(w, e);
	return e;
}

bool
walk_settle(struct walk *w)
{
	return settle(w) != NULL;
}

enum walk_kind
walk_next(struct walk *w, const struct ring_entry **entry)
{
	const struct ring_entry *e = settle(w);

	if (e == NULL)
		return WALK_END;
	if (e->pos.seq == RING_COMMIT) {
		pass(w, e);
		w->begun = false;
		return WALK_COMMIT;
	}
	if (w->marks && !w->begun) {
		w->begun = true;
		w->count = 0;
		return WALK_BEGIN;
	}
	pass(w, e);
	w->count++;
	*entry = e;
	return WALK_EVENT;
}
