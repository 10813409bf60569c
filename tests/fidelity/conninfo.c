#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/outside.h"
#include "pg/conninfo.h"

/*
 * What walstream makes of connection strings. Reads lines of
 *
 *	TEXT [VARIABLE=VALUE]...
 *
 * where TEXT and VALUE are hexadecimal and the variables are the environment,
 * and answers each with one of
 *
 *	no TEXT
 *	ok KEYWORD=VALUE... host.password=VALUE...
 *
 * the error's text, or every setting that has a value and then, host by host,
 * the password ("-": none).
 */

static int
digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = strchr(digits, c);

	if (c == '\0' || p == NULL)
		abort();
	return (int)(p - digits);
}

/* In place. */
static char *
decode(char *hex)
{
	char *to = hex;

	for (const char *p = hex; *p != '\0'; p += 2)
		*to++ = (char)(digit(p[0]) << 4 | digit(p[1]));
	*to = '\0';
	return hex;
}

static void
put(const char *text)
{
	for (; *text != '\0'; text++)
		printf("%02x", (unsigned char)*text);
}

static void
answer(const char *text)
{
	struct conninfo ci;
	struct err err;

	if (conninfo_parse(&ci, text, &outside, &err) == -1) {
		printf("no ");
		put(err.text);
		putchar('\n');
		return;
	}
	printf("ok");
	for (int i = 0; i < CI_SETTINGS; i++) {
		if (ci.text[i] == NULL)
			continue;
		printf(" %s=", conninfo_keyword((enum conninfo_id)i));
		put(ci.text[i]);
	}
	for (size_t i = 0; i < ci.hosts; i++) {
		printf(" host.password=");
		if (ci.host[i].password == NULL)
			putchar('-');
		else
			put(ci.host[i].password);
	}
	putchar('\n');
	conninfo_free(&ci);
}

int
main(void)
{
	char *line = NULL, *text, *variable, *value, *rest;
	size_t cap = 0;

	log_set_level(LOG_ERROR);
	while (getline(&line, &cap, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		rest = line;
		text = decode(strsep(&rest, " "));
		clearenv();
		while ((variable = strsep(&rest, " ")) != NULL) {
			value = strchr(variable, '=');
			*value++ = '\0';
			if (setenv(variable, decode(value), 1) == -1)
				abort();
		}
		outside_init();
		answer(text);
	}
	free(line);
	return 0;
}
