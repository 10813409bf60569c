#include "grpc/status.h"

#include <stdbool.h>
#include <stdint.h>

static const char *const names[] = { "OK", "CANCELLED", "UNKNOWN",
	"INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
	"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
	"DATA_LOSS", "UNAUTHENTICATED" };

const char *
grpc_code_name(int code)
{
	if (code < 0 || (size_t)code >= sizeof(names) / sizeof(names[0]))
		return "UNKNOWN";
	return names[code];
}

size_t
grpc_message_encode(char *to, size_t cap, const char *message)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;
	size_t start = 0; /* of the character we are in */
	bool edge;
	uint8_t c;

	for (; (c = (uint8_t)*message) != '\0'; message++) {
		if ((c & 0xc0) != 0x80)
			start = n;
		/* A blank at either end would be no part of the value. */
		edge = c == ' ' && (n == 0 || message[1] == '\0');
		if (c >= 0x20 && c <= 0x7e && c != '%' && !edge) {
			if (n + 1 >= cap)
				break;
			to[n++] = (char)c;
			continue;
		}
		if (n + 3 >= cap) {
			n = start;
			break;
		}
		to[n++] = '%';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	while (n > 0 && to[n - 1] == ' ')
		n--;
	to[n] = '\0';
	return n;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

size_t
grpc_message_decode(char *to, size_t cap, const char *p, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len + 1 < cap; i++) {
		if (p[i] == '%' && n - i > 2 && hex_value(p[i + 1]) >= 0 &&
		    hex_value(p[i + 2]) >= 0) {
			to[len++] = (char)(hex_value(p[i + 1]) << 4 |
			    hex_value(p[i + 2]));
			i += 2;
		} else {
			to[len++] = p[i];
		}
	}
	to[len] = '\0';
	return len;
}
