#include "base/lsn.h"

#include <stddef.h>

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *
half(const char *s, uint32_t *v)
{
	int n;

	*v = 0;
	for (n = 0; n < 8 && hex(*s) >= 0; n++)
		*v = *v << 4 | (uint32_t)hex(*s++);
	return n == 0 ? NULL : s;
}

int
lsn_parse(const char *s, lsn_t *lsn)
{
	uint32_t hi, lo;

	if ((s = half(s, &hi)) == NULL || *s++ != '/')
		return -1;
	if ((s = half(s, &lo)) == NULL || *s != '\0')
		return -1;
	*lsn = (lsn_t)hi << 32 | lo;
	return 0;
}
