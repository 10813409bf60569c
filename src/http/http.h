#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * What a small HTTP/1.1 server has to know of HTTP (RFC 9110, RFC 9112): bytes
 * in, a request or what is wrong with it out; and the head of an answer. GET
 * and HEAD, no bodies.
 */

/* Request line and headers together, bytes; and the path. */
#define HTTP_MAX_HEAD 8192
#define HTTP_MAX_PATH 1023
#define HTTP_MAX_FIELDS 100

/* Every status that is ever answered. */
#define HTTP_STATUSES(X)                          \
	X(200, "OK")                              \
	X(400, "Bad Request")                     \
	X(404, "Not Found")                       \
	X(405, "Method Not Allowed")              \
	X(413, "Content Too Large")               \
	X(414, "URI Too Long")                    \
	X(431, "Request Header Fields Too Large") \
	X(500, "Internal Server Error")           \
	X(503, "Service Unavailable")             \
	X(505, "HTTP Version Not Supported")

/* A status' place among them, to count by; HTTP_KINDS: how many there are. */
enum http_kind {
#define X(status, reason) HTTP_KIND_##status,
	HTTP_STATUSES(X)
#undef X
	    HTTP_KINDS
};

struct http_request {
	bool head;                    /* HEAD: the answer has no body */
	bool keep_alive;              /* another request may follow */
	char path[HTTP_MAX_PATH + 1]; /* as it was sent, without its query */
};

/*
 * Reads the request that the n bytes at p begin with. Returns 200 with *used,
 * its length; 0 when it is not whole yet; or the status to refuse it with:
 * what follows cannot be told from it, so the connection has to be closed
 * then. Never 0 for n >= HTTP_MAX_HEAD.
 */
int http_read(const uint8_t *p, size_t n, struct http_request *r, size_t *used);

/* The place, the number and the name of a status; unknown ones are 500. */
enum http_kind http_kind(int status);
int http_status(enum http_kind kind);
const char *http_reason(int status);

/* The head of an answer with a body of len bytes, of this type; date: in the
 * form of RFC 9110, 5.6.7. */
void http_put_head(struct buf *to, int status, const char *type, size_t len,
    bool keep_alive, const char *date);

#endif
