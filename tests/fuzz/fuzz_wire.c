#include <stdbool.h>

#include "fuzz.h"
#include "pg/replication.h"
#include "pg/wire.h"

/*
 * What a backend sends: the stream is cut into messages, and each is read as
 * all it may be. The first byte says whether the session is authenticated.
 */

/* An error has a kind, and a text that ends. */
static void
check_err(const struct err *err, bool server)
{
	assert(err->kind == ERR_PROTO || (server && err->kind == ERR_SERVER));
	assert(memchr(err->text, '\0', sizeof(err->text)) != NULL);
	assert(memchr(err->sqlstate, '\0', sizeof(err->sqlstate)) != NULL);
	assert(*err->text != '\0');
}

static void
check_column(const struct wire_msg *msg, const struct wire_row *row, int i)
{
	const char *p = row->col[i].p, *body = (const char *)msg->body;
	size_t len = row->col[i].len;
	char text[16], *dup = wire_row_dup(row, i);

	wire_row_text(row, i, text, sizeof(text));
	assert(memchr(text, '\0', sizeof(text)) != NULL);
	assert((p == NULL) == (dup == NULL));
	if (p != NULL) {
		assert(p >= body && len <= msg->len - (size_t)(p - body));
		assert(strlen(dup) <= len);
		assert(strncmp(dup, text, strlen(text)) == 0);
	}
	free(dup);
}

/* The fields make up the message. */
static void
check_row(const struct wire_msg *msg)
{
	struct wire_row row;
	struct err err = { 0 };
	size_t len = 2;

	if (wire_row(msg, &row, &err) == -1) {
		check_err(&err, false);
		return;
	}
	assert(row.n <= WIRE_MAX_COLUMNS);
	for (int i = 0; i < row.n; i++) {
		check_column(msg, &row, i);
		len += 4 + row.col[i].len;
	}
	assert(len == msg->len);
	assert(wire_row_dup(&row, row.n) == NULL);
}

static void
check_repl(const struct wire_msg *msg)
{
	struct repl_msg repl;
	struct err err = { 0 };

	if (repl_parse(msg->body, msg->len, &repl, &err) == -1) {
		check_err(&err, false);
		return;
	}
	if (repl.type == REPL_XLOG_DATA)
		assert(repl.data + repl.len == msg->body + msg->len);
}

static void
check_message(const struct wire_msg *msg)
{
	/* Its own bytes, so that a read beyond them is seen. */
	void *body = fuzz_copy(msg->body, msg->len);
	struct wire_msg alone = { msg->type, body, msg->len };
	struct err err = { 0 };

	assert(wire_error(&alone, &err) == -1);
	check_err(&err, true);
	check_row(&alone);
	check_repl(&alone);
	free(body);
}

/* Half of what was a whole message is not one, and no error. */
static void
check_half(const uint8_t *p, size_t whole, bool authenticated)
{
	size_t want, half = whole / 2;
	void *copy = fuzz_copy(p, half);
	struct wire_msg msg;
	struct err err;

	assert(wire_cut(copy, half, authenticated, &msg, &want, &err) == 0);
	assert(want > half && want <= whole);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool authenticated = size > 0 && data[0] != '0';
	size_t left = size > 0 ? size - 1 : 0, want;
	uint8_t *copy = fuzz_copy(data + (size > 0), left), *p = copy;
	struct err err = { 0 };
	struct wire_msg msg;
	long n;

	while ((n = wire_cut(p, left, authenticated, &msg, &want, &err)) > 0) {
		assert((size_t)n <= left && msg.len + 5 == (size_t)n);
		assert(msg.body == p + 5 && msg.type == (char)*p);
		check_half(p, (size_t)n, authenticated);
		check_message(&msg);
		p += n;
		left -= (size_t)n;
	}
	if (n == -1)
		check_err(&err, false);
	else
		assert(want > left);
	free(copy);
	return 0;
}
