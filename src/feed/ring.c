#include "feed/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)256 * 1024)

/* Events back to back; freed when its last entry is trimmed. */
struct ring_chunk {
	struct ring_chunk *next;
	size_t used, cap;
	uint64_t entries; /* live */
	uint8_t data[];
};

void
ring_init(struct ring *r, size_t size)
{
	memset(r, 0, sizeof(*r));
	r->size = size;
}

static struct ring_entry *
at(const struct ring *r, uint64_t id)
{
	return &r->entry[id & (r->cap - 1)];
}

void
ring_free(struct ring *r)
{
	struct ring_chunk *c, *next;

	for (; r->first < r->next; r->first++)
		note_drop(at(r, r->first)->tag.note);
	for (c = r->head; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	free(r->spare);
	free(r->entry);
	ring_init(r, r->size);
}

static int
grow_entries(struct ring *r)
{
	size_t cap = r->cap == 0 ? 1024 : r->cap * 2;
	struct ring_entry *entry = malloc(cap * sizeof(*entry));

	if (entry == NULL)
		return -1;
	for (uint64_t id = r->first; id < r->next; id++)
		entry[id & (cap - 1)] = *at(r, id);
	free(r->entry);
	r->entry = entry;
	r->cap = cap;
	return 0;
}

/* Makes the tail a chunk with len free bytes. */
static int
add_chunk(struct ring *r, size_t len)
{
	size_t cap = len > CHUNK ? len : CHUNK;
	struct ring_chunk *c = r->spare;

	if (c != NULL && c->cap >= cap)
		r->spare = NULL;
	else if ((c = malloc(sizeof(*c) + cap)) == NULL)
		return -1;
	else
		c->cap = cap;
	c->next = NULL;
	c->used = 0;
	c->entries = 0;
	if (r->tail != NULL)
		r->tail->next = c;
	else
		r->head = c;
	r->tail = c;
	return 0;
}

int
ring_append(struct ring *r, struct ring_pos pos, lsn_t pg_lsn,
    struct ring_tag tag, const void *data, size_t len)
{
	struct ring_chunk *c = r->tail;
	struct ring_entry *e;

	if (len > UINT32_MAX)
		return -1;
	if (r->next - r->first == r->cap && grow_entries(r) == -1)
		return -1;
	if ((c == NULL || c->cap - c->used < len) && add_chunk(r, len) == -1)
		return -1;
	c = r->tail;
	memcpy(c->data + c->used, data, len);
	e = at(r, r->next++);
	*e = (struct ring_entry){ pos, pg_lsn, tag, c->data + c->used,
		(uint32_t)len, false, c, r->total };
	note_hold(tag.note);
	c->used += len;
	c->entries++;
	r->total += len + sizeof(*e);
	r->last = pos;
	return 0;
}

const struct ring_entry *
ring_at(const struct ring *r, uint64_t id)
{
	assert(id >= r->first && id <= r->next);
	return id == r->next ? NULL : at(r, id);
}

size_t
ring_behind(const struct ring *r, uint64_t id)
{
	const struct ring_entry *e = ring_at(r, id);

	return e == NULL ? 0 : (size_t)(r->total - e->before);
}

static void
drop_chunk(struct ring *r)
{
	struct ring_chunk *c = r->head;

	r->head = c->next;
	if (r->head == NULL)
		r->tail = NULL;
	if (r->spare == NULL && c->cap == CHUNK)
		r->spare = c;
	else
		free(c);
}

static void
drop_first(struct ring *r)
{
	struct ring_entry *e = at(r, r->first);
	struct ring_chunk *c = e->chunk;

	assert(c == r->head);
	if (r->first >= r->segment_id) {
		r->segment_id = r->first + 1;
		r->segment_lsn = lsn_max(r->segment_lsn, e->pos.commit_lsn + 1);
	}
	note_drop(e->tag.note);
	r->first++;
	if (--c->entries == 0)
		drop_chunk(r);
}

void
ring_trim(struct ring *r, uint64_t cursor, lsn_t confirmed)
{
	r->low = cursor;
	while (r->first < cursor && r->first < r->next &&
	    (at(r, r->first)->pos.commit_lsn < confirmed ||
		ring_behind(r, r->first) > r->size))
		drop_first(r);
}

bool
ring_room(struct ring *r)
{
	size_t behind = ring_behind(r, r->low);

	r->paused = behind >= r->size || (r->paused && behind > r->size / 2);
	return !r->paused;
}

void
ring_cut(struct ring *r, lsn_t lsn)
{
	for (uint64_t id = r->first; id < r->next; id++)
		if (at(r, id)->pos.commit_lsn >= lsn)
			at(r, id)->stale = true;
	if (r->last.commit_lsn >= lsn)
		r->last = (struct ring_pos){ 0, 0, 0 };
}

void
ring_segment(struct ring *r, lsn_t lsn)
{
	r->segment_id = r->next;
	r->segment_lsn = lsn;
	r->last = (struct ring_pos){ 0, 0, 0 };
}

bool
ring_holds(const struct ring *r, lsn_t lsn, uint64_t *cursor)
{
	*cursor = r->segment_id;
	return lsn >= r->segment_lsn;
}
