#include "server/polls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* Between two polls that fail. */
#define PAUSE MS(10)
/* Signals wait no longer than that. */
#define SIGNALS_INTERVAL MS(10)

int
polls_reserve(struct polls *p, size_t need)
{
	size_t cap = p->cap * 2 > need ? p->cap * 2 : need;
	struct pollfd *at;

	if (need <= p->cap)
		return 0;
	if ((at = realloc(p->at, cap * sizeof(*at))) == NULL)
		return -1;
	p->at = at;
	p->cap = cap;
	return 0;
}

void
polls_free(struct polls *p)
{
	free(p->at);
	*p = (struct polls){ .at = NULL };
}

/* Signals come, and nothing else, for so long. */
static int
let_signals_in(int64_t us, const sigset_t *during_poll)
{
	struct timespec ts = { .tv_nsec = (long)us * 1000 };

	return ppoll(NULL, 0, &ts, during_poll);
}

/* poll refuses more descriptors than the process may have now (EINVAL), and a
 * limit can be lowered while there are more. Or the kernel has no memory for so
 * many (ENOMEM). It takes each of them by itself. */
static void
cope(struct polls *p, int error, const sigset_t *during_poll)
{
	if (!p->failed)
		log_error("server.poll", "cannot poll: %s", strerror(error));
	p->failed = true;
	if (let_signals_in(PAUSE, during_poll) == -1)
		return;
	for (size_t i = 0; i < p->count; i++)
		if (poll(&p->at[i], 1, 0) == -1)
			p->at[i].revents = 0;
}

void
polls_wait(struct polls *p, int64_t wait_us, const sigset_t *during_poll)
{
	struct timespec ts = { .tv_sec = (time_t)(wait_us / 1000000),
		.tv_nsec = (long)(wait_us % 1000000 * 1000) };
	int n = ppoll(p->at, p->count, &ts, during_poll), error = errno;

	for (size_t i = 0; n == -1 && i < p->count; i++)
		p->at[i].revents = 0;
	if (n == -1 && error != EINTR)
		cope(p, error, during_poll);
	/* ppoll delivers none when somebody is ready, and that may be always. */
	else if (n > 0 && clock_mono_us() >= p->signals_at) {
		let_signals_in(0, during_poll);
		p->signals_at = clock_mono_us() + SIGNALS_INTERVAL;
	}
}
