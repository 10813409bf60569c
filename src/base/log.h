#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

/*
 * One line an event on standard error, as text or as a JSON object:
 *	2026-01-31T12:00:00.123Z info slot.created: created slot "s"
 *	{"time":"2026-01-31T12:00:00.123Z","level":"info",
 *	 "event":"slot.created","message":"created slot \"s\""}
 * `event` is a stable name to search for. Control characters in the text are
 * escaped, so a table name cannot forge a line; lines are UTF-8 whatever is
 * logged, and at most PIPE_BUF bytes. Row data is never logged.
 *
 * Nothing here waits: a line that standard error does not take at once is
 * dropped and counted, and the event log.dropped says how many once it takes
 * lines again. Of one thread only.
 */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

enum log_format { LOG_TEXT, LOG_JSON };

/* Lines above this level are not printed. The start value is LOG_INFO. */
void log_set_level(enum log_level level);
/* "error", "warn", "info" or "debug". Returns 0, or -1. */
int log_parse_level(const char *name, enum log_level *level);
const char *log_level_name(enum log_level level);

/* The start value is LOG_TEXT. */
void log_set_format(enum log_format format);
/* "text" or "json". Returns 0, or -1. */
int log_parse_format(const char *name, enum log_format *format);

void log_line(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/*
 * For what a peer can cause as often as it likes: after LOG_BURST lines of an
 * event only one every LOG_GAP_US; it tells how many it stands for. event has
 * to be a string constant.
 */
#define LOG_BURST 5
#define LOG_GAP_US INT64_C(10000000)
void log_limited(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines printed, by level, and lines lost because standard error did not take
 * them, ever. */
struct log_counts {
	uint64_t printed[LOG_LEVELS], dropped;
};
const struct log_counts *log_counts(void);

#endif
