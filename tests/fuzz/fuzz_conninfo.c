#include "base/buf.h"
#include "fuzz.h"
#include "pg/conninfo.h"
#include "pg/uri.h"

/*
 * Connection strings, as keywords and values or as URIs. What one means, its
 * settings written down with quotes mean again; and after a password that has
 * been given no error repeats a word of what follows.
 */

#define ROOM ((size_t)1 << 20)

static char *
no_env(const char *name)
{
	(void)name;
	return NULL;
}

/* Every file is there, and has a service and a password. */
static int
one_file(const char *path, bool secret, struct buf *text, struct err *err)
{
	(void)path;
	(void)err;
	buf_put_str(text, secret ? "*:*:*:*:p\n" : "[s]\nport=7\n");
	return 1;
}

static const struct conninfo_system sys = { no_env, "os", "/home", one_file };

/* As conninfo_parse, of a text in as many bytes as it needs. */
static int
parse(struct conninfo *ci, const char *text, struct err *err)
{
	char *copy = fuzz_copy(text, strlen(text) + 1);
	int rc;

	memset(err, 0, sizeof(*err));
	rc = conninfo_parse(ci, copy, &sys, err);
	assert(rc == 0 || err->kind == ERR_USAGE);
	assert(rc == 0 || *err->text != '\0');
	free(copy);
	return rc;
}

static void
same(const char *a, const char *b)
{
	assert(a == NULL || b == NULL ? a == b : strcmp(a, b) == 0);
}

static void
check_same(const struct conninfo *a, const struct conninfo *b)
{
	for (int i = 0; i < CI_SETTINGS; i++) {
		same(a->text[i], b->text[i]);
		assert(a->value[i] == b->value[i]);
	}
	assert(a->hosts == b->hosts && a->hosts > 0);
	assert(a->auth_allowed == b->auth_allowed);
	for (size_t i = 0; i < a->hosts; i++) {
		same(a->host[i].host, b->host[i].host);
		same(a->host[i].hostaddr, b->host[i].hostaddr);
		same(a->host[i].port, b->host[i].port);
		same(a->host[i].password, b->host[i].password);
	}
}

static void
check_hosts(const struct conninfo *ci)
{
	for (size_t i = 0; i < ci->hosts; i++) {
		int port = atoi(ci->host[i].port);

		assert(port > 0 && port < 65536);
		assert(strchr(ci->host[i].host, ',') == NULL);
		assert(strchr(ci->host[i].hostaddr, ',') == NULL);
	}
}

/* Every setting, as keyword='value'. */
static void
write_down(const struct conninfo *ci, struct buf *out)
{
	for (int i = 0; i < CI_SETTINGS; i++) {
		if (ci->text[i] == NULL)
			continue;
		buf_put_str(out, conninfo_keyword((enum conninfo_id)i));
		buf_put_str(out, "='");
		for (const char *p = ci->text[i]; *p != '\0'; p++) {
			if (*p == '\'' || *p == '\\')
				buf_put_u8(out, '\\');
			buf_put_u8(out, (uint8_t)*p);
		}
		buf_put_str(out, "' ");
	}
}

static void
round_trip(const char *text)
{
	struct conninfo first, second;
	struct buf written;
	struct err err;

	if (parse(&first, text, &err) == -1)
		return;
	check_hosts(&first);
	buf_init(&written, ROOM);
	write_down(&first, &written);
	if (parse(&second, buf_cstr(&written), &err) == -1)
		abort();
	check_same(&first, &second);
	conninfo_free(&second);
	conninfo_free(&first);
	buf_free(&written);
}

/* The text, behind a password. */
static void
no_word(const char *before, const char *text)
{
	struct conninfo ci;
	struct buf whole;
	struct err err;

	buf_init(&whole, ROOM);
	buf_put_str(&whole, before);
	buf_put_str(&whole, text);
	if (parse(&ci, buf_cstr(&whole), &err) == 0)
		conninfo_free(&ci);
	else
		assert(strstr(err.text, "PENCIL") == NULL);
	buf_free(&whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	const char *rest;

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	round_trip(text);
	no_word("password=PENCIL ", text);
	no_word("sslpassword='PENCIL'", text);
	rest = text + uri_scheme(text);
	no_word("postgres://u:PENCIL@", rest);
	if (*rest != '@' && strchr(rest, '@') != NULL) /* which ends it */
		no_word("postgres://u:", rest);
	free(text);
	return 0;
}
