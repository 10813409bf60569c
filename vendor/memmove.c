/*
 * memmove and memcpy for x86-64, in place of musl's. Those are one `rep movsq`,
 * which takes tens of nanoseconds to begin; nearly all that walstream copies is
 * a few bytes, and half its time went there.
 *
 * Up to 64 bytes all is read before anything is written. What is longer goes in
 * blocks of 64 from the end that is safe when the two overlap; the block at the
 * other end, which may overlap the one before, is read first.
 */

#include <stddef.h>
#include <stdint.h>

/* musl is compiled for size; and a loop that copies must not become a call. */
#pragma GCC optimize("O2", "no-tree-loop-distribute-patterns")

#define UNALIGNED __attribute__((aligned(1), may_alias))

typedef uint16_t u16 UNALIGNED;
typedef uint32_t u32 UNALIGNED;
typedef uint64_t u64 UNALIGNED;
typedef uint64_t u128 __attribute__((vector_size(16), aligned(1), may_alias));

struct block {
	u128 v[4];
};

/* n is from sizeof(type) to twice that: its two ends cover it. */
#define ENDS(type)                                                 \
	do {                                                       \
		type first = *(const type *)s;                     \
		type last = *(const type *)(s + n - sizeof(type)); \
                                                                   \
		*(type *)d = first;                                \
		*(type *)(d + n - sizeof(type)) = last;            \
	} while (0)

static inline struct block
load(const char *s)
{
	const u128 *p = (const u128 *)s;

	return (struct block) { { p[0], p[1], p[2], p[3] } };
}

static inline void
store(char *d, struct block b)
{
	u128 *p = (u128 *)d;

	p[0] = b.v[0];
	p[1] = b.v[1];
	p[2] = b.v[2];
	p[3] = b.v[3];
}

static inline void
small(char *d, const char *s, size_t n)
{
	if (n >= 8)
		ENDS(u64);
	else if (n >= 4)
		ENDS(u32);
	else if (n >= 2)
		ENDS(u16);
	else if (n == 1)
		*d = *s;
}

static inline void
middle(char *d, const char *s, size_t n)
{
	u128 a, b, y, z;

	if (n <= 32) {
		ENDS(u128);
		return;
	}
	a = *(const u128 *)s;
	b = *(const u128 *)(s + 16);
	y = *(const u128 *)(s + n - 32);
	z = *(const u128 *)(s + n - 16);
	*(u128 *)d = a;
	*(u128 *)(d + 16) = b;
	*(u128 *)(d + n - 32) = y;
	*(u128 *)(d + n - 16) = z;
}

static void
large(char *d, const char *s, size_t n)
{
	struct block first = load(s), last = load(s + n - 64);
	size_t i;

	if ((uintptr_t)d - (uintptr_t)s >= n) {
		for (i = 0; i < n - 64; i += 64)
			store(d + i, load(s + i));
		store(d + n - 64, last);
	} else {
		for (i = n - 64; i > 64; i -= 64)
			store(d + i, load(s + i));
		store(d + i, load(s + i));
		store(d, first);
	}
}

void *
memmove(void *dest, const void *src, size_t n)
{
	if (n <= 16)
		small(dest, src, n);
	else if (n <= 64)
		middle(dest, src, n);
	else
		large(dest, src, n);
	return dest;
}

void *memcpy(void *, const void *, size_t) __attribute__((alias("memmove")));
