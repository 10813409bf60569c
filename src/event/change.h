#ifndef EVENT_CHANGE_H
#define EVENT_CHANGE_H

#include "base/buf.h"
#include "base/err.h"
#include "pg/pgoutput.h"
#include "pg/relation.h"

/* Does an insert, update or delete fit rel? Returns 0, or -1 with ERR_PROTO. */
int change_check(const struct relation *rel, const struct pgo_msg *msg,
    struct err *err);

/*
 * Appends the json_payload of an insert, update or delete: the new row, or for
 * a delete the old one (only its key columns, when that is all PostgreSQL
 * sent). A TOASTed value that an update did not change is taken from the old
 * row under REPLICA IDENTITY FULL and is otherwise left out.
 * Returns 0, or -1 with ERR_PROTO when msg does not fit rel, ERR_LIMIT when
 * the row does not fit json.
 */
int change_payload(struct buf *json, const struct relation *rel,
    const struct pgo_msg *msg, struct err *err);

#endif
