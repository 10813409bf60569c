#include "pg/timeline.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The start of a line, up to the reason. */
#define LINE_MAX_USED 64

static const char *
skip_space(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

/* The number in front, or 0; *s is then behind it. */
static uint32_t
take_number(const char **s)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)**s))
		return 0;
	errno = 0;
	number = strtoul(*s, &end, 10);
	*s = end;
	return errno != 0 || number > UINT32_MAX ? 0 : (uint32_t)number;
}

/* line is modified. Returns 1, 0 for one that does not count, or -1. */
static int
parse_line(char *line, uint32_t *tli, lsn_t *left_lsn)
{
	const char *s = skip_space(line), *lsn;

	if (*s == '\0' || *s == '#')
		return 0;
	*tli = take_number(&s);
	lsn = skip_space(s);
	if (*tli == 0 || lsn == s)
		return -1;
	line[(size_t)(lsn - line) + strcspn(lsn, " \t\r\n")] = '\0';
	return lsn_parse(lsn, left_lsn) == -1 ? -1 : 1;
}

int
timeline_read(struct timeline *t, const char *text, size_t n, uint32_t tli,
    struct err *err)
{
	const char *end = text + n, *eol, *next;
	uint32_t number, before = 0;
	char line[LINE_MAX_USED];
	size_t len;
	lsn_t lsn;
	int got;

	*t = (struct timeline){ 0, 0 };
	for (; text < end; text = next) {
		eol = memchr(text, '\n', (size_t)(end - text));
		next = eol == NULL ? end : eol + 1;
		len = (size_t)((eol == NULL ? end : eol) - text);
		len = len < sizeof(line) - 1 ? len : sizeof(line) - 1;
		memcpy(line, text, len);
		line[len] = '\0';
		if ((got = parse_line(line, &number, &lsn)) == 0)
			continue;
		if (got == -1 || number <= before)
			return err_set(err, ERR_PROTO,
			    "the server's timeline history is malformed after "
			    "timeline %u",
			    before);
		before = number;
		if (number < tli)
			t->began_lsn = lsn;
		else if (number == tli)
			t->left_lsn = lsn;
	}
	return 0;
}
