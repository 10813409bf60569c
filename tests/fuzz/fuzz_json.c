#include <stdbool.h>

#include "base/buf.h"
#include "event/json.h"
#include "fuzz.h"
#include "strict.h"

/*
 * What json_put_string writes reads back as what it was given; json_is_number
 * and utf8_valid say what the judges say.
 */

struct seen {
	const char *text; /* that the string has to be */
	size_t len;
	size_t number_len; /* 0: no number */
	bool string;
};

static int
on_number(void *arg, const char *p, size_t n)
{
	struct seen *seen = arg;

	(void)p;
	seen->number_len = n;
	return 1;
}

static int
on_string(void *arg, const unsigned char *p, size_t n)
{
	struct seen *seen = arg;

	seen->string = true;
	return n == seen->len && memcmp(p, seen->text, n) == 0;
}

/* As it is: is it UTF-8, is it a number? */
static void
check_input(const char *text, size_t len)
{
	static const yajl_callbacks each = { .yajl_number = on_number };
	struct seen seen = { text, len, 0, false };
	bool ok = strict_json(text, len, &each, &seen);

	assert(utf8_valid(text, len) == strict_utf8(text, len));
	/* a shorter one has blanks beside it, or is a part of something */
	assert(json_is_number(text, len) ==
	    (ok && len > 0 && seen.number_len == len));
}

static void
check_string(const char *text, size_t len)
{
	static const yajl_callbacks each = { .yajl_string = on_string };
	struct seen seen = { text, len, 0, false };
	struct buf json;

	buf_init(&json, 6 * len + 2); /* \u00xx for each, and the quotes */
	json_put_string(&json, text, len);
	assert(!json.failed);
	assert(strict_json((const char *)buf_head(&json), buf_unread(&json),
	    &each, &seen));
	assert(seen.string);
	buf_free(&json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);

	check_input(text, size);
	fuzz_mend(text, size);
	check_string(text, size);
	free(text);
	return 0;
}
