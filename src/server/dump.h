#ifndef SERVER_DUMP_H
#define SERVER_DUMP_H

#include "server/pages.h"

/* Logs the state of everything, as SIGUSR1 asks for: the server, the slot, the
 * buffer, and at most DUMP_STREAMS streams. Never row data. At most once a
 * second: what comes sooner is left out. */
#define DUMP_STREAMS 100

void dump(const struct view *v);

#endif
