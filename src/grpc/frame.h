#ifndef GRPC_FRAME_H
#define GRPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "grpc/status.h"

/*
 * Length-prefixed messages in a stream of bytes (grpc/doc/PROTOCOL-HTTP2.md):
 * Byte1 compressed flag, Int32 length, message. The boundaries of what is fed
 * in mean nothing.
 */

#define FRAME_HEAD 5

struct frame {
	uint8_t head[FRAME_HEAD];
	size_t have;     /* bytes of head */
	size_t len;      /* of the message, once head is whole */
	struct buf body; /* the message; its max is the limit */
	bool encoded;    /* grpc-encoding named a compression */
};

enum frame_result { FRAME_MORE, FRAME_MESSAGE, FRAME_BAD };

/* max: the longest message taken. */
void frame_init(struct frame *f, size_t max);
void frame_free(struct frame *f);

/*
 * Takes bytes from *p, moving *p and *n on. FRAME_MORE: all were taken and no
 * message is complete. FRAME_MESSAGE: f->body holds one, until the next call.
 * FRAME_BAD: the stream must end with *code and message *why (static text):
 * compressed, an unknown flag, longer than the limit.
 */
enum frame_result frame_next(struct frame *f, const uint8_t **p, size_t *n,
    enum grpc_code *code, const char **why);

/* True inside a prefix or a message: the stream may not end here. */
bool frame_partial(const struct frame *f);

/* Writes the prefix of an uncompressed message of len bytes. */
void frame_head(uint8_t to[FRAME_HEAD], size_t len);

/* Appends message, with its prefix, to what waits to be sent; out->failed also
 * when message failed. */
void frame_put(struct buf *out, const struct buf *message);
/* Takes up to cap bytes of what waits, in order. Returns how many. */
size_t frame_take(struct buf *out, uint8_t *to, size_t cap);

#endif
