#include "cli/report.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "event/json.h"

#define LINE_MAX_BYTES ((size_t)64 * 1024)

static const struct {
	const char *shown, *json;
} results[] = {
	[RESULT_OK] = { "ok", "ok" },
	[RESULT_WARN] = { "warn", "warn" },
	[RESULT_FAIL] = { "FAIL", "fail" },
};

void
report_init(struct report *r)
{
	memset(r, 0, sizeof(*r));
}

void
report_free(struct report *r)
{
	for (size_t i = 0; i < r->lines; i++) {
		buf_free(&r->line[i].text);
		buf_free(&r->line[i].todo);
	}
	free(r->line);
	report_init(r);
}

void
report_add(struct report *r, const char *check, enum result result)
{
	struct report_line *line;

	r->failed |= result == RESULT_FAIL;
	line = realloc(r->line, (r->lines + 1) * sizeof(*line));
	if (line == NULL) {
		r->short_of_memory = true;
		return;
	}
	r->line = line;
	line += r->lines++;
	line->check = check;
	line->result = result;
	buf_init(&line->text, LINE_MAX_BYTES);
	buf_init(&line->todo, LINE_MAX_BYTES);
}

__attribute__((format(printf, 2, 0))) static void
put(struct buf *b, const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) == -1) {
		b->failed = true;
		return;
	}
	buf_put_str(b, s);
	free(s);
}

void
report_vtext(struct report *r, const char *fmt, va_list ap)
{
	if (!r->short_of_memory)
		put(&r->line[r->lines - 1].text, fmt, ap);
}

void
report_vtodo(struct report *r, const char *fmt, va_list ap)
{
	if (!r->short_of_memory)
		put(&r->line[r->lines - 1].todo, fmt, ap);
}

void
report_text(struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_vtext(r, fmt, ap);
	va_end(ap);
}

void
report_todo(struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_vtodo(r, fmt, ap);
	va_end(ap);
}

static void
put_escaped(struct buf *out, const struct buf *b)
{
	const uint8_t *p = buf_head(b), *end = p + buf_unread(b);

	out->failed |= b->failed;
	for (; p < end; p++) {
		if (*p < 0x20 || *p == 0x7f)
			buf_putf(out, "\\x%02x", *p);
		else
			buf_put_u8(out, *p);
	}
}

void
report_put_text(const struct report *r, struct buf *out)
{
	int len, width = 0;

	for (size_t i = 0; i < r->lines; i++) {
		len = (int)strlen(r->line[i].check);
		width = len > width ? len : width;
	}
	out->failed |= r->short_of_memory;
	for (size_t i = 0; i < r->lines; i++) {
		const struct report_line *line = &r->line[i];

		buf_putf(out, "%-4s  %-*s  ", results[line->result].shown,
		    width, line->check);
		put_escaped(out, &line->text);
		if (buf_unread(&line->todo) > 0)
			buf_put_str(out, ". ");
		put_escaped(out, &line->todo);
		buf_put_u8(out, '\n');
	}
}

/* A database need not be in UTF-8, JSON has to be: other bytes are '?'. */
static void
put_json(struct buf *out, const char *key, const struct buf *b)
{
	const char *p = (const char *)buf_head(b);
	size_t n = buf_unread(b);
	struct buf ascii;

	out->failed |= b->failed;
	buf_putf(out, ",\"%s\":", key);
	if (utf8_valid(p, n)) {
		json_put_string(out, p, n);
		return;
	}
	buf_init(&ascii, LINE_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		buf_put_u8(&ascii, (uint8_t)((p[i] & 0x80) != 0 ? '?' : p[i]));
	json_put_string(out, (const char *)buf_head(&ascii),
	    buf_unread(&ascii));
	out->failed |= ascii.failed;
	buf_free(&ascii);
}

void
report_put_json(const struct report *r, struct buf *out)
{
	out->failed |= r->short_of_memory;
	buf_putf(out, "{\"ok\":%s,\"checks\":[", r->failed ? "false" : "true");
	for (size_t i = 0; i < r->lines; i++) {
		const struct report_line *line = &r->line[i];

		buf_putf(out, "%s\n {\"check\":\"%s\",\"result\":\"%s\"",
		    i == 0 ? "" : ",", line->check, results[line->result].json);
		put_json(out, "text", &line->text);
		if (buf_unread(&line->todo) > 0)
			put_json(out, "do", &line->todo);
		buf_put_u8(out, '}');
	}
	buf_put_str(out, "\n]}\n");
}
