#include "event/proto_reflection.h"

#include <string.h>

#include "base/utf8.h"
#include "event/proto_pb.h"
#include "reflection.pb.h"

#define TAG(message, field) grpc_reflection_v1_##message##_##field##_tag
#define REQUEST_TAG(field) TAG(ServerReflectionRequest, field)
#define RESPONSE_TAG(field) TAG(ServerReflectionResponse, field)

static const struct {
	uint32_t tag;
	enum reflection_kind kind;
} questions[] = {
	{ REQUEST_TAG(file_by_filename), REFLECTION_FILE },
	{ REQUEST_TAG(file_containing_symbol), REFLECTION_SYMBOL },
	{ REQUEST_TAG(file_containing_extension), REFLECTION_EXTENSION },
	{ REQUEST_TAG(all_extension_numbers_of_type), REFLECTION_NUMBERS },
	{ REQUEST_TAG(list_services), REFLECTION_SERVICES },
};

/* A request being read. */
struct reading {
	struct reflection_request *q;
	bool limit; /* it failed at a limit, not at its encoding */
};

static bool
get_text(pb_istream_t *s, struct reading *r, struct reflection_text *to)
{
	if (s == NULL)
		return false;
	to->n = s->bytes_left;
	r->limit = to->n > sizeof(to->p);
	return !r->limit && pb_read(s, (pb_byte_t *)to->p, to->n) &&
	    utf8_valid(to->p, to->n);
}

static bool
get_extension(pb_istream_t *s, uint32_t tag, void *arg)
{
	struct reading *r = arg;

	if (tag == TAG(ExtensionRequest, containing_type))
		return get_text(s, r, &r->q->name);
	return tag != TAG(ExtensionRequest, extension_number) || s == NULL;
}

static bool
get_question(pb_istream_t *s, struct reading *r)
{
	if (r->q->kind != REFLECTION_EXTENSION)
		return get_text(s, r, &r->q->name);
	r->q->name.n = 0;
	return s != NULL && proto_fields(s, get_extension, r);
}

/* Of a oneof's members the last one counts. */
static bool
get_field(pb_istream_t *s, uint32_t tag, void *arg)
{
	struct reading *r = arg;

	if (tag == REQUEST_TAG(host))
		return get_text(s, r, &r->q->host);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (questions[i].tag != tag)
			continue;
		r->q->kind = questions[i].kind;
		return get_question(s, r);
	}
	return true;
}

int
proto_get_reflection(struct reflection_request *q, const uint8_t *p, size_t n,
    struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n);
	struct reading r = { .q = q };

	q->kind = REFLECTION_NOTHING;
	q->name.n = q->host.n = 0;
	q->whole = p;
	q->whole_len = n;
	if (proto_fields(&s, get_field, &r))
		return 0;
	if (r.limit)
		return err_set(err, ERR_LIMIT,
		    "a name of more than %d bytes is nobody's",
		    REFLECTION_MAX_NAME);
	return err_set(err, ERR_PROTO, "malformed ServerReflectionRequest");
}

static void
put_bytes(struct buf *out, uint32_t tag, const void *p, size_t n)
{
	pb_ostream_t s;

	if (proto_begin(&s, out, n))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING, tag) &&
			pb_encode_string(&s, p, n));
}

static void
put_text(struct buf *out, uint32_t tag, const struct reflection_text *t)
{
	if (t->n > 0)
		put_bytes(out, tag, t->p, t->n);
}

/* An answer to q: what was asked, and the member of the oneof; empties body. */
static void
put_answer(struct buf *out, const struct reflection_request *q, uint32_t tag,
    struct buf *body)
{
	put_text(out, RESPONSE_TAG(valid_host), &q->host);
	put_bytes(out, RESPONSE_TAG(original_request), q->whole, q->whole_len);
	put_bytes(out, tag, buf_head(body), buf_unread(body));
	if (body->failed)
		out->failed = true;
	buf_free(body);
}

void
proto_put_reflected_file(struct buf *out, const struct reflection_request *q,
    const uint8_t *p, size_t n)
{
	struct buf body;

	buf_init(&body, out->max);
	put_bytes(&body, TAG(FileDescriptorResponse, file_descriptor_proto), p,
	    n);
	put_answer(out, q, RESPONSE_TAG(file_descriptor_response), &body);
}

void
proto_put_reflected_numbers(struct buf *out, const struct reflection_request *q)
{
	struct buf body;

	buf_init(&body, out->max);
	put_text(&body, TAG(ExtensionNumberResponse, base_type_name), &q->name);
	put_answer(out, q, RESPONSE_TAG(all_extension_numbers_response), &body);
}

void
proto_put_reflected_services(struct buf *out,
    const struct reflection_request *q, const char *const *name, size_t count)
{
	struct buf body, service;

	buf_init(&body, out->max);
	buf_init(&service, out->max);
	for (size_t i = 0; i < count; i++) {
		buf_reset(&service);
		put_bytes(&service, TAG(ServiceResponse, name), name[i],
		    strlen(name[i]));
		put_bytes(&body, TAG(ListServiceResponse, service),
		    buf_head(&service), buf_unread(&service));
		if (service.failed)
			body.failed = true;
	}
	buf_free(&service);
	put_answer(out, q, RESPONSE_TAG(list_services_response), &body);
}

static void
put_number(struct buf *out, uint32_t tag, uint64_t v)
{
	pb_ostream_t s;

	if (proto_begin(&s, out, 0))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_VARINT, tag) &&
			pb_encode_varint(&s, v));
}

void
proto_put_reflected_error(struct buf *out, const struct reflection_request *q,
    int code, const char *message)
{
	struct buf body;

	buf_init(&body, out->max);
	put_number(&body, TAG(ErrorResponse, error_code), (uint64_t)code);
	put_bytes(&body, TAG(ErrorResponse, error_message), message,
	    strlen(message));
	put_answer(out, q, RESPONSE_TAG(error_response), &body);
}
