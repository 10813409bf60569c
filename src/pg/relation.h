#ifndef PG_RELATION_H
#define PG_RELATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pg/oidmap.h"
#include "pg/pgoutput.h"
#include "pg/typecat.h"

/*
 * The tables the server has described on this connection, by OID. A Relation
 * message replaces what was known; nothing outlives the connection.
 */

struct relation_column {
	const char *name;
	const char *label; /* its owner's, in labels; NULL at first */
	size_t label_len;
	uint32_t type_oid;
	int32_t typmod;
	bool key;
	const struct type *type; /* its owner's; NULL at first */
};

struct relation {
	uint32_t oid;
	char identity; /* pg_class.relreplident: d, n, f, i */
	uint16_t n;
	uint32_t tag; /* its owner's; 0 at first */
	bool records; /* its owner's: a column has composite values in it */
	const char *schema, *name;
	char *labels; /* its owner's, freed with the relation; NULL at first */
	struct relation_column col[];
};

struct relation_cache {
	struct oidmap map;
};

void relation_cache_init(struct relation_cache *c);
/* Forgets everything; the cache can be used again. */
void relation_cache_free(struct relation_cache *c);

/* Copies what msg says. Returns the relation, or NULL with ERR_NOMEM. */
struct relation *relation_cache_put(struct relation_cache *c,
    const struct pgo_relation *msg, struct err *err);

/* The relation, valid until it is put again or the cache is freed; or NULL. */
const struct relation *
relation_cache_get(const struct relation_cache *c, uint32_t oid);

#endif
