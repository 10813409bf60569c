#ifndef EVENT_PROTO_PB_H
#define EVENT_PROTO_PB_H

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdbool.h>

#include "base/buf.h"

/* What proto.c and proto_client.c share of nanopb. */

/* A string to encode, as a callback's argument. */
struct proto_text {
	const char *p;
	size_t n;
};

struct proto_text proto_text_of(const char *s); /* NULL is empty */

/* A nanopb encode callback for a struct proto_text; an empty one is left out. */
bool proto_put_text(pb_ostream_t *s, const pb_field_t *field, void *const *arg);
pb_callback_t proto_writer(struct proto_text *t);

/* Room at the end of out for a message with this much text in it; false with
 * out->failed. proto_end takes what was written, or fails out. */
bool proto_begin(pb_ostream_t *s, struct buf *out, size_t text_len);
void proto_end(const pb_ostream_t *s, struct buf *out, bool ok);

/*
 * Hands every field of a message that is read to each(): its bytes, or NULL
 * when the field is not length-delimited; what each() leaves is skipped.
 * Returns false when a field is malformed or each() was false.
 */
bool proto_fields(pb_istream_t *s,
    bool (*each)(pb_istream_t *field, uint32_t tag, void *arg), void *arg);

#endif
