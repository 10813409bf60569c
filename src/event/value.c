#include "event/value.h"

#include <string.h>

#include "event/json.h"

/* Built-in types that row_to_json does not print as a string, by the OID that
 * pg_type.dat gives them (json.c, json_categorize_type). */
enum {
	OID_BOOL = 16,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_JSON = 114,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_TIMESTAMP = 1114,
	OID_TIMESTAMPTZ = 1184,
	OID_NUMERIC = 1700,
	OID_JSONB = 3802
};

static void
put_bool(struct buf *json, const char *text, size_t len)
{
	if (len == 1 && *text == 't')
		buf_put_str(json, "true");
	else if (len == 1 && *text == 'f')
		buf_put_str(json, "false");
	else
		json_put_string(json, text, len);
}

/* NaN and the infinities are no JSON numbers: they are quoted. */
static void
put_number(struct buf *json, const char *text, size_t len)
{
	if (json_is_number(text, len))
		buf_put(json, text, len);
	else
		json_put_string(json, text, len);
}

/* "2026-01-31 12:00:00+00 BC" becomes "2026-01-31T12:00:00+00:00 BC": a T, and
 * minutes on an offset that has none. "infinity" stays as it is. */
static void
put_timestamp(struct buf *json, const char *text, size_t len)
{
	const char *space = memchr(text, ' ', len), *end = text + len, *p;

	if (space == NULL) {
		json_put_string(json, text, len);
		return;
	}
	buf_put_u8(json, '"');
	buf_put(json, text, (size_t)(space - text));
	buf_put_u8(json, 'T');
	for (p = space + 1; p < end && *p != ' '; p++)
		;
	buf_put(json, space + 1, (size_t)(p - space - 1));
	if (p - space > 3 && (p[-3] == '+' || p[-3] == '-'))
		buf_put_str(json, ":00");
	buf_put(json, p, (size_t)(end - p));
	buf_put_u8(json, '"');
}

void
value_put(struct buf *json, uint32_t type_oid, const char *text, size_t len)
{
	switch (type_oid) {
	case OID_BOOL:
		put_bool(json, text, len);
		break;
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
	case OID_FLOAT4:
	case OID_FLOAT8:
	case OID_NUMERIC:
		put_number(json, text, len);
		break;
	case OID_TIMESTAMP:
	case OID_TIMESTAMPTZ:
		put_timestamp(json, text, len);
		break;
	case OID_JSON:
	case OID_JSONB:
		buf_put(json, text, len);
		break;
	default:
		json_put_string(json, text, len);
	}
}
