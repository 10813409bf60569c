#ifndef EVENT_VALUE_H
#define EVENT_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Appends one column value to json, as row_to_json prints it. text is the
 * type's output in a session with DateStyle=ISO and TimeZone=UTC. The form is
 * chosen by the type's OID, never by what the text looks like; a type that has
 * no form of its own is its text as a string.
 */
void
value_put(struct buf *json, uint32_t type_oid, const char *text, size_t len);

#endif
