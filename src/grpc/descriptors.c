#include "grpc/descriptors.h"

#include <stdlib.h>
#include <string.h>

struct key {
	const char *p;
	size_t n;
};

/* A key against a row, whose first member is its name. */
static int
compare(const void *key, const void *row)
{
	const struct key *k = key;
	const char *name = *(const char *const *)row;
	size_t len = strlen(name);
	int c = memcmp(k->p, name, k->n < len ? k->n : len);

	return c != 0 ? c : (k->n > len) - (k->n < len);
}

const struct descriptor_file *
descriptors_file(const char *p, size_t n)
{
	struct key key = { p, n };

	return bsearch(&key, descriptor_files, descriptor_files_count,
	    sizeof(descriptor_files[0]), compare);
}

const struct descriptor_file *
descriptors_symbol(const char *p, size_t n)
{
	struct key key = { p, n };
	const struct descriptor_symbol *s = bsearch(&key, descriptor_symbols,
	    descriptor_symbols_count, sizeof(descriptor_symbols[0]), compare);

	return s == NULL ? NULL : &descriptor_files[s->file];
}
