#include "feed/tokens.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* What has no character of these in it matches no schema.table. */
#define TABLE_LIKE ".*?[\\"

/* The rest of a line. */
struct line {
	const char *p, *end;
	unsigned number;
};

/* The lines of a text. */
struct lines {
	const char *p, *end;
	struct line line;
};

struct field {
	const char *p;
	size_t n;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Sets line->line to the next one. False at the end. */
static bool
next_line(struct lines *l)
{
	const char *end;

	if (l->p == l->end)
		return false;
	end = memchr(l->p, '\n', (size_t)(l->end - l->p));
	l->line.p = l->p;
	l->line.end = end == NULL ? l->end : end;
	l->line.number++;
	l->p = end == NULL ? l->end : end + 1;
	if (l->line.end > l->line.p && l->line.end[-1] == '\r')
		l->line.end--;
	return true;
}

/* What stands between blanks. False at the end of the line. */
static bool
next_field(struct line *l, struct field *f)
{
	while (l->p < l->end && is_blank(*l->p))
		l->p++;
	f->p = l->p;
	while (l->p < l->end && !is_blank(*l->p))
		l->p++;
	f->n = (size_t)(l->p - f->p);
	return f->n > 0;
}

/* The token of the next line that has one. False at the end of the text. */
static bool
next_token(struct lines *l, struct field *f)
{
	while (next_line(l))
		if (next_field(&l->line, f) && *f->p != '#')
			return true;
	return false;
}

static int
wrong(const struct line *l, struct err *err, const char *why)
{
	return err_set(err, ERR_USAGE, "line %u: %s", l->number, why);
}

static int
check_token(const struct line *l, const struct field *f, struct err *err)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->p[i] <= ' ' || f->p[i] > '~')
			return wrong(l, err,
			    "a token is of printable ASCII characters");
	if (f->n < TOKEN_MIN)
		return err_set(err, ERR_USAGE,
		    "line %u: a token has at least %d characters", l->number,
		    TOKEN_MIN);
	if (f->n > TOKEN_MAX)
		return err_set(err, ERR_USAGE,
		    "line %u: a token has at most %d characters", l->number,
		    TOKEN_MAX);
	return 0;
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* No name looks like a glob, so that none is taken for one. */
static int
check_name(const struct line *l, const struct field *f, struct err *err)
{
	for (size_t i = 0; i < f->n; i++)
		if (!is_name_char(f->p[i]))
			return wrong(l, err,
			    "behind the token comes a name of letters, digits, "
			    "- and _, and then globs");
	if (f->n > TOKEN_MAX_NAME)
		return wrong(l, err, "the name is too long");
	return 0;
}

static int
check_glob(const struct line *l, const struct field *f, struct err *err)
{
	bool table_like = false;

	for (size_t i = 0; i < f->n; i++) {
		if ((unsigned char)f->p[i] < ' ' || f->p[i] == '\177')
			return wrong(l, err,
			    "there is a control character in a glob");
		table_like |= strchr(TABLE_LIKE, f->p[i]) != NULL;
	}
	if (!utf8_valid(f->p, f->n))
		return wrong(l, err, "a glob is not UTF-8");
	if (f->n > TOKEN_MAX_GLOB)
		return wrong(l, err, "a glob is too long");
	if (!table_like)
		return wrong(l, err,
		    "a glob that matches no schema.table: \"public.\" may be "
		    "missing");
	return 0;
}

