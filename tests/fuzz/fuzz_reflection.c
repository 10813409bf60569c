#include "base/buf.h"
#include "base/utf8.h"
#include "event/proto_reflection.h"
#include "fuzz.h"
#include "grpc/descriptors.h"

/* Requests of server reflection: one that is taken says the same when it stands
 * in an answer, and whatever is asked for is looked up within its bounds. */

static void
check_answer(const struct reflection_request *q)
{
	struct buf out;

	buf_init(&out, q->whole_len + 4096);
	proto_put_reflected_error(&out, q, 5, "no");
	assert(!out.failed);
	assert(memmem(buf_head(&out), buf_unread(&out), q->whole,
		   q->whole_len) != NULL);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reflection_request q;
	struct err err;
	char *copy, *name;

	if (size > 4096)
		return 0;
	copy = fuzz_copy(data, size);
	if (proto_get_reflection(&q, (uint8_t *)copy, size, &err) == 0) {
		assert(q.name.n <= REFLECTION_MAX_NAME);
		assert(utf8_valid(q.name.p, q.name.n));
		assert(utf8_valid(q.host.p, q.host.n));
		name = fuzz_copy((const uint8_t *)q.name.p, q.name.n);
		descriptors_symbol(name, q.name.n);
		descriptors_file(name, q.name.n);
		free(name);
		check_answer(&q);
	} else {
		assert(err.kind == ERR_PROTO || err.kind == ERR_LIMIT);
	}
	free(copy);
	return 0;
}
