#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * One line an event on standard error:
 *	2026-01-31T12:00:00.123Z info slot.created: created slot "s"
 * `event` is a stable name to search for. Control characters in the text are
 * escaped, so a table name cannot forge a line. Row data is never logged.
 */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are not printed. The start value is LOG_INFO. */
void log_set_level(enum log_level level);
/* "error", "warn", "info" or "debug". Returns 0, or -1. */
int log_parse_level(const char *name, enum log_level *level);

void log_line(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