static char *
copy(const struct field *f, struct err *err)
{
	char *s = strndup(f->p, f->n);

	if (s == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	return s;
}

static int
add_glob(struct token *t, const struct line *l, const struct field *f,
    struct err *err)
{
	char **glob;

	if (check_glob(l, f, err) == -1)
		return -1;
	glob = realloc(t->glob, (t->may.n + 1) * sizeof(*glob));
	if (glob == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	t->glob = glob;
	t->may.glob = glob;
	if ((glob[t->may.n] = copy(f, err)) == NULL)
		return -1;
	t->may.n++;
	return 0;
}

/* What follows the token f on its line. */
static int
read_token(struct token *t, struct line *l, struct field *f, struct err *err)
{
	static const struct field none = { "", 0 };

	if (check_token(l, f, err) == -1)
		return -1;
	t->line = l->number;
	if (secret_digest(t->digest, f->p, f->n) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (!next_field(l, f))
		*f = none;
	if (check_name(l, f, err) == -1 || (t->name = copy(f, err)) == NULL)
		return -1;
	while (next_field(l, f))
		if (add_glob(t, l, f, err) == -1)
			return -1;
	return 0;
}

/* Room for one more, zeroed; NULL when out of memory. */
static struct token *
add_token(struct tokens *ts)
{
	struct token *t;

	/* When n is a power of two, room for as many again. */
	if ((ts->n & (ts->n - 1)) == 0) {
		t = calloc(ts->n == 0 ? 1 : ts->n * 2, sizeof(*t));
		if (t == NULL)
			return NULL;
		if (ts->n > 0)
			memcpy(t, ts->token, ts->n * sizeof(*t));
		free(ts->token);
		ts->token = t;
	}
	return &ts->token[ts->n++];
}

static int
read_all(struct tokens *ts, const char *text, size_t n, struct err *err)
{
	struct lines l = { .p = text, .end = text + n };
	const struct token *same;
	struct token *t;
	struct field f;

	while (next_token(&l, &f)) {
		if (ts->n == TOKENS_MAX)
			return err_set(err, ERR_USAGE,
			    "line %u: more than %d tokens", l.line.number,
			    TOKENS_MAX);
		if ((t = add_token(ts)) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (read_token(t, &l.line, &f, err) == -1)
			return -1;
		same = tokens_same(ts, t);
		if (same != t)
			return err_set(err, ERR_USAGE,
			    "line %u: the token of line %u again", t->line,
			    same->line);
	}
	if (ts->n == 0)
		return err_set(err, ERR_USAGE, "there is no token in it");
	return 0;
}

struct tokens *
tokens_parse(const char *text, size_t n, struct err *err)
{
	struct tokens *ts = calloc(1, sizeof(*ts));

	if (ts == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	ts->refs = 1;
	if (read_all(ts, text, n, err) == 0)
		return ts;
	tokens_unref(ts);
	return NULL;
}

struct tokens *
tokens_ref(struct tokens *ts)
{
	ts->refs++;
	return ts;
}

static void
token_free(struct token *t)
{
	OPENSSL_cleanse(t->digest, sizeof(t->digest));
	free(t->name);
	for (size_t i = 0; i < t->may.n; i++)
		free(t->glob[i]);
	free(t->glob);
}

void
tokens_unref(struct tokens *ts)
{
	if (ts == NULL || --ts->refs > 0)
		return;
	for (size_t i = 0; i < ts->n; i++)
		token_free(&ts->token[i]);
	free(ts->token);
	free(ts);
}

const struct token *
tokens_find(const struct tokens *ts, const uint8_t digest[SECRET_DIGEST])
{
	size_t found = ts->n, equal;

	/* No branch and no early end depends on what is found. */
	for (size_t i = 0; i < ts->n; i++) {
		equal = (size_t)0 -
		    (size_t)(CRYPTO_memcmp(ts->token[i].digest, digest,
				 SECRET_DIGEST) == 0);
		found = (found & ~equal) | (i & equal);
	}
	return found < ts->n ? &ts->token[found] : NULL;
}

const struct token *
tokens_same(const struct tokens *ts, const struct token *t)
{
	for (size_t i = 0; i < ts->n; i++)
		if (memcmp(ts->token[i].digest, t->digest, SECRET_DIGEST) == 0)
			return &ts->token[i];
	return NULL;
}

bool
tokens_have(const struct tokens *ts, const char *name)
{
	for (size_t i = 0; i < ts->n; i++)
		if (strcmp(ts->token[i].name, name) == 0)
			return true;
	return false;
}

bool
token_may_see(const struct token *t, const char *table)
{
	return filter_table(&t->may, table);
}

bool
token_same_rights(const struct token *a, const struct token *b)
{
	if (a->may.n != b->may.n)
		return false;
	for (size_t i = 0; i < a->may.n; i++)
		if (strcmp(a->glob[i], b->glob[i]) != 0)
			return false;
	return true;
}

int
tokens_first(const char *text, size_t n, const char **token, size_t *len,
    struct err *err)
{
	struct lines l = { .p = text, .end = text + n };
	struct field f;

	if (!next_token(&l, &f))
		return err_set(err, ERR_USAGE, "there is no token in it");
	*token = f.p;
	*len = f.n;
	return check_token(&l.line, &f, err);
}
