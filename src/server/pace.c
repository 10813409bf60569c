#include "server/pace.h"

#include "base/clock.h"

#define STRETCH MS(1)
#define PAUSE MS(1)
#define PAUSE_UNIX 400
/* Messages, and KiB, in a stretch: much from when on, and until when. */
#define MUCH 32
#define STILL_MUCH 16
/* In so many stretches in a row: a transaction of some rows alone is not to
 * wait, and between two large ones the server is silent for a while. */
#define MUCH_IN_ROW 4
#define LITTLE_IN_ROW 16

void
pace_start(struct pace *p, bool unix_socket, int64_t now)
{
	*p = (struct pace){ .began_at = now,
		.pause = unix_socket ? PAUSE_UNIX : PAUSE,
		.due_at = INT64_MAX };
}

void
pace_message(struct pace *p, size_t len)
{
	p->amount += 1 + len / 1024;
}

/* A stretch is over: does it speak for the other way to read? */
static void
weigh(struct pace *p, int64_t took)
{
	size_t limit = p->bulk ? STILL_MUCH : MUCH;
	bool much = p->amount * STRETCH >= limit * (uint64_t)took;

	p->in_row = much == p->bulk ? 0 : p->in_row + 1;
	if (p->in_row < (p->bulk ? LITTLE_IN_ROW : MUCH_IN_ROW))
		return;
	p->bulk = !p->bulk;
	p->in_row = 0;
}

void
pace_read(struct pace *p, bool more, int64_t now)
{
	if (now - p->began_at >= STRETCH) {
		weigh(p, now - p->began_at);
		p->began_at = now;
		p->amount = 0;
	}
	p->due_at = !p->bulk ? INT64_MAX : more ? now : now + p->pause;
}
