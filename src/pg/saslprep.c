#include "pg/saslprep.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "pg/saslprep_tables.h"

/* Hangul syllables (The Unicode Standard, section 3.12): a leading consonant,
 * a vowel and perhaps a trailing consonant; that of index 0 is none. */
#define SYLLABLE 0xac00
#define LEADING 0x1100
#define VOWEL 0x1161
#define TRAILING 0x11a7
#define LEADINGS 19
#define VOWELS 21
#define TRAILINGS 28
#define SYLLABLES (LEADINGS * VOWELS * TRAILINGS)

/* Code points: n of cap. */
struct text {
	uint32_t *code;
	size_t n, cap;
};

static bool
text_init(struct text *t, size_t cap)
{
	t->n = 0;
	t->cap = cap;
	t->code = calloc(cap + 1, sizeof(*t->code));
	return t->code != NULL;
}

static void
text_free(struct text *t)
{
	if (t->code != NULL)
		OPENSSL_cleanse(t->code, (t->cap + 1) * sizeof(*t->code));
	free(t->code);
}

/* The next character of valid UTF-8. */
static uint32_t
decode(const char **text)
{
	const uint8_t *p = (const uint8_t *)*text;
	int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
	uint32_t code = more == 0 ? *p : *p & (0x3fu >> more);

	for (int i = 1; i <= more; i++)
		code = code << 6 | (p[i] & 0x3f);
	*text += more + 1;
	return code;
}

/* Returns where the next one goes. */
static char *
encode(char *to, uint32_t code)
{
	int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	unsigned lead = more == 0 ? 0 : (0xff00u >> (more + 1)) & 0xff;

	*to++ = (char)(lead | code >> 6 * more);
	while (more-- > 0)
		*to++ = (char)(0x80 | (code >> 6 * more & 0x3f));
	return to;
}

/* The last row whose code point, which is above shift, is not beyond code; or
 * else the first. */
static uint32_t
find(const uint32_t *rows, size_t count, int shift, uint32_t code)
{
	size_t low = 0, high = count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (rows[middle] >> shift <= code)
			low = middle;
		else
			high = middle;
	}
	return rows[low];
}

static enum saslprep_kind
kind_of(uint32_t code)
{
	return find(saslprep_kinds, saslprep_kinds_count, 8, code) & 0xff;
}

static int
class_of(uint32_t code)
{
	return find(saslprep_classes, saslprep_classes_count, 8, code) & 0xff;
}

/* RFC 3454, sections 3, 5 and 6. False when the password is to stay as it is. */
static bool
map(struct text *t, const char *password)
{
	enum saslprep_kind first = SASLPREP_PLAIN, last = SASLPREP_PLAIN;
	bool rtl = false, ltr = false;

	while (*password != '\0') {
		uint32_t code = decode(&password);
		enum saslprep_kind kind = kind_of(code);

		if (kind == SASLPREP_REFUSED)
			return false;
		if (kind == SASLPREP_NOTHING)
			continue;
		first = t->n == 0 ? kind : first;
		last = kind;
		rtl |= kind == SASLPREP_RTL;
		ltr |= kind == SASLPREP_LTR;
		t->code[t->n++] = kind == SASLPREP_SPACE ? ' ' : code;
	}
	if (rtl && (ltr || first != SASLPREP_RTL || last != SASLPREP_RTL))
		return false;
	return t->n > 0;
}

static size_t
decompose_hangul(uint32_t syllable, uint32_t *to)
{
	uint32_t trailing = syllable % TRAILINGS;

	if (to != NULL) {
		to[0] = LEADING + syllable / TRAILINGS / VOWELS;
		to[1] = VOWEL + syllable / TRAILINGS % VOWELS;
		if (trailing > 0)
			to[2] = TRAILING + trailing;
	}
	return trailing > 0 ? 3 : 2;
}

