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

static bool
one_field(pb_istream_t *s, pb_wire_type_t wire_type, uint32_t tag,
    bool (*each)(pb_istream_t *, uint32_t, void *), void *arg)
{
	pb_istream_t field;

	if (tag == 0)
		return false;
	if (wire_type != PB_WT_STRING)
		return each(NULL, tag, arg) && pb_skip_field(s, wire_type);
	return pb_make_string_substream(s, &field) && each(&field, tag, arg) &&
	    pb_close_string_substream(s, &field);
}

bool
proto_fields(pb_istream_t *s, bool (*each)(pb_istream_t *, uint32_t, void *),
    void *arg)
{
	pb_wire_type_t wire_type;
	uint32_t tag;
	bool eof;

	while (pb_decode_tag(s, &wire_type, &tag, &eof))
		if (!one_field(s, wire_type, tag, each, arg))
			return false;
	return eof;
}
