#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Growable bytes with a maximum: written at the end, consumed at the start.
 *
 *	data          data+off         data+len          data+cap
 *	| consumed    | unread         | free            |
 *
 * Invariant: off <= len <= cap <= max.
 *
 * buf_put_* return nothing. A write that would pass max, or for which there is
 * no memory, sets `failed` and changes nothing; it stays set until buf_reset,
 * so it is enough to ask once, before the bytes are used.
 */
struct buf {
	uint8_t *data;
	size_t off, len, cap;
	size_t max;  /* bytes */
	bool failed; /* a write did not fit */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empties b and clears failed; keeps the memory. */
void buf_reset(struct buf *b);
/* Empties b and overwrites what was in it. */
void buf_wipe(struct buf *b);
/* Empties b and gives memory above keep bytes back. */
void buf_shrink(struct buf *b, size_t keep);

/* Room for n more bytes at the end, moving or growing as needed. Returns where
 * to write them (valid until the next call on b), or NULL with failed set. The
 * caller adds what it wrote with buf_added. */
static inline uint8_t *buf_room(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);

static inline void buf_put(struct buf *b, const void *p, size_t n);
static inline void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_str(struct buf *b, const char *s);  /* without its NUL */
void buf_put_cstr(struct buf *b, const char *s); /* with its NUL */
void buf_put_u16(struct buf *b, uint16_t v);     /* big-endian, as all below */
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_putf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* NUL-terminates without counting the NUL; returns the unread bytes as a C
 * string owned by b, or "" if b has failed. */
const char *buf_cstr(struct buf *b);

static inline size_t
buf_unread(const struct buf *b)
{
	return b->len - b->off;
}

static inline const uint8_t *
buf_head(const struct buf *b)
{
	return b->data == NULL ? (const uint8_t *)"" : b->data + b->off;
}

/* Takes back what was written after there were n unread bytes; failed stays. */
void buf_truncate(struct buf *b, size_t n);

/* Drops n unread bytes. n must not exceed buf_unread(b). */
void buf_consume(struct buf *b, size_t n);

/* buf_room, where there is none yet. */
uint8_t *buf_room_more(struct buf *b, size_t n);

static inline uint8_t *
buf_room(struct buf *b, size_t n)
{
	if (b->failed || b->cap - b->len < n || b->data == NULL)
		return buf_room_more(b, n);
	return b->data + b->len;
}

static inline void
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to;

	if (n == 0 || (to = buf_room(b, n)) == NULL)
		return;
	memcpy(to, p, n);
	b->len += n;
}

static inline void
buf_put_u8(struct buf *b, uint8_t v)
{
	uint8_t *to = buf_room(b, 1);

	if (to == NULL)
		return;
	*to = v;
	b->len++;
}

#endif
