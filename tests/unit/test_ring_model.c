#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "feed/ring.h"
#include "rnd.h"

/*
 * Random operations on a ring, compared step by step with the plainest thing
 * that could do the same: an array of every event ever appended.
 */

/* What one event of len bytes counts for. */
#define COST(len) ((len) + sizeof(struct ring_entry))

#define EVENTS 5000

static struct {
	struct ring_pos pos;
	size_t len;
} all[EVENTS];

static struct ring ring;

struct model {
	uint64_t first, next, low, segment;
	lsn_t segment_lsn, confirmed;
	struct ring_pos last;
	bool paused;
};

/* Appends event id, whose bytes follow from its number. */
static void
append(uint64_t id)
{
	struct ring_tag tag = { (uint32_t)id, 1, false, NULL };
	size_t len = all[id].len;
	uint8_t *data = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(id + i);
	assert_int_equal(ring_append(&ring, all[id].pos, id, tag, data, len),
	    0);
	free(data);
}

static void
assert_entry(uint64_t id)
{
	const struct ring_entry *e = ring_at(&ring, id);

	assert_non_null(e);
	assert_int_equal(e->pos.commit_lsn, all[id].pos.commit_lsn);
	assert_int_equal(e->pos.seq, all[id].pos.seq);
	assert_int_equal(e->pg_lsn, id);
	assert_int_equal(e->tag.table, id);
	assert_int_equal(e->len, all[id].len);
	for (size_t i = 0; i < e->len; i++)
		if (e->data[i] != (uint8_t)(id + i))
			fail_msg("byte %zu of event %d", i, (int)id);
}

static size_t
model_behind(const struct model *m, uint64_t id)
{
	size_t n = 0;

	for (; id < m->next; id++)
		n += COST(all[id].len);
	return n;
}

static void
model_append(struct model *m, uint64_t *seed)
{
	size_t len = rnd_below(seed, 100) == 0 ? rnd_below(seed, 400000)
					       : rnd_below(seed, 3000);

	if (m->last.seq > 0 && rnd_below(seed, 2) == 0) {
		m->last.seq++;
	} else {
		m->last.commit_lsn =
		    m->last.commit_lsn + 1 + rnd_below(seed, 5);
		m->last.seq = 1;
	}
	all[m->next].pos = m->last;
	all[m->next].len = len;
	append(m->next++);
}

static void
model_trim(struct model *m, uint64_t *seed)
{
	size_t behind = model_behind(m, m->first);
	uint64_t room = m->next - m->low + 1;

	m->low += rnd_below(seed, (uint32_t)(room < 40 ? room : 40));
	if (rnd_below(seed, 20) == 0)
		m->low = m->next;
	if (rnd_below(seed, 4) == 0 && m->low > m->first)
		m->confirmed = all[m->first +
		    rnd_below(seed, (uint32_t)(m->low - m->first))]
				   .pos.commit_lsn;
	ring_trim(&ring, m->low, m->confirmed);
	while (m->first < m->low &&
	    (all[m->first].pos.commit_lsn < m->confirmed || behind > ring.size))
		behind -= COST(all[m->first++].len);
}

/* What was appended last is appended once more, from some transaction on. */
static void
model_rewind(struct model *m, uint64_t *seed)
{
	lsn_t back = rnd_below(seed, 30);

	if (m->last.commit_lsn < back)
		return;
	m->segment = m->next;
	m->segment_lsn = m->last.commit_lsn - back;
	m->last = (struct ring_pos){ m->segment_lsn, 0, 0 };
	ring_segment(&ring, m->segment_lsn);
}

/* Is everything of this segment from lsn on still there? */
static bool
model_holds(const struct model *m, lsn_t lsn)
{
	if (lsn < m->segment_lsn)
		return false;
	for (uint64_t id = m->segment; id < m->first; id++)
		if (all[id].pos.commit_lsn >= lsn)
			return false;
	return true;
}

static void
compare_holds(const struct model *m, lsn_t lsn)
{
	uint64_t cursor = UINT64_MAX;
	bool holds = ring_holds(&ring, lsn, &cursor);

	assert_int_equal(holds, model_holds(m, lsn));
	if (!holds)
		return;
	assert_in_range(cursor, m->segment, m->next);
	assert_true(cursor >= m->first);
	/* Nothing that is wanted lies before it. */
	for (uint64_t id = m->segment; id < cursor; id++)
		assert_true(all[id].pos.commit_lsn < lsn);
}

static void
compare(struct model *m, uint64_t *seed)
{
	size_t behind = model_behind(m, m->low);

	assert_int_equal(ring.first, m->first);
	assert_int_equal(ring.next, m->next);
	assert_true(ring.first <= ring.segment_id);
	assert_true(ring.segment_id <= ring.next);
	assert_null(ring_at(&ring, m->next));
	assert_int_equal(ring_behind(&ring, m->low), behind);
	m->paused =
	    behind >= ring.size || (m->paused && behind > ring.size / 2);
	assert_int_equal(ring_room(&ring), !m->paused);
	for (int i = 0; i < 3 && m->first < m->next; i++) {
		uint64_t id =
		    m->first + rnd_below(seed, (uint32_t)(m->next - m->first));

		assert_entry(id);
		assert_int_equal(ring_behind(&ring, id), model_behind(m, id));
	}
	for (lsn_t back = 0; back < 12 && back <= m->last.commit_lsn; back++)
		compare_holds(m, m->last.commit_lsn - back);
}

static void
test_against_a_model(void **state)
{
	uint64_t seed = 20240302;
	struct model m = { .last = { 1000, 0 } };
	size_t paused = 0;

	(void)state;
	ring_init(&ring, 100000);
	ring_segment(&ring, 0);
	while (m.next < EVENTS) {
		uint32_t what = rnd_below(&seed, 100);

		if (what < 1)
			model_rewind(&m, &seed);
		else if (what < 20 || m.paused)
			model_trim(&m, &seed);
		else
			model_append(&m, &seed);
		compare(&m, &seed);
		paused += m.paused;
	}
	/* The seed led through what was to be tested. */
	assert_true(paused > 100 && m.segment > 0 && m.first > 1000);
	ring_free(&ring);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
