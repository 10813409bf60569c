#include "server/behind.h"

#include <string.h>

/*
 * So much of messages waits behind a held row. With more the row goes out as if
 * it were not the last; then its transaction is confirmed by what is served
 * after it, or comes once more.
 */
#define MOST ((size_t)1 << 20)
#define HEAD 16 /* more than goes with a message here */
/* More than an event of a message has beside its text. */
#define EVENT_OVERHEAD 64

void
behind_init(struct behind *b, size_t max_event)
{
	buf_init(&b->messages, MOST + HEAD);
	b->max_event = max_event;
}

void
behind_free(struct behind *b)
{
	buf_free(&b->messages);
}

void
behind_clear(struct behind *b)
{
	buf_shrink(&b->messages, MOST);
}

bool
behind_has_room(const struct behind *b, const struct pgo_message *m)
{
	size_t len = strlen(m->prefix) + m->len;

	return buf_unread(&b->messages) + len <= MOST &&
	    len + EVENT_OVERHEAD <= b->max_event;
}

int
behind_put(struct behind *b, const struct pgo_message *m, struct err *err)
{
	uint32_t len = m->len;

	buf_put(&b->messages, &len, sizeof(len));
	buf_put_cstr(&b->messages, m->prefix);
	buf_put(&b->messages, m->content, len);
	return b->messages.failed ? err_set(err, ERR_NOMEM, "out of memory")
				  : 0;
}

bool
behind_take(struct behind *b, struct event *e)
{
	const char *at;
	size_t prefix;
	uint32_t len;

	if (buf_unread(&b->messages) == 0)
		return false;
	at = (const char *)b->messages.data + b->messages.off;
	memcpy(&len, at, sizeof(len));
	e->prefix = at + sizeof(len);
	prefix = strlen(e->prefix) + 1;
	e->content = (struct event_text){ e->prefix + prefix, len };
	buf_consume(&b->messages, sizeof(len) + prefix + len);
	return true;
}
