#include "net/tls_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 4096

static const struct {
	const char *what;
	off_t max;
} kinds[] = {
	[TLS_FILE_CERT] = { "certificate file (--tls-cert)", 1 << 20 },
	[TLS_FILE_KEY] = { "private key file (--tls-key)", 1 << 20 },
	[TLS_FILE_CA] = { "CA file (--tls-client-ca)", 4 << 20 },
	[TLS_FILE_CRL] = { "revocation list file (--tls-client-crl)",
	    64 << 20 },
};

const char *
tls_file_what(enum tls_file_kind kind)
{
	return kinds[kind].what;
}

const char *
tls_reason(void)
{
	unsigned long code = ERR_get_error();
	const char *text = ERR_reason_error_string(code);

	ERR_clear_error();
	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	return text != NULL ? text : "no reason given";
}

int
tls_file_check_key(int fd, const char *file, struct err *err)
{
	mode_t others = S_IRWXG | S_IRWXO;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_set(err, ERR_AUTH,
		    "could not stat private key file \"%.300s\": %s", file,
		    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_AUTH,
		    "private key file \"%.300s\" is not a regular file", file);
	if (st.st_uid == 0)
		others &= ~(mode_t)S_IRGRP;
	if ((st.st_mode & others) != 0)
		return err_set(err, ERR_AUTH,
		    "private key file \"%.300s\" has group or world access; "
		    "file must have permissions u=rw (0600) or less if owned "
		    "by the current user, or permissions u=rw,g=r (0640) or "
		    "less if owned by root",
		    file);
	return 0;
}

static int
check(int fd, enum tls_file_kind kind, const char *file, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_set(err, ERR_AUTH,
		    "could not stat %s \"%.300s\": %s", kinds[kind].what, file,
		    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_AUTH,
		    "%s \"%.300s\" is not a regular file", kinds[kind].what,
		    file);
	if (st.st_size > kinds[kind].max)
		return err_set(err, ERR_AUTH,
		    "%s \"%.300s\" is larger than %lld bytes: is it the right "
		    "one?",
		    kinds[kind].what, file, (long long)kinds[kind].max);
	return kind == TLS_FILE_KEY ? tls_file_check_key(fd, file, err) : 0;
}

/* However long it has become in the meantime. */
static int
copy(BIO *to, int fd, off_t max)
{
	char chunk[CHUNK];
	off_t all = 0;
	ssize_t n;

	do {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0 && BIO_write(to, chunk, (int)n) != n) {
			errno = ENOMEM;
			n = -1;
		}
		all += n > 0 ? n : 0;
	} while (all <= max && (n > 0 || (n == -1 && errno == EINTR)));
	OPENSSL_cleanse(chunk, sizeof(chunk));
	return n == -1 ? -1 : 0;
}

struct bio_st *
tls_file_read(enum tls_file_kind kind, const char *file, struct err *err)
{
	/* A FIFO is not waited for. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	BIO *bio;

	if (fd == -1) {
		err_set(err, ERR_AUTH, "could not open %s \"%.300s\": %s",
		    kinds[kind].what, file, strerror(errno));
		return NULL;
	}
	if (check(fd, kind, file, err) == -1) {
		close(fd);
		return NULL;
	}
	if ((bio = BIO_new(BIO_s_mem())) == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else if (copy(bio, fd, kinds[kind].max) == -1) {
		err_set(err, ERR_AUTH, "could not read %s \"%.300s\": %s",
		    kinds[kind].what, file, strerror(errno));
		BIO_free(bio);
		bio = NULL;
	}
	close(fd);
	ERR_clear_error();
	return bio;
}
