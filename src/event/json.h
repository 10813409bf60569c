#ifndef EVENT_JSON_H
#define EVENT_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * JSON as PostgreSQL writes it (json.c: escape_json, row_to_json).
 */

/* Appends n bytes of UTF-8 as a quoted string: \b \f \n \r \t \" \\ by name,
 * other bytes below 0x20 as \u00xx, everything else as it is. */
void json_put_string(struct buf *json, const char *p, size_t n);

/* Is this a number of the JSON grammar (RFC 8259, section 6)? */
bool json_is_number(const char *p, size_t n);

#endif
