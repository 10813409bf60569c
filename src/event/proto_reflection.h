#ifndef EVENT_PROTO_REFLECTION_H
#define EVENT_PROTO_REFLECTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* The messages of proto/reflection.proto as bytes: what a server is asked, and
 * what it answers. */

#define REFLECTION_V1 \
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define REFLECTION_V1ALPHA \
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

enum reflection_kind {
	REFLECTION_NOTHING, /* the oneof is not set */
	REFLECTION_FILE,
	REFLECTION_SYMBOL,
	REFLECTION_EXTENSION,
	REFLECTION_NUMBERS, /* all_extension_numbers_of_type */
	REFLECTION_SERVICES,
};

#define REFLECTION_MAX_NAME 255

/* UTF-8, in which a NUL is a character like another. */
struct reflection_text {
	char p[REFLECTION_MAX_NAME];
	size_t n;
};

struct reflection_request {
	enum reflection_kind kind;
	struct reflection_text name; /* what is asked for; of EXTENSION the
					type that is extended */
	struct reflection_text host;
	const uint8_t *whole; /* the message, which answers repeat */
	size_t whole_len;
};

/* Reads a request; p stays in use by q. Returns 0, or -1: ERR_PROTO, or
 * ERR_LIMIT when a text is longer than REFLECTION_MAX_NAME. */
int proto_get_reflection(struct reflection_request *q, const uint8_t *p,
    size_t n, struct err *err);

/* Each appends one answer to q, or sets out->failed when there is no room. */
void proto_put_reflected_file(struct buf *out,
    const struct reflection_request *q, const uint8_t *p, size_t n);
/* A type that has no extensions. */
void proto_put_reflected_numbers(struct buf *out,
    const struct reflection_request *q);
void proto_put_reflected_services(struct buf *out,
    const struct reflection_request *q, const char *const *name, size_t count);
void proto_put_reflected_error(struct buf *out,
    const struct reflection_request *q, int code, const char *message);

#endif
