#include "event/json.h"

#include <stdint.h>
#include <string.h>

/* What follows the backslash, 'u' for a numeric escape, 0 for no escape. */
static const char escapes[256] = {
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'b',
	't',
	'n',
	'u',
	'f',
	'r',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	'u',
	['"'] = '"',
	['\\'] = '\\',
};

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Are these eight bytes free of what is escaped? x - 1 & ~x has the high bit of
 * a byte that is 0, and nothing when there is none. */
static bool
is_plain(const char *p)
{
	uint64_t x, quote, backslash;

	memcpy(&x, p, sizeof(x));
	quote = x ^ EACH_BYTE('"');
	backslash = x ^ EACH_BYTE('\\');
	return ((((x - EACH_BYTE(0x20)) & ~x) |
		    ((quote - EACH_BYTE(1)) & ~quote) |
		    ((backslash - EACH_BYTE(1)) & ~backslash)) &
		   EACH_BYTE(0x80)) == 0;
}

static void
put_escape(struct buf *json, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";

	buf_put_u8(json, '\\');
	buf_put_u8(json, (uint8_t)escapes[c]);
	if (escapes[c] != 'u')
		return;
	buf_put(json, "00", 2);
	buf_put_u8(json, (uint8_t)digits[c >> 4]);
	buf_put_u8(json, (uint8_t)digits[c & 0xf]);
}

/* Bytes at p before the first that is escaped. */
static size_t
plain(const char *p, size_t n)
{
	size_t i = 0;

	while (n - i >= 8 && is_plain(p + i))
		i += 8;
	if (n >= 8 && n - i < 8 && is_plain(p + n - 8))
		return n;
	while (i < n && escapes[(uint8_t)p[i]] == 0)
		i++;
	return i;
}

void
json_put_string(struct buf *json, const char *p, size_t n)
{
	size_t len = plain(p, n);
	uint8_t *to;

	if ((to = buf_room(json, n + 2)) == NULL)
		return;
	*to = '"';
	memcpy(to + 1, p, len);
	to[len + 1] = '"';
	buf_added(json, len == n ? n + 2 : len + 1);
	if (len == n)
		return;
	do {
		put_escape(json, (uint8_t)p[len]);
		p += len + 1;
		n -= len + 1;
		buf_put(json, p, len = plain(p, n));
	} while (len < n);
	buf_put_u8(json, '"');
}

static size_t
digits(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	return i;
}

bool
json_is_number(const char *p, size_t n)
{
	size_t i = 0, d;

	if (i < n && p[i] == '-')
		i++;
	d = digits(p + i, n - i);
	if (d == 0 || (d > 1 && p[i] == '0'))
		return false;
	i += d;
	if (i < n && p[i] == '.') {
		i++;
		if ((d = digits(p + i, n - i)) == 0)
			return false;
		i += d;
	}
	if (i < n && (p[i] == 'e' || p[i] == 'E')) {
		i++;
		if (i < n && (p[i] == '+' || p[i] == '-'))
			i++;
		if ((d = digits(p + i, n - i)) == 0)
			return false;
		i += d;
	}
	return i == n;
}
