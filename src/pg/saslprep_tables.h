#ifndef PG_SASLPREP_TABLES_H
#define PG_SASLPREP_TABLES_H

#include <stddef.h>
#include <stdint.h>

/*
 * What saslprep.c looks up, made by saslprep_tables.py when walstream is built.
 * Rows are sorted; code points are of Unicode 3.2 (RFC 3454), Hangul syllables
 * are left to computation.
 */

/* What RFC 4013 does with a character. */
enum saslprep_kind {
	SASLPREP_PLAIN,
	SASLPREP_SPACE,   /* becomes U+0020 */
	SASLPREP_NOTHING, /* is left out */
	SASLPREP_REFUSED, /* prohibited, or not assigned */
	SASLPREP_RTL,     /* RandALCat: right to left */
	SASLPREP_LTR,     /* LCat: left to right */
};

/* Code point << 8 | the kind of all from there to the next row. */
extern const uint32_t saslprep_kinds[];
extern const size_t saslprep_kinds_count;

/* Code point << 8 | the combining class of all from there to the next row. */
extern const uint32_t saslprep_classes[];
extern const size_t saslprep_classes_count;

/* Code point << 14 | where in saslprep_texts its full compatibility
 * decomposition is: UTF-8, ended by a NUL. */
extern const uint32_t saslprep_decompositions[];
extern const size_t saslprep_decompositions_count;
extern const char saslprep_texts[];

/* Two characters and what they are in one, by first and second. */
struct saslprep_composition {
	uint16_t first, second, composite;
};
extern const struct saslprep_composition saslprep_compositions[];
extern const size_t saslprep_compositions_count;

#endif
