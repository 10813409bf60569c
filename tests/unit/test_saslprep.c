#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/saslprep.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
	const char *name, *from, *to; /* NULL: it stays as it is */
};

static const struct row rows[] = {
	/* RFC 4013, section 3 */
	{ "soft hyphen", "I\xc2\xadX", "IX" },
	{ "ASCII", "user", NULL },
	{ "case", "USER", NULL },
	{ "feminine ordinal", "\xc2\xaa", "a" },
	{ "Roman numeral", "\xe2\x85\xa8", "IX" },
	{ "control character alone is ASCII", "\x07", NULL },
	{ "RTL, ends with a digit",
	    "\xd8\xa7"
	    "1",
	    NULL },
	/* as PostgreSQL's 002_saslprep has them */
	{ "empty", "", NULL },
	{ "control character", "foo\x07\xc2\xaa", NULL },
	{ "non-ASCII space",
	    "a\xc2\xa0"
	    "b",
	    "a b" },
	{ "zero width space is a space",
	    "a\xe2\x80\x8b"
	    "b",
	    "a b" },
	{ "nothing left", "\xc2\xad", NULL },
	{ "not UTF-8", "a\xffIX", NULL },
	{ "cut off", "a\xe2\x85", NULL },
	{ "RTL", "\xd8\xa7\xd8\xa8", NULL },
	{ "RTL and LTR", "\xd8\xa7x\xd8\xa7", NULL },
	{ "private use", "\xee\x80\x80\xc2\xaa", NULL },
	{ "tag", "\xf3\xa0\x80\x81\xc2\xaa", NULL },
	{ "unassigned in Unicode 3.2", "\xc8\xa1\xf0\x9f\x98\x80\xc2\xaa",
	    NULL },
	/* NFKC */
	{ "composed", "e\xcc\x81", "\xc3\xa9" },
	{ "is composed", "\xc3\xa9", NULL },
	{ "ligature", "\xef\xac\x81", "fi" },
	{ "marks are sorted", "q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87" },
	{ "only one of two", "a\xcc\x81\xcc\xa0\xcc\x81",
	    "\xc3\xa1\xcc\xa0\xcc\x81" },
	{ "two marks in one", "u\xcc\x88\xcc\x84", "\xc7\x96" },
	{ "not composed by rule", "\xe0\xa4\x95\xe0\xa4\xbc", NULL },
	{ "taken apart by rule", "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc" },
	{ "Hangul", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c" },
	{ "Hangul, no last one", "\xe1\x84\x92\xe1\x85\xa1", "\xed\x95\x98" },
	{ "Hangul stays", "\xed\x95\x9c\xea\xb5\xad", NULL },
	{ "full width", "\xef\xbc\xa1\xef\xbc\x91", "A1" },
	{ "Angstrom", "\xe2\x84\xab", "\xc3\x85" },
	{ "18 characters in one",
	    "\xef\xb7\xba"
	    "\xd8\xa7",
	    "\xd8\xb5\xd9\x84\xd9\x89 \xd8\xa7\xd9\x84\xd9\x84\xd9\x87 "
	    "\xd8\xb9\xd9\x84\xd9\x8a\xd9\x87 \xd9\x88\xd8\xb3\xd9\x84\xd9\x85"
	    "\xd8\xa7" },
};

static void
cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		const char *want = r->to == NULL ? r->from : r->to;
		char *got = saslprep(r->from);

		assert_non_null(got);
		if (strcmp(got, want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", r->name, got,
			    want);
		free(got);
	}
}

/* What a password becomes stays as it is, and it is UTF-8 of the same length or
 * another; every code point, alone and behind a letter. */
static void
idempotent(void **state)
{
	(void)state;
	for (uint32_t code = 0x80; code < 0x110000; code++) {
		char text[8];
		char *once, *twice;

		if (code >= 0xd800 && code < 0xe000)
			continue;
		if (code < 0x800)
			snprintf(text, sizeof(text), "a%c%c",
			    (char)(0xc0 | code >> 6),
			    (char)(0x80 | (code & 63)));
		else if (code < 0x10000)
			snprintf(text, sizeof(text), "a%c%c%c",
			    (char)(0xe0 | code >> 12),
			    (char)(0x80 | (code >> 6 & 63)),
			    (char)(0x80 | (code & 63)));
		else
			snprintf(text, sizeof(text), "a%c%c%c%c",
			    (char)(0xf0 | code >> 18),
			    (char)(0x80 | (code >> 12 & 63)),
			    (char)(0x80 | (code >> 6 & 63)),
			    (char)(0x80 | (code & 63)));
		for (int from = 0; from < 2; from++) {
			once = saslprep(text + from);
			assert_non_null(once);
			twice = saslprep(once);
			assert_non_null(twice);
			if (strcmp(once, twice) != 0)
				fail_msg("U+%04X is not stable", code);
			free(once);
			free(twice);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),
		cmocka_unit_test(idempotent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
