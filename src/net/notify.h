#ifndef NET_NOTIFY_H
#define NET_NOTIFY_H

#include <stdint.h>

/*
 * What a service manager is told: datagrams of VARIABLE=value lines to the
 * socket it names in $NOTIFY_SOCKET (sd_notify(3)). Without one nothing
 * happens. A lost message loses nothing else, so failures are not reported.
 */
struct notify {
	int fd;              /* -1: nobody wants to know */
	int64_t watchdog_us; /* between signs of life; 0: none are wanted */
	int64_t watchdog_at; /* the next one is due, monotonic us */
	char status[256];    /* what was told last */
};

/* Reads the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. */
void notify_init(struct notify *n);
void notify_free(struct notify *n);

/* Sends e.g. "READY=1". */
void notify_send(const struct notify *n, const char *line);
/* Sends a line ("STATUS=…") unless it is the one that was sent last. */
void notify_status(struct notify *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* When notify_alive is due; INT64_MAX when it is not wanted. */
int64_t notify_deadline(const struct notify *n);
/* Sends WATCHDOG=1 if it is due at now. */
void notify_alive(struct notify *n, int64_t now);

#endif
