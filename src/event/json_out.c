#include "event/json_out.h"

#include <stdio.h>
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
	if (key == NULL)
		return;
	buf_put_u8(to, '"');
	buf_put_str(to, key);
	buf_put(to, "\":", 2);
}

/* Thousands of numbers are written while streams wait: not by printf. */
static void
put_number(struct buf *to, uint64_t n)
{
	char text[20], *p = text + sizeof(text);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_put(to, p, (size_t)(text + sizeof(text) - p));
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
	begin(to, key);
	if (n > EXACT)
		buf_put_u8(to, '"');
	put_number(to, n);
	if (n > EXACT)
		buf_put_u8(to, '"');
}

void
json_lsn(struct buf *to, const char *key, lsn_t lsn)
{
	char text[24];
	int n;

	begin(to, key);
	n = snprintf(text, sizeof(text), "\"" LSN_FMT "\"", LSN_ARG(lsn));
	if (lsn == 0)
		buf_put_str(to, "null");
	else
		buf_put(to, text, (size_t)n);
}

void
json_seconds(struct buf *to, const char *key, int64_t us)
{
	char digits[4] = ".000";
	int ms = (int)(us % 1000000 / 1000);

	begin(to, key);
	if (us < 0) {
		buf_put_str(to, "null");
		return;
	}
	for (int i = 3; i > 0; i--, ms /= 10)
		digits[i] = (char)('0' + ms % 10);
	put_number(to, (uint64_t)us / 1000000);
	buf_put(to, digits, sizeof(digits));
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
