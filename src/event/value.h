#ifndef EVENT_VALUE_H
#define EVENT_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "pg/typecat.h"

/*
 * Appends one column value to json, as row_to_json prints it. text is the
 * type's output in a session with DateStyle=ISO and TimeZone=UTC, valid UTF-8.
 * The form is chosen by what the catalogue says of the type, never by what the
 * text looks like. A type that has no form of its own is its text as a string.
 *
 * So is a text that does not have the form of its type. Then false is
 * returned: a composite type may have been altered since it was read. fresh
 * says that it has just been read: then a value with fewer attributes is older
 * than the last of them, and has the first ones, if none was ever dropped.
 * scratch is working memory.
 */
bool value_put(struct buf *json, const struct type *type, const char *text,
    size_t len, bool fresh, struct buf *scratch);

#endif
