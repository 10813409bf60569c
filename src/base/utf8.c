#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Bytes of the character that begins with c, and the lowest and highest second
 * byte (RFC 3629, section 4); 0 when none does. */
static size_t
sequence(uint8_t c, uint8_t *low, uint8_t *high)
{
	*low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Bytes of the character at p that is not ASCII; 0 when it is no character. */
static size_t
character(const uint8_t *p, size_t n)
{
	uint8_t low, high;
	size_t len = sequence(*p, &low, &high);

	if (len == 0 || len > n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* Are the eight bytes at p ASCII? Or all of four times as many? */
static bool
is_ascii(const char *p)
{
	uint64_t eight;

	memcpy(&eight, p, sizeof(eight));
	return (eight & HIGH_BITS) == 0;
}

static bool
are_ascii(const char *p)
{
	uint64_t eight[4];

	memcpy(eight, p, sizeof(eight));
	return ((eight[0] | eight[1] | eight[2] | eight[3]) & HIGH_BITS) == 0;
}

/* How many bytes at p are, before the first that is not. */
static size_t
ascii(const char *p, size_t n)
{
	size_t i = 0;

	while (n - i >= 32 && are_ascii(p + i))
		i += 32;
	while (n - i >= 8 && is_ascii(p + i))
		i += 8;
	while (i < n && (p[i] & 0x80) == 0)
		i++;
	return i;
}

bool
utf8_ascii(const char *p, size_t n)
{
	return ascii(p, n) == n;
}

size_t
utf8_char(const char *p, size_t n)
{
	return (*p & 0x80) == 0 ? 1 : character((const uint8_t *)p, n);
}

bool
utf8_valid(const char *p, size_t n)
{
	size_t len;

	for (;;) {
		len = ascii(p, n);
		p += len;
		n -= len;
		if (n == 0)
			return true;
		for (; n > 0 && (*p & 0x80) != 0; p += len, n -= len)
			if ((len = character((const uint8_t *)p, n)) == 0)
				return false;
	}
}
