#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->off = b->len = 0;
	b->failed = false;
}

void
buf_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_reset(b);
}

void
buf_shrink(struct buf *b, size_t keep)
{
	if (b->cap > keep)
		buf_free(b);
	else
		buf_reset(b);
}

/* Makes cap - len >= n, knowing that unread + n fits into max. */
static bool
grow(struct buf *b, size_t n)
{
	size_t unread = b->len - b->off, cap;
	uint8_t *p;

	if (b->off > 0 && (b->cap - unread >= n) && b->off >= unread) {
		memmove(b->data, b->data + b->off, unread);
		b->off = 0;
		b->len = unread;
		return true;
	}
	cap = b->cap < 256 ? 256 : b->cap;
	while (cap < unread + n && cap < b->max)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	if ((p = malloc(cap)) == NULL)
		return false;
	if (unread > 0)
		memcpy(p, b->data + b->off, unread);
	if (b->data != NULL)
		explicit_bzero(b->data, b->len); /* it may be a secret */
	free(b->data);
	b->data = p;
	b->off = 0;
	b->len = unread;
	b->cap = cap;
	return true;
}

uint8_t *
buf_room_more(struct buf *b, size_t n)
{
	assert(b->off <= b->len && b->len <= b->cap && b->cap <= b->max);
	if (b->failed || n > b->max - (b->len - b->off)) {
		b->failed = true;
		return NULL;
	}
	if ((b->data == NULL || b->cap - b->len < n) && !grow(b, n)) {
		b->failed = true;
		return NULL;
	}
	return b->data + b->len;
}

void
buf_added(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->len);
	b->len += n;
}

void
buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_put_cstr(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s) + 1);
}

void
buf_put_u16(struct buf *b, uint16_t v)
{
	uint8_t p[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, p, sizeof(p));
}

void
buf_put_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16),
		(uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, p, sizeof(p));
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	buf_put_u32(b, (uint32_t)(v >> 32));
	buf_put_u32(b, (uint32_t)v);
}

void
buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	uint8_t *to;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0 && (to = buf_room(b, (size_t)n + 1)) != NULL) {
		vsnprintf((char *)to, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

const char *
buf_cstr(struct buf *b)
{
	uint8_t *to = buf_room(b, 1);

	if (to == NULL)
		return "";
	*to = '\0';
	return (const char *)b->data + b->off;
}

void
buf_truncate(struct buf *b, size_t n)
{
	assert(n <= b->len - b->off);
	b->len = b->off + n;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len - b->off);
	b->off += n;
	if (b->off == b->len)
		b->off = b->len = 0;
}
