#include "feed/filter.h"

/* A set behind '[': the character after its ']', or NULL when there is none
 * (the '[' is then plain). *in: is c in it? */
static const char *
match_set(const char *p, char c, bool *in)
{
	bool negate = *p == '!' || *p == '^', found = false;
	const char *first;

	if (negate)
		p++;
	for (first = p; *p != '\0' && (*p != ']' || p == first); p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		if (p[1] == '-' && p[2] != ']' && p[2] != '\0') {
			found |= (unsigned char)c >= (unsigned char)p[0] &&
			    (unsigned char)c <= (unsigned char)p[2];
			p += 2;
		} else {
			found |= c == *p;
		}
	}
	if (*p == '\0')
		return NULL;
	*in = found != negate;
	return p + 1;
}

/* One pattern character, other than '*', against c: the pattern behind it, or
 * NULL when it does not match. */
static const char *
match_one(const char *p, char c)
{
	const char *end;
	bool in;

	if (c == '\0' || *p == '\0')
		return NULL;
	if (*p == '?')
		return p + 1;
	if (*p == '[' && (end = match_set(p + 1, c, &in)) != NULL)
		return in ? end : NULL;
	if (*p == '\\' && p[1] != '\0')
		p++;
	return *p == c ? p + 1 : NULL;
}

bool
filter_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *retry = NULL, *next;

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
		} else if (*text == '\0' && *pattern == '\0') {
			return true;
		} else if ((next = match_one(pattern, *text)) != NULL) {
			pattern = next;
			text++;
		} else if (star != NULL && *retry != '\0') {
			/* Let the last '*' take one more. */
			pattern = star;
			text = ++retry;
		} else {
			return false;
		}
	}
}

bool
filter_plain(const char *pattern, char *to, size_t cap)
{
	size_t n = 0;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '*' || *pattern == '?' || *pattern == '[')
			return false;
		if (*pattern == '\\' && pattern[1] != '\0')
			pattern++;
		if (n + 1 < cap)
			to[n++] = *pattern;
	}
	to[n] = '\0';
	return true;
}

static bool
match_any(char *const *glob, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (filter_glob(glob[i], text))
			return true;
	return false;
}

bool
filter_table(const struct filter *f, const char *table)
{
	return f->n == 0 || match_any(f->glob, f->n, table);
}

bool
filter_operation(const struct filter *f, unsigned operation)
{
	return f->operations == 0 || (f->operations & 1u << operation) != 0;
}

bool
filter_prefix(const struct filter *f, const char *prefix)
{
	return match_any(f->message, f->messages, prefix);
}
