#ifndef GRPC_GOAWAY_H
#define GRPC_GOAWAY_H

#include <stddef.h>
#include <stdint.h>

/* Error codes of HTTP/2 (RFC 9113, section 7). */
#define GOAWAY_ENHANCE_YOUR_CALM 0xb
#define GOAWAY_INADEQUATE_SECURITY 0xc

#define GOAWAY_MAX 256

/*
 * All that a server says to a connection it does not want: SETTINGS and GOAWAY
 * with the reason as debug data, cut to what fits. Returns how many bytes.
 */
size_t goaway_put(uint8_t to[GOAWAY_MAX], uint32_t code, const char *why);

#endif
