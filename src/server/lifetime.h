#ifndef SERVER_LIFETIME_H
#define SERVER_LIFETIME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How long a client's connection lives: what is due when, and nothing else.
 * Pure; times are monotonic microseconds, spans 0 for "never".
 *
 *	OPENING	 the client owes its preface and SETTINGS, then the
 *		 acknowledgement of ours
 *	OPEN
 *	NOTICED	 it was asked to make no more streams
 *	LEAVING	 it was told which of its streams were taken; closed when the
 *		 last of them has ended
 *	ENDED	 their time was up: they were told so
 *
 * A client is alive when a byte came from it. After keepalive_us of silence it
 * gets a PING, and after keepalive_timeout_us more it is gone. While what was
 * sent before the PING still gets on to it, it is only slow.
 */
enum life_state {
	LIFE_OPENING,
	LIFE_OPEN,
	LIFE_NOTICED,
	LIFE_LEAVING,
	LIFE_ENDED,
};

struct lifetime_rules {
	int64_t keepalive_us, keepalive_timeout_us;
	int64_t idle_us; /* without a stream */
	int64_t age_us;  /* give or take a tenth */
	int64_t age_grace_us;
};

struct lifetime {
	const struct lifetime_rules *rules;
	enum life_state state;
	const char *leave; /* why it has to go: a word; NULL: it has not */
	bool aged;         /* its streams have to, too */
	int64_t owed_at;   /* OPENING: what it owes is due */
	bool greeted;
	int64_t until_at;  /* NOTICED, LEAVING, ENDED: not for longer */
	int64_t age_at;    /* it is old then; INT64_MAX: never */
	int64_t idle_at;   /* since when it has no stream; 0: it has */
	int64_t heard_at;  /* a byte came */
	int64_t alive_at;  /* that, or it took something before the PING */
	int64_t pinged_at; /* a PING is out; 0: none */
	int64_t look_at;   /* then: look whether it takes something */
};

/* What h2 knows of it. */
struct life_facts {
	bool greeted, settled, noticed, spent;
	bool streams; /* some are open */
};

enum life_action {
	LIFE_NOTHING,
	LIFE_PING,        /* h2_ping */
	LIFE_NOTICE,      /* h2_notice */
	LIFE_GOAWAY,      /* h2_goaway with l->leave */
	LIFE_END_ALL,     /* h2_end_all with l->leave */
	LIFE_NO_PREFACE,  /* h2_too_slow */
	LIFE_NO_SETTINGS, /* h2_too_slow */
	LIFE_DEAD,        /* no sign of life */
	LIFE_CLOSE,       /* it has had its time */
};

/* A connection was accepted; it may get older by age_us times more/1000. */
void lifetime_init(struct lifetime *l, const struct lifetime_rules *rules,
    int64_t now, int more);
/* A byte came. */
void lifetime_heard(struct lifetime *l, int64_t now);
/* A PING is out and something sent before it has got on. */
void lifetime_progress(struct lifetime *l, int64_t now);
/* It has to go, with grace; the first reason, a word, counts. */
void lifetime_leave(struct lifetime *l, const char *why);
/* What is to be done now; to be asked until it is nothing. */
enum life_action
lifetime_step(struct lifetime *l, const struct life_facts *f, int64_t now);
/* When the next step is due; INT64_MAX: when something happens. */
int64_t lifetime_deadline(const struct lifetime *l);

#endif
