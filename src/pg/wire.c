#include "pg/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 5        /* type and length */
#define MAX_SMALL 30000 /* libpq: others do not get this long */
#define MAX_AUTH 2000   /* libpq: nor an authentication request */
#define PROTOCOL_3_0 (3u << 16)
#define SSL_REQUEST (1234u << 16 | 5679)

const char *
wire_type(wire_type_name name, char type)
{
	unsigned char c = (unsigned char)type;

	if (c > ' ' && c < 0x7f)
		snprintf(name, sizeof(wire_type_name), "'%c'", c);
	else
		snprintf(name, sizeof(wire_type_name), "0x%02x", c);
	return name;
}

/* The most a message of this type may hold, or 0 when it may not come now. */
static size_t
max_body(char type, bool authenticated)
{
	if (!authenticated) {
		switch (type) {
		case PQ_AUTHENTICATION:
			return MAX_AUTH;
		case PQ_ERROR:
		case PQ_NOTICE:
		case PQ_NEGOTIATE:
			return MAX_SMALL;
		default:
			return 0;
		}
	}
	switch (type) {
	case PQ_ROW_DESCRIPTION:
	case PQ_DATA_ROW:
	case PQ_COPY_DATA:
	case PQ_ERROR:
	case PQ_NOTICE:
	case PQ_NOTIFICATION:
		return WIRE_MAX_MESSAGE;
	default:
		return MAX_SMALL;
	}
}

long
wire_cut(const uint8_t *p, size_t n, bool authenticated, struct wire_msg *msg,
    size_t *want, struct err *err)
{
	struct rd r = rd_make(p, n);
	wire_type_name name;
	size_t len, max;

	*want = HEADER;
	if (n == 0)
		return 0;
	msg->type = (char)rd_u8(&r);
	if ((max = max_body(msg->type, authenticated)) == 0)
		return err_set(err, ERR_PROTO,
		    "the server does not speak "
		    "PostgreSQL's protocol (message type 0x%02x)",
		    (unsigned char)msg->type);
	if (n < HEADER)
		return 0;
	len = rd_u32(&r);
	if (len < 4 || len - 4 > max)
		return err_set(err, ERR_PROTO,
		    "the server sent a message of "
		    "type %s with the impossible length %zu",
		    wire_type(name, msg->type), len);
	*want = len + 1;
	if (n < *want)
		return 0;
	msg->body = r.p;
	msg->len = len - 4;
	return (long)*want;
}

/* The fields of an error that are shown, cut so that they fit together. */
struct error_fields {
	const char *severity, *sqlstate, *message, *detail, *hint;
};

static int
error_fields(const struct wire_msg *msg, struct error_fields *f)
{
	struct rd r = rd_make(msg->body, msg->len);
	const char *text;
	char code;

	*f = (struct error_fields){ "ERROR", "XX000", "", "", "" };
	while ((code = (char)rd_u8(&r)) != '\0') {
		text = rd_cstr(&r);
		switch (code) {
		case 'V': /* never translated, unlike 'S' */
			f->severity = text;
			break;
		case 'C':
			f->sqlstate = text;
			break;
		case 'M':
			f->message = text;
			break;
		case 'D':
			f->detail = text;
			break;
		case 'H':
			f->hint = text;
			break;
		}
	}
	return rd_done(&r) ? 0 : -1;
}

int
wire_error(const struct wire_msg *msg, struct err *err)
{
	struct error_fields f;

	if (error_fields(msg, &f) == -1)
		return err_set(err, ERR_PROTO,
		    "the server sent an error report that is cut off");
	err_set(err, ERR_SERVER,
	    "%.20s: %.300s (SQLSTATE %.5s)%s%.300s%s%.300s", f.severity,
	    f.message, f.sqlstate, *f.detail ? "; detail: " : "", f.detail,
	    *f.hint ? "; hint: " : "", f.hint);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%.5s", f.sqlstate);
	return -1;
}

