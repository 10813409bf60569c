#include "event/json_out.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "event/json.h"

#define EXACT (UINT64_C(1) << 53)

/* What comes before a value. */
static void
begin(struct buf *to, const char *key)
{
	uint8_t last = buf_unread(to) == 0 ? '{' : to->data[to->len - 1];

	if (last != '{' && last != '[')
		buf_put_u8(to, ',');
	if (key != NULL)
		buf_putf(to, "\"%s\":", key);
}

void
json_open(struct buf *to, const char *key, char bracket)
{
	begin(to, key);
	buf_put_u8(to, (uint8_t)bracket);
}

void
json_close(struct buf *to, char bracket)
{
	buf_put_u8(to, (uint8_t)bracket);
}

/* The rest of a string that has bytes which are no characters. */
static void
put_mended(struct buf *to, const char *p, size_t n)
{
	struct buf whole;
	size_t len;

	buf_init(&whole, n * 3);
	for (; n > 0; p += len, n -= len) {
		if ((len = utf8_char(p, n)) > 0) {
			buf_put(&whole, p, len);
			continue;
		}
		buf_put_str(&whole, "\xef\xbf\xbd");
		len = 1;
	}
	if (whole.failed)
		to->failed = true;
	json_put_string(to, (const char *)buf_head(&whole), buf_unread(&whole));
	buf_free(&whole);
}

void
json_text(struct buf *to, const char *key, const char *text)
{
	if (text == NULL) {
		json_null(to, key);
		return;
	}
	begin(to, key);
	if (utf8_valid(text, strlen(text)))
		json_put_string(to, text, strlen(text));
	else
		put_mended(to, text, strlen(text));
}

void
json_u64(struct buf *to, const char *key, uint64_t n)
{
	const char *quote = n > EXACT ? "\"" : "";

	begin(to, key);
	buf_putf(to, "%s%" PRIu64 "%s", quote, n, quote);
}

void
json_lsn(struct buf *to, const char *key, lsn_t lsn)
{
	begin(to, key);
	if (lsn == 0)
		buf_put_str(to, "null");
	else
		buf_putf(to, "\"" LSN_FMT "\"", LSN_ARG(lsn));
}

void
json_seconds(struct buf *to, const char *key, int64_t us)
{
	begin(to, key);
	if (us < 0)
		buf_put_str(to, "null");
	else
		buf_putf(to, "%" PRId64 ".%03d", us / 1000000,
		    (int)(us % 1000000 / 1000));
}

void
json_bool(struct buf *to, const char *key, bool b)
{
	begin(to, key);
	buf_put_str(to, b ? "true" : "false");
}

void
json_null(struct buf *to, const char *key)
{
	begin(to, key);
	buf_put_str(to, "null");
}
