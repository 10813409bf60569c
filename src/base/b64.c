#include "base/b64.h"

#include <string.h>

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
b64_encode(char *to, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 3, to += 4) {
		uint32_t v = (uint32_t)p[i] << 16;

		if (n - i > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (n - i > 2)
			v |= p[i + 2];
		to[0] = digits[v >> 18];
		to[1] = digits[v >> 12 & 63];
		to[2] = n - i > 1 ? digits[v >> 6 & 63] : '=';
		to[3] = n - i > 2 ? digits[v & 63] : '=';
	}
	*to = '\0';
}

static int
value(char c)
{
	const char *d = c == '\0' ? NULL : strchr(digits, c);

	return d == NULL ? -1 : (int)(d - digits);
}

/* One group of four characters; returns its 1 to 3 bytes, or -1. */
static int
group(uint8_t out[3], const char *s)
{
	int a = value(s[0]), b = value(s[1]), c = value(s[2]), d = value(s[3]);
	int n = s[3] != '=' ? 3 : s[2] != '=' ? 2 : 1;

	if (a < 0 || b < 0 || (n > 1 && c < 0) || (n > 2 && d < 0))
		return -1;
	if ((n == 1 && (b & 15) != 0) || (n == 2 && (c & 3) != 0))
		return -1; /* bits that no encoder sets */
	out[0] = (uint8_t)(a << 2 | b >> 4);
	if (n > 1)
		out[1] = (uint8_t)(b << 4 | c >> 2);
	if (n > 2)
		out[2] = (uint8_t)(c << 6 | d);
	return n;
}

long
b64_decode(uint8_t *to, size_t cap, const char *s, size_t n)
{
	uint8_t out[3];
	size_t len = 0;

	if (n % 4 != 0)
		return -1;
	for (size_t i = 0; i < n; i += 4) {
		int got = group(out, s + i);

		if (got < 0 || (got < 3 && i + 4 != n) ||
		    (size_t)got > cap - len)
			return -1;
		memcpy(to + len, out, (size_t)got);
		len += (size_t)got;
	}
	return (long)len;
}
