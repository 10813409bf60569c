#ifndef SERVER_POLLS_H
#define SERVER_POLLS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The poll set of the one loop. Signals are delivered in polls_wait only, so
 * none is missed. */
struct polls {
	struct pollfd *at;
	size_t cap, count;  /* places there are; to wait for */
	bool failed;        /* it was said that poll fails */
	int64_t signals_at; /* they are let in then at the latest */
};

/* Makes room for need places. Returns 0, or -1 when out of memory. */
int polls_reserve(struct polls *p, size_t need);
void polls_free(struct polls *p);

/* Waits until one of the first p->count is ready, wait_us have passed, or a
 * signal of those that during_poll lets through has come. When poll fails it
 * waits for a moment, and asks for each by itself. */
void polls_wait(struct polls *p, int64_t wait_us, const sigset_t *during_poll);

#endif
