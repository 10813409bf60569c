#ifndef SERVER_CLIENTS_H
#define SERVER_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/client.h"
#include "server/listener.h"
#include "server/session.h"

/* All accepted connections, the oldest first: its turn comes first. */
struct clients {
	struct client *first, **last;
	size_t count;
	struct listeners *listeners;
	struct session_list *sessions;
	struct client_rules *rules;
	int64_t read_at;      /* clients_read was called last */
	size_t next_listener; /* is asked first when clients are let in */
};

/* Connections accepted in a turn, by all listeners. */
#define CLIENTS_ACCEPT 64

void clients_init(struct clients *cs, struct listeners *l,
    struct session_list *sessions, struct client_rules *rules);
/* Ends every stream and closes. */
void clients_free(struct clients *cs);

/* Fills cs->count places of the poll set. Returns until when poll may wait. */
int64_t
clients_prepare(const struct clients *cs, struct pollfd *p, int64_t now);
/* Lets in who waits, at most CLIENTS_ACCEPT; p are the listeners' places. */
void clients_accept(struct clients *cs, const struct pollfd *p, int64_t now);
/* What clients say; p are their places. New ones may be told to wait for the
 * next turn: a handshake is work. */
void clients_read(struct clients *cs, const struct pollfd *p, int64_t now);
/* What clients are told. Returns whether the turn had no time for some: they are
 * the first in the next one. */
bool clients_write(struct clients *cs, int64_t now);
/* Frees those that are over, as far as there is time. Returns whether there were
 * any. */
bool clients_sweep(struct clients *cs);
/* See client_drain. */
void clients_drain(struct clients *cs);

#endif
