#ifndef EVENT_LITERAL_H
#define EVENT_LITERAL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Cuts the texts of arrays, composite values and hstores (PostgreSQL,
 * "Array Input and Output Syntax", "Composite Type Input and Output Syntax",
 * "hstore") into their items. They are cut in place: an item's quoting is
 * undone where it stands, so the text is good for one pass.
 */

/* What is left of the text. */
struct literal {
	char *p, *end;
};

struct literal_item {
	char *p; /* NULL: SQL NULL */
	size_t len;
};

/* Is the next character c? Then it is passed over. */
bool literal_skip(struct literal *l, char c);

/* "[2:3][1:4]=", which an array with unusual bounds has in front. False when
 * it is malformed; passes over it, if it is there. */
bool literal_bounds(struct literal *l);

/* Each takes the item at l and what it is written in; the delimiter behind it
 * stays. False when there is no item. An unquoted NULL is SQL NULL. */
bool literal_element(struct literal *l, char delim, struct literal_item *item);
/* An attribute of a composite value; nothing at all is SQL NULL. */
bool literal_attribute(struct literal *l, struct literal_item *item);
/* A key or value of an hstore. */
bool literal_hstore(struct literal *l, struct literal_item *item);

#endif
