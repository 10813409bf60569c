#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define TEXT_MAX 2048
/* A pipe takes so much at once or not at all (POSIX, write). */
#define LINE_MAX_LEN PIPE_BUF
/* Events that are limited; more than there are. */
#define LIMITS 32

static const char *const names[LOG_LEVELS] = { "error", "warn", "info",
	"debug" };
static const char *const formats[] = { "text", "json" };
static enum log_level max_level = LOG_INFO;
static enum log_format format;

/* Where lines go. */
static struct {
	int fd;        /* -1: not looked at yet */
	bool ask;      /* a write may block: poll has to allow it */
	bool torn;     /* the last line was written in part */
	uint64_t lost; /* lines, since the last that was printed */
	struct log_counts counts;
} out = { .fd = -1 };

/* Tokens of an event, and what was left out for lack of them. */
static struct limit {
	const char *event; /* NULL: free */
	int64_t full_at;   /* it has all LOG_BURST again */
	unsigned left_out;
} limits[LIMITS];

void
log_set_level(enum log_level level)
{
	max_level = level;
}

void
log_set_format(enum log_format f)
{
	format = f;
}

/* The place of name in list, or -1. */
static int
find(const char *const *list, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return i;
	return -1;
}

int
log_parse_level(const char *name, enum log_level *level)
{
	int i = find(names, LOG_LEVELS, name);

	if (i != -1)
		*level = (enum log_level)i;
	return i == -1 ? -1 : 0;
}

int
log_parse_format(const char *name, enum log_format *f)
{
	int i = find(formats, 2, name);

	if (i != -1)
		*f = (enum log_format)i;
	return i == -1 ? -1 : 0;
}

const char *
log_level_name(enum log_level level)
{
	return names[level];
}

const struct log_counts *
log_counts(void)
{
	return &out.counts;
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

/* What is not safe, as \xHH for each byte. */
static size_t
escape_bytes(char *to, size_t cap, const char *s, size_t len)
{
	const char *more = format == LOG_JSON ? "\\" : "";
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += (size_t)snprintf(to + n, cap - n, "%s\\x%02x", more,
		    (unsigned char)s[i]);
	return n;
}

/* Room that one character may take: two bytes of JSON's \\xHH, and a NUL. */
#define CHAR_MAX_LEN 11

/* Copies s with what is not safe as \xHH, for JSON with its own escapes, too;
 * returns the length written, which is never a part of a character. */
static size_t
escape(char *to, size_t cap, const char *s)
{
	size_t left = strlen(s), n = 0, len;
	bool safe;

	for (; left > 0 && n + CHAR_MAX_LEN <= cap; s += len, left -= len) {
		len = utf8_char(s, left);
		safe = is_safe(s, len);
		len = len == 0 ? 1 : len;
		if (!safe) {
			n += escape_bytes(to + n, cap - n, s, len);
			continue;
		}
		if (format == LOG_JSON && (*s == '"' || *s == '\\'))
			to[n++] = '\\';
		memcpy(to + n, s, len);
		n += len;
	}
	return n;
}

static size_t
print_time(char *to, size_t cap)
{
	int64_t now = clock_wall_us();
	time_t sec = (time_t)(now / 1000000);
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(to, cap, "%Y-%m-%dT%H:%M:%S", &tm);
	return n +
	    (size_t)snprintf(to + n, cap - n, ".%03dZ",
		(int)(now % 1000000 / 1000));
}

/* A whole line; returns its length. */
static size_t
print_line(char line[LINE_MAX_LEN], enum log_level level, const char *event,
    const char *text)
{
	const char *end = format == LOG_JSON ? "\"}\n" : "\n";
	size_t n = 0, room = LINE_MAX_LEN - strlen(end);

	if (format == LOG_JSON)
		n = (size_t)sprintf(line, "{\"time\":\"");
	n += print_time(line + n, room - n);
	n += (size_t)snprintf(line + n, room - n,
	    format == LOG_JSON
		? "\",\"level\":\"%s\",\"event\":\"%s\",\"message\":\""
		: " %s %s: ",
	    names[level], event);
	n += escape(line + n, room - n, text);
	memcpy(line + n, end, strlen(end));
	return n + strlen(end);
}

/*
 * Standard error may be shared with other processes, and so may be its
 * O_NONBLOCK: what is opened anew has its own. A socket cannot be, nor can what
 * belongs to another user; poll tells of room for a line then, which nobody but
 * such a process could take away before it is written. A file never blocks.
 */
static void
open_out(void)
{
	int fd, mode = fcntl(STDERR_FILENO, F_GETFL);
	struct stat st;

	out.fd = STDERR_FILENO;
	if (mode == -1 || (mode & O_ACCMODE) == O_RDONLY)
		return; /* every write fails */
	if (fstat(STDERR_FILENO, &st) == -1 || S_ISREG(st.st_mode))
		return;
	fd = open("/proc/self/fd/2",
	    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	out.ask = fd == -1;
	if (fd != -1)
		out.fd = fd;
}

/* Is a line taken now, and whole? */
static bool
put(const char *line, size_t n)
{
	struct pollfd p = { out.fd, POLLOUT, 0 };
	ssize_t rc;

	if (out.ask && (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0))
		return false;
	if (out.torn && write(out.fd, "\n", 1) != 1)
		return false;
	out.torn = false;
	do
		rc = write(out.fd, line, n);
	while (rc == -1 && errno == EINTR);
	/* A disk that is full, or a terminal. */
	out.torn = rc > 0 && (size_t)rc < n;
	return rc == (ssize_t)n;
}

/* Says what was lost, before anything else; true when nothing is owed. */
static bool
confess(void)
{
	char text[64], line[LINE_MAX_LEN];

	if (out.lost == 0)
		return true;
	snprintf(text, sizeof(text),
	    "standard error did not take %" PRIu64 " lines", out.lost);
	if (!put(line, print_line(line, LOG_WARN, "log.dropped", text)))
		return false;
	out.counts.printed[LOG_WARN]++;
	out.lost = 0;
	return true;
}

static void
print(enum log_level level, const char *event, const char *text)
{
	char line[LINE_MAX_LEN];

	if (out.fd == -1)
		open_out();
	if (confess() && put(line, print_line(line, level, event, text))) {
		out.counts.printed[level]++;
		return;
	}
	out.lost++;
	out.counts.dropped++;
}

void
log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print(level, event, text);
}

static struct limit *
find_limit(const char *event)
{
	for (int i = 0; i < LIMITS; i++) {
		if (limits[i].event == NULL)
			limits[i].event = event;
		if (strcmp(limits[i].event, event) == 0)
			return &limits[i];
	}
	return &limits[0]; /* there are more: they share */
}

void
log_limited(enum log_level level, const char *event, const char *fmt, ...)
{
	struct limit *l = find_limit(event);
	int64_t now = clock_mono_us();
	char text[TEXT_MAX];
	va_list ap;
	int n;

	if (level > max_level)
		return;
	l->full_at = l->full_at < now ? now : l->full_at;
	if (l->full_at - now > (LOG_BURST - 1) * LOG_GAP_US) {
		l->left_out++;
		return;
	}
	l->full_at += LOG_GAP_US;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 64, fmt, ap);
	va_end(ap);
	if (l->left_out > 0)
		snprintf(text + (n < TEXT_MAX - 64 ? n : TEXT_MAX - 65), 64,
		    " (and %u more of these, left out)", l->left_out);
	l->left_out = 0;
	print(level, event, text);
}
