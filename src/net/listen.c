#include "net/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/conn.h"

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

int
listen_open(struct listen *l, const struct addr *a, mode_t mode,
    struct err *err)
{
	const char *path = addr_path(a);
	struct stat st;
	mode_t mask;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (path != NULL && clear(a, path, err) == -1)
		return -1;
	/* From its first moment on. */
	mask = umask((mode_t)(0777 & ~mode));
	l->fd = conn_listen(a, &l->addr, err);
	umask(mask);
	if (l->fd == -1)
		return -1;
	if (path != NULL && lstat(path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return 0;
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
