#ifndef GRPC_STATUS_H
#define GRPC_STATUS_H

#include <stddef.h>

/* gRPC status codes (grpc/doc/statuscodes.md). */
enum grpc_code {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
};

/* "OK", …; "UNKNOWN" for anything that is not a code. */
const char *grpc_code_name(int code);

/*
 * grpc-message as it goes over the wire: every byte outside 0x20-0x7E, and
 * '%', as %XX (grpc/doc/PROTOCOL-HTTP2.md, Status-Message). Writes at most
 * cap - 1 characters, never half an escape or half a character of UTF-8, and a
 * NUL. Returns the length.
 */
size_t grpc_message_encode(char *to, size_t cap, const char *message);
/* The reverse; a '%' that is no escape stays as it is. */
size_t grpc_message_decode(char *to, size_t cap, const char *p, size_t n);

#endif
