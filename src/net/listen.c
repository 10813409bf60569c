#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/conn.h"

/* How often, and after how many milliseconds, a lock is tried again. */
#define LOCK_TRIES 100
#define LOCK_PAUSE 10

/* Somebody may be there and busy, so only a refusal counts. */
static bool
is_dead(const struct addr *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool dead = fd != -1 &&
	    connect(fd, (const struct sockaddr *)&a->sa, a->len) == -1 &&
	    errno == ECONNREFUSED;

	if (fd != -1)
		close(fd);
	return dead;
}

/* Removes what a process of ours has left; nothing in the way is fine. */
static int
clear(const struct addr *a, const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, ERR_IO, "cannot listen on %s: %s", a->text,
		    strerror(errno));
	}
	if (S_ISLNK(st.st_mode))
		return err_set(err, ERR_IO,
		    "cannot listen on %s: it is a symbolic link", a->text);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_IO,
		    "cannot listen on %s: there is a file that is no socket",
		    a->text);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_IO,
		    "cannot listen on %s: the socket there is another user's",
		    a->text);
	if (!is_dead(a))
		return err_set(err, ERR_IO,
		    "cannot listen on %s: another process does", a->text);
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	return err_set(err, ERR_IO, "cannot remove the old socket %s: %s",
	    a->text, strerror(errno));
}

/* The directory of a path, locked until it is closed. -1 where there is nothing
 * to lock with, or it stays another's: that is no reason not to listen. */
static int
lock(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	int fd;

	if (slash != NULL)
		snprintf(dir, sizeof(dir), "%.*s/", (int)(slash - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < LOCK_TRIES && fd != -1; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			break;
		conn_wait(-1, 0, LOCK_PAUSE);
	}
	return fd;
}

/* Whoever was here before is not. */
static int
open_file(struct listen *l, const struct addr *a, const char *path, mode_t mode,
    struct err *err)
{
	struct stat st;
	mode_t mask;

	if (clear(a, path, err) == -1)
		return -1;
	/* From its first moment on. */
	mask = umask((mode_t)(0777 & ~mode));
	l->fd = conn_listen(a, &l->addr, err);
	umask(mask);
	if (l->fd == -1)
		return -1;
	if (lstat(path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return 0;
}

int
listen_open(struct listen *l, const struct addr *a, mode_t mode,
    struct err *err)
{
	const char *path = addr_path(a);
	int dir, rc;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (path == NULL) {
		l->fd = conn_listen(a, &l->addr, err);
		return l->fd == -1 ? -1 : 0;
	}
	dir = lock(path);
	rc = open_file(l, a, path, mode, err);
	if (dir != -1)
		close(dir);
	return rc;
}

void
listen_close(struct listen *l)
{
	const char *path = addr_path(&l->addr);
	struct stat st;

	if (l->fd == -1)
		return;
	if (l->ino != 0 && path != NULL && lstat(path, &st) == 0 &&
	    st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(path);
	close(l->fd);
	l->fd = -1;
}
