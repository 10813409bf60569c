#include "server/access.h"

#include "base/clock.h"
#include "base/log.h"

#define MAX_FILE ((size_t)1024 * 1024)
/* Refusals have a line in the log this often. */
#define LOG_INTERVAL SECONDS(10)

static struct tokens *
load(const char *file, struct err *err)
{
	struct tokens *ts = NULL;
	struct buf text;

	buf_init(&text, MAX_FILE);
	if (secret_read(&text, file, err) == 0) {
		ts = tokens_parse((const char *)buf_head(&text),
		    buf_unread(&text), err);
		if (ts == NULL)
			err_prefix(err, "%s", file);
	}
	buf_wipe(&text);
	buf_free(&text);
	return ts;
}

int
access_init(struct access *a, const char *file, struct metrics *metrics,
    struct err *err)
{
	*a = (struct access){ .file = file, .metrics = metrics };
	return access_reload(a, err);
}

int
access_reload(struct access *a, struct err *err)
{
	struct tokens *ts;

	if (a->file == NULL)
		return 0;
	if ((ts = load(a->file, err)) == NULL)
		return -1;
	tokens_unref(a->tokens);
	a->tokens = ts;
	return 0;
}

void
access_free(struct access *a)
{
	tokens_unref(a->tokens);
	a->tokens = NULL;
}

/* Somebody who tries tokens does not fill the log. */
static void
log_refusal(struct access *a, const char *why, int64_t now)
{
	a->unlogged++;
	if (now < a->log_at)
		return;
	log_warn("access.refused", "%u %s refused, the last one because %s",
	    a->unlogged, a->unlogged == 1 ? "call was" : "calls were", why);
	a->unlogged = 0;
	a->log_at = now + LOG_INTERVAL;
}

static void
refuse(struct access *a, struct h2_stream *s, enum request_auth auth,
    int64_t now)
{
	static const char *const reason[] = {
		[REQUEST_ANONYMOUS] = "it had no token",
		[REQUEST_BEARER] = "its token is not known",
		[REQUEST_OTHERWISE] = "its authorization was no bearer token",
	};

	metrics_refused(a->metrics, REFUSED_UNAUTHENTICATED);
	log_refusal(a, reason[auth], now);
	h2_end(s, GRPC_UNAUTHENTICATED, "%s",
	    auth == REQUEST_BEARER
		? "this token is not known here"
		: "a token is needed: \"authorization: Bearer TOKEN\"");
}

bool
access_admit(struct access *a, struct h2_stream *s, int64_t now,
    struct pass *pass)
{
	uint8_t digest[SECRET_DIGEST];
	enum request_auth auth;

	*pass = (struct pass){ NULL, NULL };
	if (a->tokens == NULL)
		return true;
	auth = h2_authorization(s, digest);
	if (auth == REQUEST_BEARER)
		pass->token = tokens_find(a->tokens, digest);
	if (pass->token == NULL) {
		refuse(a, s, auth, now);
		return false;
	}
	pass->tokens = tokens_ref(a->tokens);
	return true;
}

enum pass_state
access_renew(const struct access *a, struct pass *pass)
{
	const struct token *t;

	if (pass->tokens == a->tokens)
		return PASS_GOOD;
	t = tokens_same(a->tokens, pass->token);
	if (t == NULL)
		return PASS_GONE;
	if (!token_same_rights(t, pass->token))
		return PASS_CHANGED;
	pass_drop(pass);
	*pass = (struct pass){ tokens_ref(a->tokens), t };
	return PASS_GOOD;
}

void
pass_drop(struct pass *pass)
{
	tokens_unref(pass->tokens);
	*pass = (struct pass){ NULL, NULL };
}

const char *
pass_name(const struct pass *pass)
{
	return pass->token != NULL ? pass->token->name : NULL;
}

const struct filter *
pass_allows(const struct pass *pass)
{
	if (pass->token == NULL || pass->token->may.n == 0)
		return NULL;
	return &pass->token->may;
}
