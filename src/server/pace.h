#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * When a stream of messages is to be read: at once while few come. While many
 * do, what comes in a millisecond is read together: to be woken for a message
 * costs several times what there is to do about it. (SO_RCVLOWAT would be the
 * other way; but with it TCP acknowledges every other row at once, which costs
 * both sides.) Instants are monotonic us.
 */
struct pace {
	int64_t began_at; /* the stretch of time that is looked at did */
	size_t amount;    /* that came in it */
	unsigned in_row;  /* stretches that speak against bulk as it is */
	bool bulk;        /* much comes */
	int64_t pause;    /* bulk: from one read to the next */
	int64_t due_at;   /* bulk: it is read again then */
};

/* What a Unix socket holds is some 200 messages, however short. */
void pace_start(struct pace *p, bool unix_socket, int64_t now);
/* A message of so many bytes has come. */
void pace_message(struct pace *p, size_t len);
/* What was there at that time has been read, or so much that there is more. */
void pace_read(struct pace *p, bool more, int64_t now);

#endif
