#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <sys/types.h>

#include "base/err.h"
#include "net/addr.h"

/* A socket that is listened on, and the file of a Unix socket. */
struct listen {
	int fd;           /* -1: closed */
	struct addr addr; /* what it is bound to */
	dev_t dev;        /* of the file; ino 0: there is none */
	ino_t ino;
};

/*
 * Opens one, non-blocking. A Unix socket's file gets the mode; one that is in
 * the way is removed if it is ours and nobody listens there any more, and
 * nothing else ever is. Meanwhile its directory is locked (flock), lest another
 * who does the same removes ours; for that a moment may be waited. Returns 0, or
 * -1 with ERR_IO.
 */
int listen_open(struct listen *l, const struct addr *a, mode_t mode,
    struct err *err);
/* Closes it; the file goes, if it is still the one that was made. */
void listen_close(struct listen *l);

#endif
