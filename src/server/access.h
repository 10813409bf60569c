#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "feed/tokens.h"
#include "grpc/h2.h"
#include "server/metrics.h"

/*
 * Who may call what: with a file of tokens (feed/tokens.h) a call needs one of
 * them, except for health checks, since those who probe have none.
 */
struct access {
	const char *file; /* NULL: everybody may see everything */
	struct tokens *tokens;
	struct metrics *metrics;
	unsigned unlogged; /* refusals since the last line in the log */
	int64_t log_at;    /* not before, monotonic us */
};

/* What a stream was let in with. */
struct pass {
	struct tokens *tokens;     /* NULL: no token was needed */
	const struct token *token; /* one of them */
};

/* Reads the file, if there is one. Returns 0, or -1 with err. */
int access_init(struct access *a, const char *file, struct metrics *metrics,
    struct err *err);
/* Reads it anew. Returns 0; or -1 with err, and what was before stays. */
int access_reload(struct access *a, struct err *err);
void access_free(struct access *a);

/* In a handler's `open`: may it be called? Otherwise the stream is ended with
 * UNAUTHENTICATED. pass is set, in both cases. */
bool access_admit(struct access *a, struct h2_stream *s, int64_t now,
    struct pass *pass);

/* After access_reload: PASS_GONE: the token is not there any more. PASS_CHANGED:
 * it may see something else now. In both cases the pass is as it was. */
enum pass_state { PASS_GOOD, PASS_CHANGED, PASS_GONE };
enum pass_state access_renew(const struct access *a, struct pass *pass);
void pass_drop(struct pass *pass);

/* What its token is called, "" when it has no name; NULL: no token was needed. */
const char *pass_name(const struct pass *pass);
/* The tables it may see, or NULL: all. */
const struct filter *pass_allows(const struct pass *pass);

#endif
