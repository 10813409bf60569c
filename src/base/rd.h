#ifndef BASE_RD_H
#define BASE_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A reader over bytes it does not own. Reading past the end sets `bad` and
 * yields zeros, and so does every later read: read all fields, then ask once
 * with rd_done whether they were there and nothing was left over.
 */
struct rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct rd
rd_make(const void *p, size_t n)
{
	struct rd r = { p, (const uint8_t *)p + n, false };

	return r;
}

static inline size_t
rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

/* n borrowed bytes, or NULL when there are fewer. */
static inline const uint8_t *
rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || rd_left(r) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static inline uint8_t
rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p == NULL ? 0 : p[0];
}

static inline uint16_t
rd_u16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return p == NULL ? 0 : (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
rd_u32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p == NULL ? 0
			 : (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t
rd_u64(struct rd *r)
{
	uint64_t hi = rd_u32(r);

	return hi << 32 | rd_u32(r);
}

/* A borrowed NUL-terminated string, or "" when no NUL is left. */
static inline const char *
rd_cstr(struct rd *r)
{
	const uint8_t *nul = r->bad ? NULL : memchr(r->p, 0, rd_left(r));
	const char *s = (const char *)r->p;

	if (nul == NULL) {
		r->bad = true;
		return "";
	}
	r->p = nul + 1;
	return s;
}

/* True when every read succeeded and no byte is left. */
static inline bool
rd_done(const struct rd *r)
{
	return !r->bad && r->p == r->end;
}

#endif
