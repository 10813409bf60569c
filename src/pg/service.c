#include "pg/service.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* The next line of *text without blanks around it; NULL at the end. */
static char *
next_line(char **text)
{
	char *line = *text, *end;

	if (*line == '\0')
		return NULL;
	end = line + strcspn(line, "\n");
	*text = *end == '\n' ? end + 1 : end;
	*end = '\0';
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return line + strspn(line, " \t\v\f\r");
}

static int
take(char *line, int number, uri_store *store, void *arg, struct err *err)
{
	char *value = strchr(line, '=');

	if (strncmp(line, "ldap", 4) == 0) /* a URL */
		return err_set(err, ERR_USAGE,
		    "line %d of the service file: LDAP is not supported",
		    number);
	if (value == NULL)
		return err_set(err, ERR_USAGE,
		    "line %d of the service file is no keyword=value", number);
	*value++ = '\0';
	if (strcmp(line, "service") == 0 || strcmp(line, "servicefile") == 0)
		return err_set(err, ERR_USAGE,
		    "line %d of the service file: a service cannot name "
		    "another",
		    number);
	if (store(arg, line, value, err) == 0)
		return 0;
	return err_prefix(err, "line %d of the service file", number);
}

int
service_find(char *text, const char *name, uri_store *store, void *arg,
    struct err *err)
{
	size_t n = strlen(name);
	bool inside = false;
	char *line;

	for (int number = 1; (line = next_line(&text)) != NULL; number++) {
		if (*line == '\0' || *line == '#')
			continue;
		if (*line == '[') {
			if (inside)
				return 1;
			inside = strncmp(line + 1, name, n) == 0 &&
			    line[n + 1] == ']';
		} else if (inside && take(line, number, store, arg, err) == -1)
			return -1;
	}
	return inside;
}
