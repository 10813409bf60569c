#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static const char *const names[] = { "error", "warn", "info", "debug" };
static enum log_level max_level = LOG_INFO;

void
log_set_level(enum log_level level)
{
	max_level = level;
}

int
log_parse_level(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

/* Copies s with control characters as \xHH; returns the length written. */
static size_t
escape(char *to, size_t cap, const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && n + 5 < cap; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(to + n, cap - n, "\\x%02x", c);
		else
			to[n++] = *s;
	}
	return n;
}

void
log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	char text[2048], line[4096];
	int64_t now = clock_wall_us();
	time_t sec = (time_t)(now / 1000000);
	struct tm tm;
	va_list ap;
	size_t n;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	gmtime_r(&sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n,
	    ".%03dZ %s %s: ", (int)(now % 1000000 / 1000), names[level], event);
	n += escape(line + n, sizeof(line) - n - 1, text);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) == -1)
		return; /* nobody to tell */
}
