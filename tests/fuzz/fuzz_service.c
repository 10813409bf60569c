#include "base/buf.h"
#include "fuzz.h"
#include "pg/service.h"

/*
 * Service files. The input is the service's name, a line, and the file. What
 * is in other sections before it changes nothing; what is given are keywords
 * and values of one line each.
 */

#define ROOM ((size_t)1 << 20)

/* Notes what it is given, and takes no keyword with an 'x'. */
static int
note(void *arg, const char *key, const char *value, struct err *err)
{
	struct buf *notes = arg;

	assert(strpbrk(key, "=\n") == NULL && strchr(value, '\n') == NULL);
	assert(strncmp(key, "service", 8) != 0);
	if (strchr(key, 'x') != NULL)
		return err_set(err, ERR_USAGE, "no such thing");
	buf_put_cstr(notes, key);
	buf_put_cstr(notes, value);
	return 0;
}

/* As service_find, of a file that begins with head. */
static int
find(const char *head, const uint8_t *p, size_t n, const char *name,
    struct buf *notes)
{
	struct buf file;
	struct err err = { 0 };
	char *copy;
	int rc;

	buf_init(&file, ROOM);
	buf_put_str(&file, head);
	buf_put(&file, p, n);
	buf_put_u8(&file, '\0');
	copy = fuzz_copy(buf_head(&file), buf_unread(&file));
	rc = service_find(copy, name, note, notes, &err);
	assert(rc != -1 ||
	    (err.kind == ERR_USAGE && strncmp(err.text, "line ", 5) == 0));
	free(copy);
	buf_free(&file);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = memchr(data, '\n', size == 0 ? 0 : size);
	size_t len = nl == NULL ? size : (size_t)(nl - data);
	const uint8_t *p = data + len + (nl != NULL);
	size_t n = size - (size_t)(p - data);
	char *name = strndup((const char *)data, len);
	struct buf first, second;
	int rc;

	if (name == NULL)
		abort();
	buf_init(&first, ROOM);
	buf_init(&second, ROOM);
	rc = find("", p, n, name, &first);
	assert(rc >= -1 && rc <= 1);
	if (strchr(name, '!') == NULL && strchr(name, '\n') == NULL) {
		assert(find("x\n[!]\nx=y\nx\n\n#\n[!!]\r\n", p, n, name,
			   &second) == rc);
		assert(buf_unread(&first) == buf_unread(&second));
		assert(buf_unread(&first) == 0 ||
		    memcmp(buf_head(&first), buf_head(&second),
			buf_unread(&first)) == 0);
	}
	buf_free(&first);
	buf_free(&second);
	free(name);
	return 0;
}
