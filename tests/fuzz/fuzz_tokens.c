#include "base/buf.h"
#include "feed/tokens.h"
#include "fuzz.h"

/*
 * Files of tokens. Where one is taken, a client finds its first token, and that
 * lets it in; comments and carriage returns change nothing; the tokens once
 * more are too many. Where none is taken, what is wrong is told without a word
 * of it.
 */

#define ROOM ((size_t)1 << 20)

static struct tokens *
parse(const struct buf *file, struct err *err)
{
	size_t n = buf_unread(file);
	char *copy = fuzz_copy(buf_head(file), n);
	struct tokens *ts = tokens_parse(copy, n, err);

	free(copy);
	return ts;
}

/* The file's lines, each with what goes before and behind it. */
static void
put_lines(struct buf *to, const uint8_t *p, size_t n, const char *before,
    const char *behind)
{
	const uint8_t *nl;
	size_t len;

	while (n > 0) {
		nl = memchr(p, '\n', n);
		len = nl == NULL ? n : (size_t)(nl - p);
		buf_put_str(to, before);
		buf_put(to, p, len);
		buf_put_str(to, len > 0 && p[len - 1] == '\r' ? "\n" : behind);
		len += nl != NULL;
		p += len;
		n -= len;
	}
}

static void
check_same(const struct tokens *a, const struct tokens *b)
{
	assert(b != NULL && a->n == b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert(tokens_find(b, a->token[i].digest) == &b->token[i]);
		assert(strcmp(a->token[i].name, b->token[i].name) == 0);
		assert(token_same_rights(&a->token[i], &b->token[i]));
		token_may_see(&a->token[i], "public.t");
	}
}

static void
check_first(const struct tokens *ts, const uint8_t *p, size_t n)
{
	uint8_t digest[SECRET_DIGEST];
	char *copy = fuzz_copy(p, n);
	const char *token;
	struct err err;
	size_t len;

	assert(tokens_first(copy, n, &token, &len, &err) == 0);
	assert(len >= TOKEN_MIN && len <= TOKEN_MAX);
	assert(secret_digest(digest, token, len) == 0);
	assert(tokens_find(ts, digest) == &ts->token[0]);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { .kind = ERR_NONE };
	struct tokens *ts, *again;
	struct buf file;

	buf_init(&file, ROOM);
	buf_put(&file, data, size);
	ts = parse(&file, &err);
	if (ts == NULL) {
		assert(err.kind == ERR_USAGE);
		buf_free(&file);
		return 0;
	}
	check_first(ts, data, size);
	buf_reset(&file);
	put_lines(&file, data, size, "# c\r\n\n", "\t \r\n");
	again = parse(&file, &err);
	check_same(ts, again);
	tokens_unref(again);
	buf_put(&file, data, size);
	assert(parse(&file, &err) == NULL);
	tokens_unref(ts);
	buf_free(&file);
	return 0;
}
