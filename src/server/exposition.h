#ifndef SERVER_EXPOSITION_H
#define SERVER_EXPOSITION_H

#include "server/pages.h"

/* The page /metrics: everything that is counted, for Prometheus. No series
 * belongs to one stream; there is one for each named consumer, of which at most
 * CONSUMER_MAX are remembered. Returns 200. */
int exposition_put(struct buf *to, const struct view *v);

#endif
