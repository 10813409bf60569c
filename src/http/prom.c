#include "http/prom.h"

#include <inttypes.h>

void
prom_head(struct buf *to, const char *name, const char *type, const char *help)
{
	buf_putf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
prom_u64(struct buf *to, const char *name, uint64_t value)
{
	buf_putf(to, "%s %" PRIu64 "\n", name, value);
}

void
prom_double(struct buf *to, const char *name, double value)
{
	buf_putf(to, "%s %.17g\n", name, value);
}

static void
put_label_value(struct buf *to, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			buf_put_str(to, "\\n");
		else if (*text == '"' || *text == '\\')
			buf_putf(to, "\\%c", *text);
		else
			buf_put(to, text, 1);
	}
}

void
prom_label_u64(struct buf *to, const char *name, const char *label,
    const char *text, uint64_t value)
{
	buf_putf(to, "%s{%s=\"", name, label);
	put_label_value(to, text);
	buf_putf(to, "\"} %" PRIu64 "\n", value);
}

void
prom_counter(struct buf *to, const char *name, const char *help, uint64_t value)
{
	prom_head(to, name, "counter", help);
	prom_u64(to, name, value);
}

void
prom_gauge(struct buf *to, const char *name, const char *help, uint64_t value)
{
	prom_head(to, name, "gauge", help);
	prom_u64(to, name, value);
}

void
prom_gauge_double(struct buf *to, const char *name, const char *help,
    double value)
{
	prom_head(to, name, "gauge", help);
	prom_double(to, name, value);
}
