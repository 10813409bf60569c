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
	free(w->table);
	w->table = NULL;
}

void
walk_start(struct walk *w, uint64_t cursor, lsn_t start_lsn)
{
	w->cursor = cursor;
	w->start_lsn = start_lsn;
	w->last = (struct ring_pos){ 0, 0, 0 };
	w->given_lsn = 0;
	w->begun = w->related = false;
}

void
walk_cut(struct walk *w, lsn_t lsn)
{
	w->start_lsn = lsn_min(w->start_lsn, lsn);
	if (w->last.commit_lsn >= lsn)
		w->last = (struct ring_pos){ lsn - 1, RING_COMMIT, UINT32_MAX };
}

/* What is remembered of a table, or NULL when memory is short. */
static struct walk_table *
table_of(struct walk *w, uint32_t number)
{
	uint32_t n = w->names->n;
	struct walk_table *table;

	if (number < w->tables)
		return &w->table[number];
	if ((table = realloc(w->table, n * sizeof(*table))) == NULL)
		return NULL;
	memset(table + w->tables, 0, (n - w->tables) * sizeof(*table));
	w->table = table;
	w->tables = n;
	return &table[number];
}

/* What the filters say about a table; asked once for each, memory allowing. */
static bool
wants_table(struct walk *w, uint32_t number)
{
	struct walk_table *table;
	bool yes;

	if (w->filter.n == 0 && w->allowed == NULL)
		return true;
	table = table_of(w, number);
	if (table != NULL && table->verdict != 0)
		return table->verdict == 1;
	yes = filter_table(&w->filter, w->names->name[number]) &&
	    (w->allowed == NULL ||
		filter_table(w->allowed, w->names->name[number]));
	if (table != NULL)
		table->verdict = yes ? 1 : 2;
	return yes;
}

/* Is this entry to be delivered? Takes in what a begin or commit says. */
static bool
wants(struct walk *w, const struct ring_entry *e)
{
	if (e->pos.commit_lsn < w->start_lsn || ring_pos_le(e->pos, w->last))
		return false;
	if (e->stale && !w->stale_too)
		return false;
	if (ring_is_begin(e->pos)) {
		memcpy(&w->txn, e->data, sizeof(w->txn));
		w->begun = false;
		return false;
	}
	if (e->pos.seq == RING_COMMIT) {
		memcpy(&w->txn, e->data, sizeof(w->txn));
		return w->begun;
	}
	if (e->tag.operation == EVENT_MESSAGE) /* of no table */
		return w->allowed == NULL &&
		    filter_prefix(&w->filter, (const char *)e->tag.note->data);
	return filter_operation(&w->filter, e->tag.operation) &&
	    wants_table(w, e->tag.table);
}

static void
pass(struct walk *w, const struct ring_entry *e)
{
	w->cursor++;
	w->related = false;
	if (!ring_pos_le(e->pos, w->last) && (!e->stale || w->stale_too))
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

/* Has the stream not been told of the relation yet that this row is of? */
static bool
is_news(struct walk *w, const struct ring_entry *e)
{
	struct walk_table *table;

	if (!w->relations || w->related || e->tag.operation == EVENT_MESSAGE)
		return false;
	table = table_of(w, e->tag.table);
	return table == NULL || table->relation != e->tag.note->id;
}

void
walk_told(struct walk *w, const struct ring_entry *e)
{
	struct walk_table *table = table_of(w, e->tag.table);

	if (table != NULL)
		table->relation = e->tag.note->id;
}

enum walk_kind
walk_next(struct walk *w, const struct ring_entry **entry)
{
	const struct ring_entry *e = settle(w);

	if (e == NULL)
		return WALK_END;
	w->given_lsn = lsn_max(w->given_lsn, e->pos.commit_lsn);
	if (e->pos.seq == RING_COMMIT) {
		pass(w, e);
		w->begun = false;
		return WALK_COMMIT;
	}
	if (w->marks && !w->begun && !e->tag.alone) {
		w->begun = true;
		w->count = 0;
		return WALK_BEGIN;
	}
	*entry = e;
	if (is_news(w, e)) {
		w->related = true;
		return WALK_RELATION;
	}
	pass(w, e);
	w->count += !e->tag.alone;
	return WALK_EVENT;
}
