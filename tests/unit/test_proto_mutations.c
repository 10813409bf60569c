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

#define TEXT(s) { s, sizeof(s) - 1 }

static const struct event_column columns[] = {
	{ "id", "integer", 23, -1, true },
	{ "v", "character varying", 1043, 24, false },
};

static const struct event events[] = {
	{ EVENT_BEGIN, 300, { 300, 0, 741, 1 }, .seq = 0 },
	{ .op = EVENT_RELATION,
	    .schema = "s1",
	    .table = "tbl",
	    .oid = 16400,
	    .identity = 1,
	    .column = columns,
	    .columns = 2 },
	{ EVENT_UPDATE, 300, { 300, 0, 741, 1 }, 1, "s1", "tbl",
	    .json = TEXT("{\"a\":1}"), .old = TEXT("{\"a\":2}"),
	    .unchanged = TEXT("big\0wide\0"), .change_lsn = 280, .oid = 16400,
	    .identity = 2 },
	{ EVENT_MESSAGE, 300, .transactional = true, .prefix = "prefix",
	    .content = TEXT("con\0tent") },
	{ EVENT_TRUNCATE, UINT64_MAX, { 300, 0, 0, -1 }, 2, "s1", "tbl",
	    .cascade = true },
	{ EVENT_COMMIT, 340, { 300, 340, 741, 1 }, .seq = 2 },
	{ EVENT_PROGRESS, 340, .seq = 0 },
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
	static const char *const publications[] = { "pub", "pub2" };
	static const struct started started = { "7", "slot", "0.1",
		publications, 2, 1, 150004, true, 300 };
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

static size_t
sum_text(const struct event_text *t)
{
	size_t sum = 0;

	for (size_t i = 0; i < t->len; i++)
		sum += (uint8_t)t->p[i];
	return sum;
}

static size_t
sum_string(const char *s)
{
	return s == NULL ? 0 : strlen(s);
}

/* Reads every byte of an event. */
static void
see(void *arg, const struct event *e)
{
	size_t *sum = arg;

	*sum += sum_string(e->schema) + sum_string(e->table) +
	    sum_string(e->prefix) + sum_text(&e->json) + sum_text(&e->old) +
	    sum_text(&e->unchanged) + sum_text(&e->content);
	if (e->unchanged.len > 0)
		assert_int_equal(e->unchanged.p[e->unchanged.len - 1], 0);
	for (size_t i = 0; i < e->columns; i++)
		*sum +=
		    strlen(e->column[i].name) + strlen(e->column[i].type_name);
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
