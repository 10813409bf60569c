#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

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

/* Nothing a terminal would take for a command: no C0 or C1 control, and no byte
 * that is not UTF-8. */
static bool
is_safe(const char *s, size_t len)
{
	unsigned char c = (unsigned char)*s, next = (unsigned char)s[1];

	if (len < 2)
		return len == 1 && c >= 0x20 && c != 0x7f;
	return c != 0xc2 || next >= 0xa0;
}

/* Copies s with what is not safe as \xHH; returns the length written. */
static size_t
escape(char *to, size_t cap, const char *s)
{
	size_t left = strlen(s), n = 0, len;
	bool safe;

	for (; left > 0 && n + 5 < cap; s += len, left -= len) {
		len = utf8_char(s, left);
		safe = is_safe(s, len);
		len = len == 0 ? 1 : len;
		if (safe)
			memcpy(to + n, s, len);
		n += safe ? len : 0;
		for (size_t i = 0; !safe && i < len && n + 5 < cap; i++)
			n += (size_t)snprintf(to + n, cap - n, "\\x%02x",
			    (unsigned char)s[i]);
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
