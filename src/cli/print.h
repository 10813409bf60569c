#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "event/proto.h"

/* Events as lines of text. */

/* One JSON object; detail adds what tells transactions apart. */
void print_json(struct buf *out, const struct event *e, bool detail);
/* A line to read. */
void print_pretty(struct buf *out, const struct event *e, bool detail);

#endif
