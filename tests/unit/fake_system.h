#ifndef TESTS_FAKE_SYSTEM_H
#define TESTS_FAKE_SYSTEM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "pg/conninfo.h"

/*
 * A world for conninfo_parse: variables and files that a test puts there. To
 * be included after <cmocka.h>.
 */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FAKES 8

static struct {
	const char *name;
	char *value;
} fake_vars[FAKES];

static struct {
	const char *path, *text;
	size_t len;
	bool secret; /* was it read as one? */
	int reads;
} fake_files[FAKES];

static char *
fake_env(const char *name)
{
	for (size_t i = 0; i < FAKES; i++)
		if (fake_vars[i].name != NULL &&
		    strcmp(fake_vars[i].name, name) == 0)
			return fake_vars[i].value;
	return NULL;
}

/* NULL text is a file that cannot be read. */
static int
fake_read(const char *path, bool secret, struct buf *text, struct err *err)
{
	for (size_t i = 0; i < FAKES; i++) {
		if (fake_files[i].path == NULL ||
		    strcmp(fake_files[i].path, path) != 0)
			continue;
		fake_files[i].secret = secret;
		fake_files[i].reads++;
		if (fake_files[i].text == NULL)
			return err_set(err, ERR_IO, "cannot read %s", path);
		buf_put(text, fake_files[i].text, fake_files[i].len);
		return 1;
	}
	return 0;
}

static struct conninfo_system fake = { fake_env, "os", "/home", fake_read };

/* Sets a variable, for this test. */
static inline void
fake_set(const char *name, const char *value)
{
	size_t i = 0;

	while (fake_vars[i].name != NULL && strcmp(fake_vars[i].name, name))
		if (++i == FAKES)
			abort();
	free(fake_vars[i].value);
	fake_vars[i].name = name;
	fake_vars[i].value = strdup(value);
}

/* Writes a file, for this test; returns its place in fake_files. */
static inline size_t
fake_bytes(const char *path, const char *text, size_t len)
{
	size_t i = 0;

	while (fake_files[i].path != NULL && strcmp(fake_files[i].path, path))
		if (++i == FAKES)
			abort();
	fake_files[i].path = path;
	fake_files[i].text = text;
	fake_files[i].len = len;
	fake_files[i].reads = 0;
	return i;
}

static inline size_t
fake_file(const char *path, const char *text)
{
	return fake_bytes(path, text, text == NULL ? 0 : strlen(text));
}

/* Also the setup of every test. */
static int
fake_clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < FAKES; i++)
		free(fake_vars[i].value);
	memset(fake_vars, 0, sizeof(fake_vars));
	memset(fake_files, 0, sizeof(fake_files));
	fake.user = "os";
	fake.home = "/home";
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_clear, fake_clear)

/* As conninfo_parse; the text ends at a guard page. */
static int
parse(struct conninfo *ci, const char *text, struct err *err)
{
	size_t n = text == NULL ? 0 : strlen(text) + 1;
	char *copy = text == NULL ? NULL : (char *)guard_copy(text, n);
	int rc;

	memset(ci, 0xa5, sizeof(*ci));
	memset(err, 0, sizeof(*err));
	rc = conninfo_parse(ci, copy, &fake, err);
	if (text != NULL)
		guard_free((uint8_t *)copy, n);
	return rc;
}

/* Like assert_string_equal, but NULL is a value and a failure names text. */
static void
expect(const char *text, const char *what, const char *got, const char *want)
{
	if (got == NULL || want == NULL ? got != want : strcmp(got, want) != 0)
		fail_msg("%s: %s is \"%s\" instead of \"%s\"",
		    text == NULL ? "(null)" : text, what,
		    got == NULL ? "-" : got, want == NULL ? "-" : want);
}

/* Takes "keyword=value" off a list that '|' separates; returns its id. */
static int
fake_next(const char **list, char *value, size_t cap)
{
	size_t n = strcspn(*list, "|"), key = strcspn(*list, "=");

	for (int i = 0; i < CI_SETTINGS; i++) {
		const char *name = conninfo_keyword((enum conninfo_id)i);

		if (strlen(name) != key || strncmp(name, *list, key) != 0)
			continue;
		snprintf(value, cap, "%.*s", (int)(n - key - 1),
		    *list + key + 1);
		*list += n + ((*list)[n] == '|');
		return i;
	}
	fail_msg("no setting: %s", *list);
	return -1;
}

/*
 * Parsing text sets what the list has, "keyword=value|...", and nothing else:
 * all others are as they are without a text. A value of "-" is none.
 */
static inline void
assert_parses(const char *text, const char *list)
{
	struct conninfo ci, without;
	char value[1024];
	bool named[CI_SETTINGS] = { false };
	struct err err;
	int id;

	if (parse(&ci, text, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	while (*list != '\0') {
		id = fake_next(&list, value, sizeof(value));
		expect(text, conninfo_keyword((enum conninfo_id)id),
		    ci.text[id], strcmp(value, "-") == 0 ? NULL : value);
		named[id] = true;
	}
	if (named[CI_USER] && !named[CI_DBNAME]) {
		expect(text, "dbname", ci.text[CI_DBNAME], ci.text[CI_USER]);
		named[CI_DBNAME] = true;
	}
	assert_int_equal(parse(&without, NULL, &err), 0);
	for (int i = 0; i < CI_SETTINGS; i++)
		if (!named[i])
			expect(text, conninfo_keyword((enum conninfo_id)i),
			    ci.text[i], without.text[i]);
	conninfo_free(&without);
	conninfo_free(&ci);
	assert_null(ci.text[CI_USER]);
	assert_null(ci.host);
}

static inline void
assert_fails(const char *text, enum err_kind kind, const char *says)
{
	struct conninfo ci;
	struct err err;

	if (parse(&ci, text, &err) == 0)
		fail_msg("accepted: %s", text == NULL ? "(null)" : text);
	if (err.kind != kind)
		fail_msg("%s: %d: %s", text, err.kind, err.text);
	if (strstr(err.text, says) == NULL)
		fail_msg("%s: no \"%s\" in: %s", text, says, err.text);
	for (int i = 0; i < CI_SETTINGS; i++)
		assert_null(ci.text[i]);
	assert_null(ci.host);
}

static inline void
assert_refused(const char *text, const char *says)
{
	assert_fails(text, ERR_USAGE, says);
}

#endif
