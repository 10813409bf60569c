#ifndef PG_WIRE_H
#define PG_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rd.h"

/*
 * The frontend/backend protocol, version 3.0 (PostgreSQL, "Message Formats"):
 * messages as bytes, in both directions. Every message but the first from the
 * frontend is Byte1 type, Int32 length (itself included), body.
 */

/* Message types, named as in PostgreSQL's protocol.h. */
enum {
	/* from the backend */
	PQ_AUTHENTICATION = 'R',
	PQ_BACKEND_KEY_DATA = 'K',
	PQ_COMMAND_COMPLETE = 'C',
	PQ_COPY_BOTH = 'W',
	PQ_COPY_IN = 'G',
	PQ_COPY_OUT = 'H',
	PQ_DATA_ROW = 'D',
	PQ_EMPTY_QUERY = 'I',
	PQ_ERROR = 'E',
	PQ_NEGOTIATE = 'v',
	PQ_NOTICE = 'N',
	PQ_NOTIFICATION = 'A',
	PQ_PARAMETER_STATUS = 'S',
	PQ_READY = 'Z',
	PQ_ROW_DESCRIPTION = 'T',
	/* both ways */
	PQ_COPY_DATA = 'd',
	PQ_COPY_DONE = 'c',
};

/* The Int32 at the head of an Authentication message. */
enum {
	AUTH_OK = 0,
	AUTH_CLEARTEXT = 3,
	AUTH_MD5 = 5,
	AUTH_SASL = 10,
	AUTH_SASL_CONTINUE = 11,
	AUTH_SASL_FINAL = 12,
};

/* A message type for an error text: "'Z'", or "0x9b" where that cannot be
 * printed. wire_type(name, type) returns name. */
typedef char wire_type_name[8];
const char *wire_type(wire_type_name name, char type);

/* The largest message PostgreSQL can send: a CopyData of 1 GiB. */
#define WIRE_MAX_MESSAGE ((size_t)1 << 30)

/* One backend message; body is borrowed from the input. */
struct wire_msg {
	char type;
	const uint8_t *body;
	size_t len; /* of body */
};

/*
 * Cuts the first message from n bytes at p. Before the session is
 * authenticated only R, E, N, v with libpq's small bounds are accepted; after
 * that types other than T, D, d, E, N, A may hold at most 30,000 bytes.
 * Returns the bytes that the whole message takes, 0 when more input is needed
 * (*want is then how many bytes in all are sure to be needed), or -1 with
 * ERR_PROTO when this is not a PostgreSQL server.
 */
long wire_cut(const uint8_t *p, size_t n, bool authenticated,
    struct wire_msg *msg, size_t *want, struct err *err);

/*
 * Fills err (ERR_SERVER and its sqlstate) from the body of an ErrorResponse or
 * NoticeResponse: "SEVERITY:  message (SQLSTATE x); detail: …; hint: …", each
 * field cut at 300 bytes. A body without terminators is ERR_PROTO. Always
 * returns -1.
 */
int wire_error(const struct wire_msg *msg, struct err *err);

#define WIRE_MAX_COLUMNS 32

/* One DataRow of a small result; values are borrowed. */
struct wire_row {
	int n;
	struct {
		const char *p; /* NULL for SQL NULL; not NUL-terminated */
		size_t len;
	} col[WIRE_MAX_COLUMNS];
};

/* Returns 0, or -1 with ERR_PROTO. */
int wire_row(const struct wire_msg *msg, struct wire_row *row, struct err *err);
/* Column i as a C string in to[cap], cut to fit; "" when NULL or absent. */
void wire_row_text(const struct wire_row *row, int i, char *to, size_t cap);
/* Column i as a malloc'd C string; NULL when NULL, absent or out of memory. */
char *wire_row_dup(const struct wire_row *row, int i);

/* A name and value of the StartupMessage. */
struct wire_param {
	const char *name, *value;
};

/* Frontend messages, appended to out. */
/* Asks for TLS: before anything else. */
void wire_put_ssl_request(struct buf *out);
void
wire_put_startup(struct buf *out, const struct wire_param *params, size_t n);
void wire_put_query(struct buf *out, const char *sql);
void wire_put_password(struct buf *out, const char *password);
void wire_put_sasl_initial(struct buf *out, const char *mechanism,
    const uint8_t *data, size_t len);
void wire_put_sasl_response(struct buf *out, const uint8_t *data, size_t len);
void wire_put_copy_data(struct buf *out, const uint8_t *data, size_t len);
void wire_put_copy_done(struct buf *out);
void wire_put_terminate(struct buf *out);

#endif
