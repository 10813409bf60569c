#ifndef EVENT_SHAPE_H
#define EVENT_SHAPE_H

#include "base/buf.h"
#include "base/err.h"
#include "pg/relation.h"
#include "pg/typecat.h"

/* Are the names of rel and its columns valid UTF-8? Returns 0, or -1 with
 * ERR_DATA. */
int shape_check(const struct relation *rel, struct err *err);

/* Appends a ServerMessage with the RelationEvent of rel, whose types are in
 * types; sets out->failed when it does not fit. */
void shape_put(struct buf *out, const struct relation *rel,
    const struct typecat *types);

#endif
