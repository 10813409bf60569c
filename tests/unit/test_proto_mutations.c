#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "event/proto.h"
#include "guard.h"
#include "rnd.h"

/*
 * Bytes of a valid batch, changed at random: the reader ends, refuses with
 * ERR_PROTO what it does not take, and reads nothing behind it.
 */

#define NO_ROW NULL, NULL, NULL, 0

static const struct event events[] = {
	{ EVENT_BEGIN, 300, { 300, 0, 741, 1 }, 0, NO_ROW },
	{ EVENT_INSERT, 300, { 300, 0, 741, 1 }, 1, "s1", "tbl", "{\"a\":1}",
	    7 },
	{ EVENT_TRUNCATE, UINT64_MAX, { 300, 0, 0, -1 }, 2, "s1", "tbl", NULL,
	    0 },
	{ EVENT_COMMIT, 340, { 300, 340, 741, 1 }, 2, NO_ROW },
	{ EVENT_PROGRESS, 340, { 0 }, 0, NO_ROW },
};
#define EVENTS (sizeof(events) / sizeof(events[0]))

/* Appends what was built in item as one of a batch. */
static void
put_item(struct buf *items, const struct buf *item)
{
	uint8_t head[PROTO_HEAD];

	buf_put(items, head, proto_item_head(head, buf_unread(item)));
	buf_put(items, buf_head(item), buf_unread(item));
}

/* A batch of a started and of the events above. */
static void
put_batch(struct buf *batch)
{
	static const struct started started = { "7", "slot", "pub", "0.1", 1,
		150004, true, 300 };
	struct buf item, items;
	uint8_t head[PROTO_HEAD];

	buf_init(&item, 4096);
	buf_init(&items, 4096);
	proto_put_started(&item, &started);
	put_item(&items, &item);
	for (size_t i = 0; i < EVENTS; i++) {
		buf_reset(&item);
		proto_put_event(&item, &events[i]);
		put_item(&items, &item);
	}
	buf_put(batch, head, proto_batch_head(head, buf_unread(&items)));
	buf_put(batch, buf_head(&items), buf_unread(&items));
	assert_false(item.failed || items.failed || batch->failed);
	buf_free(&item);
	buf_free(&items);
}

/* Reads every byte of an event. */
static void
see(void *arg, const struct event *e)
{
	size_t *sum = arg;

	if (e->op < EVENT_INSERT || e->op > EVENT_TRUNCATE)
		return;
	*sum += strlen(e->schema) + strlen(e->table);
	for (size_t i = 0; i < e->json_len; i++)
		*sum += (uint8_t)e->json[i];
}

static void
test_mutations(void **state)
{
	static const uint8_t zeros[512];
	uint8_t *end = guard_copy(zeros, sizeof(zeros)) + sizeof(zeros), *at;
	size_t good = 0, sum = 0, len;
	uint64_t seed = 20240301;
	struct buf batch, hold;
	struct err err;

	(void)state;
	buf_init(&batch, sizeof(zeros));
	buf_init(&hold, 65536);
	put_batch(&batch);
	len = buf_unread(&batch);
	for (int i = 0; i < 100000; i++) {
		at = end - len;
		memcpy(at, buf_head(&batch), len);
		for (uint32_t k = rnd_below(&seed, 4); k > 0; k--)
			at[rnd_below(&seed, (uint32_t)len)] =
			    (uint8_t)rnd_next(&seed);
		at += rnd_below(&seed, 8) == 0 ? rnd_below(&seed, 80) : 0;
		err.kind = ERR_NONE;
		if (proto_get_events(at, (size_t)(end - at), &hold, see, &sum,
			&err) == 0)
			good++;
		else
			assert_int_equal(err.kind, ERR_PROTO);
	}
	assert_in_range(good, 20000, 80000);
	assert_true(sum > 0);
	guard_free(end - sizeof(zeros), sizeof(zeros));
	buf_free(&batch);
	buf_free(&hold);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
