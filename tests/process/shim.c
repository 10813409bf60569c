/*
 * What the process tests preload (LD_PRELOAD): allocations that fail, reads and
 * writes that are short. All by environment variables:
 *
 *	SHIM_FAIL=N	the Nth allocation fails, from the start of the program
 *	SHIM_FAIL=N+	so do all after it
 *	SHIM_SHORT=N	no recv, read, send or write moves more than N bytes, but
 *			to standard error; with a minus before it the least size
 *			is 1 and the sizes differ
 *	SHIM_COUNT=FILE	the number of allocations, written there at exit
 *
 * With SHIM_WRAP it is not preloaded but linked, with ld's --wrap: so it counts
 * what the program's own objects allocate, and AddressSanitizer can be there,
 * too, and tell what leaks.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long count;
static long fail_at = -1, limit;
static bool fail_on;

__attribute__((constructor)) static void
configure(void)
{
	const char *s;
	char *end;

	if ((s = getenv("SHIM_FAIL")) != NULL) {
		fail_at = strtol(s, &end, 10);
		fail_on = *end == '+';
	}
	if ((s = getenv("SHIM_SHORT")) != NULL)
		limit = strtol(s, NULL, 10);
}

__attribute__((destructor)) static void
report(void)
{
	const char *s = getenv("SHIM_COUNT");
	char text[32];
	int fd, n;

	if (s == NULL || (fd = open(s, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0)
		return;
	n = snprintf(text, sizeof(text), "%ld\n", (long)count);
	if (write(fd, text, (size_t)n) != n)
		_exit(70);
	close(fd);
}

/* Is it this one? */
static bool
fails(void)
{
	long n = atomic_fetch_add(&count, 1) + 1;

	if (fail_at <= 0 || n < fail_at || (n > fail_at && !fail_on))
		return false;
	errno = ENOMEM;
	return true;
}

#ifdef SHIM_WRAP

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

char *
__wrap_strndup(const char *s, size_t n)
{
	return fails() ? NULL : __real_strndup(s, n);
}

#else

/* glibc's own names for its allocator: no dlsym, which allocates itself. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *
malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

int
posix_memalign(void **p, size_t align, size_t n)
{
	if (fails() || (*p = __libc_memalign(align, n)) == NULL)
		return ENOMEM;
	return 0;
}

void *
aligned_alloc(size_t align, size_t n)
{
	return fails() ? NULL : __libc_memalign(align, n);
}

/* How much of n one call moves. */
static size_t
cut(size_t n)
{
	static unsigned seed = 1;
	size_t most = (size_t)labs(limit);

	if (limit == 0 || n == 0)
		return n;
	if (limit < 0)
		most = 1 + (size_t)rand_r(&seed) % most;
	return n < most ? n : most;
}

/* The next function of this name, of the C library. */
#define NEXT(name, type)                                                       \
	static type *next;                                                     \
	if (next == NULL)                                                      \
		*(void **)&next = dlsym(RTLD_NEXT, name)

typedef ssize_t receiver(int fd, void *p, size_t n, int flags);
typedef ssize_t sender(int fd, const void *p, size_t n, int flags);
typedef ssize_t reader(int fd, void *p, size_t n);
typedef ssize_t writer(int fd, const void *p, size_t n);

ssize_t
recv(int fd, void *p, size_t n, int flags)
{
	NEXT("recv", receiver);
	return next(fd, p, cut(n), flags);
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	NEXT("send", sender);
	return next(fd, p, cut(n), flags);
}

ssize_t
read(int fd, void *p, size_t n)
{
	NEXT("read", reader);
	return next(fd, p, cut(n));
}

/* Standard error, or the same file opened anew. */
static bool
is_log(int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstat(STDERR_FILENO, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	NEXT("write", writer);
	/* A line of the log is one write, and what does not fit is lost. */
	return next(fd, p, is_log(fd) ? n : cut(n));
}

#endif
