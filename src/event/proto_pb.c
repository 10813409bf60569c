#include "event/proto_pb.h"

#include <string.h>

/* More than tags, lengths and numbers of any message take. */
#define OVERHEAD 192

bool
proto_put_text(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct proto_text *t = *arg;

	return t->n == 0 ||
	    (pb_encode_tag_for_field(s, field) &&
		pb_encode_string(s, (const pb_byte_t *)t->p, t->n));
}

pb_callback_t
proto_writer(struct proto_text *t)
{
	pb_callback_t cb = { .funcs.encode = proto_put_text, .arg = t };

	return cb;
}

struct proto_text
proto_text_of(const char *s)
{
	struct proto_text t = { s, s == NULL ? 0 : strlen(s) };

	return t;
}

/* Room for a message with this much text. */
bool
proto_begin(pb_ostream_t *s, struct buf *out, size_t text_len)
{
	uint8_t *to = buf_room(out, OVERHEAD + text_len);

	if (to != NULL)
		*s = pb_ostream_from_buffer(to, OVERHEAD + text_len);
	return to != NULL;
}

void
proto_end(const pb_ostream_t *s, struct buf *out, bool ok)
{
	if (ok)
		buf_added(out, s->bytes_written);
	else
		out->failed = true;
}
