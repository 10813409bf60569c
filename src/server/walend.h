#ifndef SERVER_WALEND_H
#define SERVER_WALEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lsn.h"
#include "pg/conninfo.h"
#include "pg/typecat.h"
#include "server/pgconn.h"

/*
 * How far does the server's WAL go? The walsender does not say: what it tells
 * of is what it has sent, and nothing is heard of it while it is held up. So,
 * for who watches, a plain connection beside it asks from time to time.
 */
struct walend {
	struct pgconn pg;
	struct conninfo *ci;
	const struct pgconn *server; /* is asked, no other */
	const struct typecat *types; /* delivery waits for those first */
	bool wanted, asked;
	int64_t giving_way_at; /* since then; 0: it does not */
	int64_t due_at;        /* ask, or give the answer up; monotonic us */
	lsn_t lsn;             /* 0: not known */
};

/* While types are needed, for a minute, there is no connection: the server may
 * have but one left, and they are read over that. */
void walend_init(struct walend *w, struct conninfo *ci,
    const struct pgconn *server, const struct typecat *types);
void walend_free(struct walend *w);

/* The socket (-1: none), its events, and when to call again at the latest. */
int walend_fd(const struct walend *w);
short walend_want(const struct walend *w);
int64_t walend_deadline(const struct walend *w);

/* Moves on. wanted: there is a server, and somebody may look. */
void walend_step(struct walend *w, bool wanted, short revents, int64_t now);

#endif
