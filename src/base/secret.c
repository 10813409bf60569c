#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE 4096

int
secret_digest(uint8_t to[SECRET_DIGEST], const void *p, size_t n)
{
	return EVP_Digest(p, n, to, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

static int
check_file(int fd, const char *path, struct err *err)
{
	mode_t others = S_IRWXG | S_IRWXO;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_set(err, ERR_IO, "cannot look at %s: %s", path,
		    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_IO, "%s is no regular file", path);
	if (st.st_uid == 0)
		others &= ~(mode_t)S_IRGRP;
	if ((st.st_mode & others) != 0)
		return err_set(err, ERR_IO,
		    "%s is open to its group or to others: chmod 600 it (640 "
		    "if it is root's)",
		    path);
	return 0;
}

static int
read_all(struct buf *text, int fd, const char *path, struct err *err)
{
	uint8_t some[READ_SIZE];
	ssize_t n;

	do {
		n = read(fd, some, sizeof(some));
		if (n > 0)
			buf_put(text, some, (size_t)n);
	} while (!text->failed && (n > 0 || (n == -1 && errno == EINTR)));
	explicit_bzero(some, sizeof(some));
	if (text->failed)
		return err_set(err, ERR_IO, "%s has more than %zu bytes", path,
		    text->max);
	if (n == -1)
		return err_set(err, ERR_IO, "cannot read %s: %s", path,
		    strerror(errno));
	return 0;
}

int
secret_read(struct buf *text, const char *path, struct err *err)
{
	/* A FIFO is not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;

	if (fd == -1)
		return err_set(err, ERR_IO, "cannot open %s: %s", path,
		    strerror(errno));
	rc = check_file(fd, path, err);
	if (rc == 0)
		rc = read_all(text, fd, path, err);
	close(fd);
	return rc;
}
