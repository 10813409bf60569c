#include "server/pages.h"

#include <string.h>

#include "base/clock.h"
#include "http/prom.h"
#include "server/exposition.h"
#include "server/health.h"
#include "server/status_json.h"
#include "server/status_page.h"

#define TEXT "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"
#define JSON "application/json"

/* Whoever gets an answer knows that the loop goes round. It does while
 * streams are drained, too: nothing is to be restarted for that. */
static int
put_healthz(struct buf *to, const struct view *v)
{
	(void)v;
	buf_put_str(to, "ok\n");
	return 200;
}

bool
pages_ready(const struct view *v)
{
	return v->sessions->wr->was_ready &&
	    health_of(v->sessions) == HEALTH_SERVING;
}

static int
put_readyz(struct buf *to, const struct view *v)
{
	const struct walreceiver *wr = v->sessions->wr;

	if (pages_ready(v)) {
		buf_put_str(to, "ok\n");
		return 200;
	}
	if (v->sessions->draining)
		buf_put_str(to, "not ready: shutting down\n");
	else if (wr->last.kind != ERR_NONE)
		buf_putf(to, "not ready: %s\n", wr->last.text);
	else
		buf_put_str(to, "not ready: connecting to PostgreSQL\n");
	return 503;
}

static int
put_status_page(struct buf *to, const struct view *v)
{
	(void)v;
	buf_put(to, status_page, status_page_len);
	return 200;
}

static int
put_status_json(struct buf *to, const struct view *v)
{
	status_json(to, v->sessions, *v->connections, clock_wall_us());
	return 200;
}

static const struct page pages[] = {
	{ "/", HTML, put_status_page },
	{ "/status.json", JSON, put_status_json },
	{ "/metrics", PROM_TYPE, exposition_put },
	{ "/healthz", TEXT, put_healthz },
	{ "/readyz", TEXT, put_readyz },
};

const struct page *
pages_find(const char *path)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	return NULL;
}
