#ifndef FEED_TOKENS_H
#define FEED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"
#include "feed/filter.h"

/*
 * Bearer tokens: who may open streams, and what each may see. As text, a line
 * for each:
 *
 *	TOKEN [NAME [GLOB...]]
 *
 * between blanks or tabs. TOKEN is printable ASCII; NAME, of letters, digits,
 * '-' and '_', is for the log; each GLOB is over "schema.table", as feed/filter
 * matches it. Lines that are empty or begin with '#' say nothing; a line may
 * end in CRLF. Pure.
 */

#define TOKENS_MAX 1000
#define TOKEN_MIN 16 /* characters */
#define TOKEN_MAX 4096
#define TOKEN_MAX_NAME 63
#define TOKEN_MAX_GLOB 255

/* Of the token itself only the digest is kept. */
struct token {
	uint8_t digest[SECRET_DIGEST];
	unsigned line;
	char *name;        /* "" when it has none */
	char **glob;       /* as many as in may */
	struct filter may; /* no more than those globs; none: every table */
};

/* All tokens of a file; shared by those who were let in by one of them. */
struct tokens {
	struct token *token;
	size_t n;
	unsigned refs;
};

/* Reads n bytes of text, for one user. NULL with ERR_USAGE, which has the line
 * but never what is in it, or with ERR_NOMEM. */
struct tokens *tokens_parse(const char *text, size_t n, struct err *err);
struct tokens *tokens_ref(struct tokens *ts);
/* One user less; frees them with the last. NULL is none. */
void tokens_unref(struct tokens *ts);

/* The token with this digest, or NULL. Takes the same time for all: every token
 * is compared, to its end. */
const struct token *
tokens_find(const struct tokens *ts, const uint8_t digest[SECRET_DIGEST]);

/* Is there one of this name? */
bool tokens_have(const struct tokens *ts, const char *name);

/* The same token in another file, or NULL. For tokens that were let in before,
 * which time may tell apart: of 1000, a find takes 25 us, this one or two. */
const struct token *tokens_same(const struct tokens *ts, const struct token *t);

/* May it see the table ("schema.table")? */
bool token_may_see(const struct token *t, const char *table);
/* May both see the same, by the same globs? */
bool token_same_rights(const struct token *a, const struct token *b);

/* The first token of a text, as a client uses it: *len characters at *token, in
 * text. Returns 0, or -1 with ERR_USAGE as tokens_parse. */
int tokens_first(const char *text, size_t n, const char **token, size_t *len,
    struct err *err);

#endif