/* Returns how many code points that takes; to may be NULL. */
static size_t
decompose(uint32_t code, uint32_t *to)
{
	uint32_t row = find(saslprep_decompositions,
	    saslprep_decompositions_count, 14, code);
	size_t n = 0;

	if (code >= SYLLABLE && code < SYLLABLE + SYLLABLES)
		return decompose_hangul(code - SYLLABLE, to);
	if (row >> 14 != code) {
		if (to != NULL)
			*to = code;
		return 1;
	}
	for (const char *p = &saslprep_texts[row & 0x3fff]; *p != '\0'; n++) {
		uint32_t part = decode(&p);

		if (to != NULL)
			to[n] = part;
	}
	return n;
}

static bool
decompose_all(struct text *to, const struct text *from)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++)
		n += decompose(from->code[i], NULL);
	if (!text_init(to, n))
		return false;
	for (size_t i = 0; i < from->n; i++)
		to->n += decompose(from->code[i], to->code + to->n);
	return true;
}

/* Sorts the marks that follow each other by class; equals keep their order. */
static void
reorder(struct text *t)
{
	for (size_t i = 1; i < t->n; i++) {
		uint32_t code = t->code[i];
		int class = class_of(code);
		size_t at = i;

		for (; class > 0 && at > 0 && class_of(t->code[at - 1]) > class;
		     at--)
			t->code[at] = t->code[at - 1];
		t->code[at] = code;
	}
}

static uint32_t
compose_hangul(uint32_t first, uint32_t second)
{
	uint32_t leading = first - LEADING, vowel = second - VOWEL;
	uint32_t syllable = first - SYLLABLE, trailing = second - TRAILING;

	if (leading < LEADINGS && vowel < VOWELS)
		return SYLLABLE + (leading * VOWELS + vowel) * TRAILINGS;
	if (syllable < SYLLABLES && syllable % TRAILINGS == 0 && trailing > 0 &&
	    trailing < TRAILINGS)
		return first + trailing;
	return 0;
}

/* What two characters are in one; 0 when they stay two. */
static uint32_t
compose(uint32_t first, uint32_t second)
{
	const struct saslprep_composition *c = saslprep_compositions;
	size_t low = 0, high = saslprep_compositions_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c[middle].first == first && c[middle].second == second)
			return c[middle].composite;
		if (c[middle].first < first ||
		    (c[middle].first == first && c[middle].second < second))
			low = middle + 1;
		else
			high = middle;
	}
	return compose_hangul(first, second);
}

/* A mark is joined with the starter before it, unless another mark that stays
 * is in between and is not of a lower class. */
static void
compose_all(struct text *t)
{
	size_t starter = 0, n = 1;
	int last = -1;

	for (size_t i = 1; i < t->n; i++) {
		int class = class_of(t->code[i]);
		uint32_t one =
		    last < class ? compose(t->code[starter], t->code[i]) : 0;

		if (one != 0) {
			t->code[starter] = one;
			continue;
		}
		if (class == 0)
			starter = n;
		last = class == 0 ? -1 : class;
		t->code[n++] = t->code[i];
	}
	t->n = n;
}

static char *
to_utf8(const struct text *t)
{
	char *s = malloc(4 * t->n + 1), *to = s;

	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < t->n; i++)
		to = encode(to, t->code[i]);
	*to = '\0';
	return s;
}

static bool
is_ascii(const char *s)
{
	while (*s != '\0' && (*s & 0x80) == 0)
		s++;
	return *s == '\0';
}

char *
saslprep(const char *password)
{
	size_t len = strlen(password);
	struct text mapped, nfkc = { NULL, 0, 0 };
	char *s = NULL;

	if (is_ascii(password) || !utf8_valid(password, len))
		return strdup(password);
	if (!text_init(&mapped, len))
		return NULL;
	if (!map(&mapped, password)) {
		s = strdup(password);
	} else if (decompose_all(&nfkc, &mapped)) {
		reorder(&nfkc);
		compose_all(&nfkc);
		s = to_utf8(&nfkc);
	}
	text_free(&mapped);
	text_free(&nfkc);
	return s;
}
