#include "event/literal.h"

#include <string.h>

/*
 * array     := [('[' int ':' int ']')+ '='] body
 * body      := '{' [item (delim item)*] '}'
 * item      := body | NULL | '"' (char | '\' any)* '"' | plain
 * composite := '(' [attribute (',' attribute)*] ')'
 * attribute := ((plain | '"' (char | '""' | '\' any)* '"')*)	nothing: NULL
 * hstore    := [pair (', ' pair)*]
 * pair      := string '=>' (string | NULL)
 */

bool
literal_skip(struct literal *l, char c)
{
	if (l->p == l->end || *l->p != c)
		return false;
	l->p++;
	return true;
}

static bool
skip_number(struct literal *l)
{
	char *from;

	literal_skip(l, '-');
	for (from = l->p; l->p < l->end && *l->p >= '0' && *l->p <= '9'; l->p++)
		;
	return l->p > from;
}

bool
literal_bounds(struct literal *l)
{
	if (l->p == l->end || *l->p != '[')
		return true;
	while (literal_skip(l, '['))
		if (!skip_number(l) || !literal_skip(l, ':') ||
		    !skip_number(l) || !literal_skip(l, ']'))
			return false;
	return literal_skip(l, '=');
}

/* Behind an opening quote: up to the closing one. twice: a quote inside is
 * written as two. */
static bool
quoted(struct literal *l, bool twice, struct literal_item *item)
{
	char *to = l->p;

	item->p = to;
	for (; l->p < l->end; l->p++) {
		if (*l->p == '\\' && l->p + 1 < l->end) {
			l->p++;
		} else if (*l->p == '"' && twice && l->p + 1 < l->end &&
		    l->p[1] == '"') {
			l->p++;
		} else if (*l->p == '"') {
			l->p++;
			item->len = (size_t)(to - item->p);
			return true;
		}
		*to++ = *l->p;
	}
	return false;
}

/* Up to one of the characters in ends, which has to come. Characters in never
 * would have been quoted. */
static bool
plain(struct literal *l, const char *ends, const char *never,
    struct literal_item *item)
{
	item->p = l->p;
	while (l->p < l->end && (*l->p == '\0' || strchr(ends, *l->p) == NULL))
		if (*l->p == '\0' || strchr(never, *l->p++) != NULL)
			return false;
	item->len = (size_t)(l->p - item->p);
	return l->p < l->end;
}

static bool
is_null(const struct literal_item *item)
{
	return item->len == 4 && memcmp(item->p, "NULL", 4) == 0;
}

bool
literal_element(struct literal *l, char delim, struct literal_item *item)
{
	const char ends[] = { delim, '}', '\0' };

	if (literal_skip(l, '"'))
		return quoted(l, false, item);
	if (!plain(l, ends, "{\"\\", item) || item->len == 0)
		return false;
	if (is_null(item))
		item->p = NULL;
	return true;
}

bool
literal_attribute(struct literal *l, struct literal_item *item)
{
	if (literal_skip(l, '"'))
		return quoted(l, true, item);
	if (!plain(l, ",)", "(\"\\", item))
		return false;
	if (item->len == 0)
		item->p = NULL;
	return true;
}

bool
literal_hstore(struct literal *l, struct literal_item *item)
{
	if (literal_skip(l, '"'))
		return quoted(l, false, item);
	if (l->end - l->p < 4)
		return false;
	*item = (struct literal_item){ l->p, 4 };
	l->p += 4;
	if (!is_null(item))
		return false;
	item->p = NULL;
	return true;
}
