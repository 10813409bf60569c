#ifndef TESTS_STRICT_H
#define TESTS_STRICT_H

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

/*
 * Judges of UTF-8 and JSON that are not ours. yajl hands numbers on as their
 * text, so that none is too large for it. By itself it is more lenient than RFC
 * 8259: it takes \v and \f for blanks, and overlong UTF-8 and surrogates for
 * characters; so these are looked at here. And it does not mind half a token
 * behind a whole text, which the bracket behind an array of it shows.
 */

/* Is it what glibc takes for UTF-8 that UTF-16 can hold? */
static inline bool
strict_utf8(const char *p, size_t n)
{
	static iconv_t cd;
	char hold[512], *to, *from = (char *)(uintptr_t)p;
	size_t room;

	if (cd == NULL && (cd = iconv_open("UTF-16LE", "UTF-8")) == (iconv_t)-1)
		abort();
	iconv(cd, NULL, NULL, NULL, NULL);
	do {
		to = hold;
		room = sizeof(hold);
		if (iconv(cd, &from, &n, &to, &room) != (size_t)-1)
			return n == 0;
	} while (errno == E2BIG);
	return false;
}

static inline bool
strict_blanks(const char *p, size_t n)
{
	for (; n > 0; p++, n--)
		if ((unsigned char)*p < ' ' && *p != '\t' && *p != '\n' &&
		    *p != '\r')
			return false;
	return true;
}

static inline bool
strict_parse(const char *const *part, const size_t *len, size_t parts,
    const yajl_callbacks *each, void *arg)
{
	yajl_handle h = yajl_alloc(each, NULL, arg);
	yajl_status status = yajl_status_ok;

	if (h == NULL)
		abort();
	for (size_t i = 0; i < parts && status == yajl_status_ok; i++)
		status = yajl_parse(h, (const unsigned char *)part[i], len[i]);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(h);
	yajl_free(h);
	return status == yajl_status_ok;
}

/* Is it one JSON text, and nothing besides? each (NULL: none) is told what is
 * in it, and can say no. */
static inline bool
strict_json(const char *p, size_t n, const yajl_callbacks *each, void *arg)
{
	const char *const part[] = { "[", p, "]" };
	const size_t len[] = { 1, n, 1 };

	return strict_blanks(p, n) && strict_utf8(p, n) &&
	    strict_parse(part, len, 3, NULL, NULL) &&
	    strict_parse(&part[1], &len[1], 1, each, arg);
}

#endif
