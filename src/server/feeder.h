#ifndef SERVER_FEEDER_H
#define SERVER_FEEDER_H

#include "server/session.h"

/*
 * The sending half of a session: the bytes of its stream, out of the ring and
 * of messages of its own.
 */

/* The handler's pull. */
size_t feeder_pull(struct h2_stream *stream, uint8_t *to, size_t cap);

/* Queues the started message of a Subscribe stream, or a progress. */
void feeder_started(struct session *s, lsn_t start_lsn);
void feeder_progress(struct session *s, lsn_t lsn);

/* Is there nothing to send, and nothing half sent? */
bool feeder_at_end(struct session *s);
/* Is it in the middle of a message? */
bool feeder_busy(const struct session *s);
/* The lowest entry of the ring that it still needs. */
uint64_t feeder_low(const struct session *s);

#endif
