/*
 * memcpy and memmove of the static build against copying byte by byte: every
 * size up to 300 at every offset, without overlap and with, in both directions.
 */

#include <stdio.h>
#include <string.h>

#define SIZE 300
#define ROOM (3 * SIZE)

/* Called through these, so that the compiler does not do the work itself. */
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static unsigned char got[ROOM], want[ROOM];

static void
fill(void)
{
	for (size_t i = 0; i < ROOM; i++)
		got[i] = want[i] = (unsigned char)(i * 7 + i / 251);
}

static int
differs(const char *what, size_t to, size_t from, size_t n, void *returned)
{
	unsigned char taken[SIZE];

	for (size_t i = 0; i < n; i++)
		taken[i] = want[from + i];
	for (size_t i = 0; i < n; i++)
		want[to + i] = taken[i];
	for (size_t i = 0; i < ROOM; i++) {
		if (got[i] == want[i] && returned == got + to)
			continue;
		printf("%s: %zu bytes from %zu to %zu\n", what, n, from, to);
		return 1;
	}
	return 0;
}

int
main(void)
{
	for (size_t n = 0; n <= SIZE; n++) {
		for (size_t to = SIZE - n; to <= SIZE + n; to++) {
			fill();
			if (differs("memmove", to, SIZE, n,
				move(got + to, got + SIZE, n)))
				return 1;
		}
		for (size_t at = 0; at < 64; at++) {
			fill();
			if (differs("memcpy", SIZE + at, at % 17, n,
				copy(got + SIZE + at, got + at % 17, n)))
				return 1;
		}
	}
	return 0;
}
