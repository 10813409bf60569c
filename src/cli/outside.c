#include "cli/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static char user[256], home[512];
static char open_to_others[1024]; /* a file that was warned of */

/* A secret file that others can read is no secret: as libpq, it is passed
 * over, with a warning. */
static bool
is_usable(int fd, const char *path, bool secret)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		log_warn("conninfo.file", "%s is no plain file: not read",
		    path);
		return false;
	}
	if (!secret)
		return true;
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) == 0) {
		*open_to_others = '\0';
		return true;
	}
	/* Once: it is read for every connection. */
	if (strcmp(open_to_others, path) != 0)
		log_warn("conninfo.file",
		    "%s can be read by group or others: not read; chmod 600 it",
		    path);
	snprintf(open_to_others, sizeof(open_to_others), "%s", path);
	return false;
}

static int
read_all(int fd, const char *path, struct buf *text, struct err *err)
{
	uint8_t *to;
	ssize_t n;

	for (;;) {
		if ((to = buf_room(text, 4096)) == NULL)
			return err_set(err, ERR_IO, "%s: too large", path);
		n = read(fd, to, 4096);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set(err, ERR_IO, "cannot read %s: %s", path,
			    strerror(errno));
		if (n == 0)
			return 1;
		buf_added(text, (size_t)n);
	}
}

/* As struct conninfo_system has it. */
static int
read_file(const char *path, bool secret, struct buf *text, struct err *err)
{
	struct stat st;
	int fd, rc = 0;

	/* What cannot be seen, as in a home that is shut, is not there. */
	if (stat(path, &st) == -1)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && secret) {
		log_warn("conninfo.file", "cannot read %s: %s", path,
		    strerror(errno));
		return 0;
	}
	if (fd == -1)
		return err_set(err, ERR_IO, "cannot read %s: %s", path,
		    strerror(errno));
	if (is_usable(fd, path, secret))
		rc = read_all(fd, path, text, err);
	close(fd);
	return rc;
}

struct conninfo_system outside = { .env = getenv, .read = read_file };

void
outside_init(void)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *h = getenv("HOME");

	/* A container may run as a user without a name. */
	snprintf(user, sizeof(user), "%s",
	    pw != NULL ? pw->pw_name : "postgres");
	if ((h == NULL || *h == '\0') && pw != NULL)
		h = pw->pw_dir;
	snprintf(home, sizeof(home), "%s", h != NULL ? h : "");
	outside.user = user;
	outside.home = *home != '\0' ? home : NULL;
}

void
outside_hide(const char *secret)
{
	union {
		const char *is;
		char *writable; /* argv and environ are */
	} u = { secret };

	if (secret != NULL)
		memset(u.writable, '*', strlen(secret));
}
