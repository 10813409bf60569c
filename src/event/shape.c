#include "event/shape.h"

#include <string.h>

#include "base/utf8.h"
#include "event/proto.h"

int
shape_check(const struct relation *rel, struct err *err)
{
	bool ok = utf8_valid(rel->schema, strlen(rel->schema)) &&
	    utf8_valid(rel->name, strlen(rel->name));

	for (uint16_t i = 0; i < rel->n; i++)
		ok &= utf8_valid(rel->col[i].name, strlen(rel->col[i].name));
	return ok ? 0
		  : err_set(err, ERR_DATA,
			"the table with OID %u has a name, or a column's, "
			"that is not valid UTF-8: rename it",
			rel->oid);
}

/* pg_class.relreplident as a ReplicaIdentity. */
static int
replica_identity(char relreplident)
{
	switch (relreplident) {
	case 'd':
		return 1;
	case 'n':
		return 2;
	case 'f':
		return 3;
	case 'i':
		return 4;
	default:
		return 0;
	}
}

void
shape_put(struct buf *out, const struct relation *rel,
    const struct typecat *types)
{
	struct event_column column[PGO_MAX_COLUMNS];
	struct event e = { .op = EVENT_RELATION,
		.schema = rel->schema,
		.table = rel->name,
		.oid = rel->oid,
		.identity = replica_identity(rel->identity),
		.column = column,
		.columns = rel->n };

	for (uint16_t i = 0; i < rel->n; i++)
		column[i] = (struct event_column){ rel->col[i].name,
			typecat_self(types, rel->col[i].type_oid)->name,
			rel->col[i].type_oid, rel->col[i].typmod,
			rel->col[i].key };
	proto_put_event(out, &e);
}
