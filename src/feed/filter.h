#ifndef FEED_FILTER_H
#define FEED_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a stream wants to see: globs over "schema.table" and a set of
 * operations. The names are borrowed and must outlive the filter.
 */
struct filter {
	char *const *glob; /* any of them must match; n = 0: all tables */
	size_t n;
	unsigned operations;  /* bits 1 << operation; 0: all */
	char *const *message; /* globs over the prefix; none: no messages */
	size_t messages;
};

/* Does pattern match text? '*' is any run of characters, '?' any one, [abc],
 * [a-z] and [!...] one of (or not of) a set; a backslash makes the next
 * character plain. Bytes, not characters, as in fnmatch(3) in the C locale. */
bool filter_glob(const char *pattern, const char *text);

/* Does the pattern match one text only? Then it is written, without its
 * backslashes, to to[cap], cut if need be. (A '[' counts as more.) */
bool filter_plain(const char *pattern, char *to, size_t cap);

bool filter_table(const struct filter *f, const char *table);
bool filter_operation(const struct filter *f, unsigned operation);
/* Of a logical message. */
bool filter_prefix(const struct filter *f, const char *prefix);

#endif
