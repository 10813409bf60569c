#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * What walstream check has found: lines, each with a result, what is and, where
 * that is not well, what to do about it.
 */

enum result { RESULT_OK, RESULT_WARN, RESULT_FAIL };

struct report_line {
	const char *check; /* its id; borrowed */
	enum result result;
	struct buf text, todo;
};

struct report {
	struct report_line *line;
	size_t lines;
	bool failed; /* a line is RESULT_FAIL */
	bool short_of_memory;
};

void report_init(struct report *r);
void report_free(struct report *r);

/* Begins a line. check must outlive r. */
void report_add(struct report *r, const char *check, enum result result);
/* Append to the last line: what is, and what to do. */
void report_vtext(struct report *r, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void report_vtodo(struct report *r, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void report_text(struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void report_todo(struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Append all lines to out, which has failed when memory was short. As text:
 * result, check, "what is. What to do", with control characters as \xHH. As
 * JSON: {"ok": ..., "checks": [{"check", "result", "text", "do"}...]}, with
 * "do" where there is something to do.
 */
void report_put_text(const struct report *r, struct buf *out);
void report_put_json(const struct report *r, struct buf *out);

#endif
