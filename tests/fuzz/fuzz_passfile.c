#include "base/buf.h"
#include "fuzz.h"
#include "pg/passfile.h"

/*
 * Password files. The input is a host, a database, a user and a password, each
 * a line, and the file. A line made of the first four, escaped, gives that
 * password, wherever it is put before others that match; a comment changes
 * nothing, nor do carriage returns.
 */

#define ROOM ((size_t)1 << 20)

/* The next line as a string of its own; *at is moved behind it. */
static char *
line(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *nl = memchr(*at, '\n', (size_t)(end - *at));
	char *s =
	    strndup((const char *)*at, (size_t)((nl == NULL ? end : nl) - *at));

	if (s == NULL)
		abort();
	*at = nl == NULL ? end : nl + 1;
	return s;
}

static char *
find(const struct buf *file, const struct passfile_key *key)
{
	size_t n = buf_unread(file);
	char *copy = fuzz_copy(buf_head(file), n);
	char *password = passfile_find(copy, n, key);

	assert(password == NULL || strlen(password) < n);
	assert(password == NULL || strchr(password, '\n') == NULL);
	free(copy);
	return password;
}

static void
expect(const struct buf *file, const struct passfile_key *key, const char *want)
{
	char *got = find(file, key);

	assert(
	    got == NULL || want == NULL ? got == want : strcmp(got, want) == 0);
	free(got);
}

static void
put_escaped(struct buf *file, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == ':' || *s == '\\' || *s == '*')
			buf_put_u8(file, '\\');
		buf_put_u8(file, (uint8_t)*s);
	}
	buf_put_u8(file, ':');
}

static void
put_line(struct buf *file, const struct passfile_key *key, const char *password)
{
	put_escaped(file, *key->host == '\0' ? "localhost" : key->host);
	put_escaped(file, key->port);
	put_escaped(file, key->dbname);
	put_escaped(file, key->user);
	put_escaped(file, password);
	buf_put_str(file, "\r\n");
}

/* May this host be at the start of a line? */
static int
can_be_written(const struct passfile_key *key)
{
	return *key->host != '#' && *key->dbname != '\0' && *key->user != '\0';
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data, *end = data + size;
	char *host = line(&at, end), *dbname = line(&at, end);
	char *user = line(&at, end), *password = line(&at, end), *got;
	struct passfile_key key = { host, "5432", dbname, user };
	size_t left = (size_t)(end - at);
	struct buf file;

	buf_init(&file, ROOM);
	buf_put(&file, at, left);
	got = find(&file, &key);
	buf_reset(&file);
	buf_put_str(&file, "#*:*:*:*:no\r\n\r\n:\n*\n");
	buf_put(&file, at, left);
	expect(&file, &key, got);
	free(got);
	if (can_be_written(&key)) {
		buf_reset(&file);
		put_line(&file, &key, password);
		buf_put(&file, at, left);
		expect(&file, &key, password);
	}
	buf_free(&file);
	free(host);
	free(dbname);
	free(user);
	free(password);
	return 0;
}
