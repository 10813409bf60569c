#include "event/json.h"

#include <stdint.h>

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

void
json_put_string(struct buf *json, const char *p, size_t n)
{
	const char *end = p + n, *run = p;
	uint8_t c;

	buf_put_u8(json, '"');
	for (; p < end; p++) {
		c = (uint8_t)*p;
		if (escapes[c] == 0)
			continue;
		buf_put(json, run, (size_t)(p - run));
		run = p + 1;
		if (escapes[c] == 'u') {
			buf_putf(json, "\\u%04x", c);
		} else {
			buf_put_u8(json, '\\');
			buf_put_u8(json, (uint8_t)escapes[c]);
		}
	}
	buf_put(json, run, (size_t)(p - run));
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