int
wire_row(const struct wire_msg *msg, struct wire_row *row, struct err *err)
{
	struct rd r = rd_make(msg->body, msg->len);
	uint32_t len;

	row->n = rd_u16(&r);
	if (row->n > WIRE_MAX_COLUMNS)
		return err_set(err, ERR_PROTO,
		    "the server sent a row of %d columns", row->n);
	for (int i = 0; i < row->n; i++) {
		len = rd_u32(&r);
		row->col[i].p = NULL;
		row->col[i].len = 0;
		if (len == UINT32_MAX)
			continue;
		row->col[i].p = (const char *)rd_bytes(&r, len);
		row->col[i].len = len;
	}
	if (!rd_done(&r))
		return err_set(err, ERR_PROTO,
		    "the server sent a row that is cut off");
	return 0;
}

void
wire_row_text(const struct wire_row *row, int i, char *to, size_t cap)
{
	size_t n = 0;

	if (i < row->n && row->col[i].p != NULL) {
		n = row->col[i].len < cap - 1 ? row->col[i].len : cap - 1;
		memcpy(to, row->col[i].p, n);
	}
	to[n] = '\0';
}

char *
wire_row_dup(const struct wire_row *row, int i)
{
	if (i >= row->n || row->col[i].p == NULL)
		return NULL;
	return strndup(row->col[i].p, row->col[i].len);
}

/* Starts a message; the length is filled in by end_message. A type of 0 is the
 * StartupMessage, which has none. Returns where the length stands. */
static size_t
begin_message(struct buf *out, char type)
{
	size_t at;

	if (type != 0)
		buf_put_u8(out, (uint8_t)type);
	at = out->len - out->off;
	buf_put_u32(out, 0);
	return at;
}

static void
end_message(struct buf *out, size_t at)
{
	uint8_t *p;
	size_t len;

	if (out->failed)
		return;
	p = out->data + out->off + at;
	len = out->len - out->off - at;
	p[0] = (uint8_t)(len >> 24);
	p[1] = (uint8_t)(len >> 16);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
}

void
wire_put_ssl_request(struct buf *out)
{
	size_t at = begin_message(out, 0);

	buf_put_u32(out, SSL_REQUEST);
	end_message(out, at);
}

void
wire_put_startup(struct buf *out, const struct wire_param *params, size_t n)
{
	size_t at = begin_message(out, 0);

	buf_put_u32(out, PROTOCOL_3_0);
	for (size_t i = 0; i < n; i++) {
		buf_put_cstr(out, params[i].name);
		buf_put_cstr(out, params[i].value);
	}
	buf_put_u8(out, 0);
	end_message(out, at);
}

void
wire_put_query(struct buf *out, const char *sql)
{
	size_t at = begin_message(out, 'Q');

	buf_put_cstr(out, sql);
	end_message(out, at);
}

void
wire_put_password(struct buf *out, const char *password)
{
	size_t at = begin_message(out, 'p');

	buf_put_cstr(out, password);
	end_message(out, at);
}

void
wire_put_sasl_initial(struct buf *out, const char *mechanism,
    const uint8_t *data, size_t len)
{
	size_t at = begin_message(out, 'p');

	buf_put_cstr(out, mechanism);
	buf_put_u32(out, (uint32_t)len);
	buf_put(out, data, len);
	end_message(out, at);
}

void
wire_put_sasl_response(struct buf *out, const uint8_t *data, size_t len)
{
	size_t at = begin_message(out, 'p');

	buf_put(out, data, len);
	end_message(out, at);
}

void
wire_put_copy_data(struct buf *out, const uint8_t *data, size_t len)
{
	size_t at = begin_message(out, PQ_COPY_DATA);

	buf_put(out, data, len);
	end_message(out, at);
}

void
wire_put_copy_done(struct buf *out)
{
	end_message(out, begin_message(out, PQ_COPY_DONE));
}

void
wire_put_terminate(struct buf *out)
{
	end_message(out, begin_message(out, 'X'));
}
