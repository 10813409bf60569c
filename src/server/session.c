#include "server/session.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/proto.h"
#include "grpc/request.h"
#include "server/feeder.h"

/* An ack takes 11 bytes; a start has room for globs. */
#define MAX_CLIENT_MESSAGE 4096
#define MAX_START_MESSAGE 32768
/* The relation of a table of 1600 columns with long names. */
#define OUT_MAX ((size_t)4 * 1024 * 1024)
/* So often a stream breaks off at one event before that is said. */
#define BREAKS 3

void
session_set_state(struct session *s, enum session_state state)
{
	bool was = s->state == SESSION_WAITING || s->state == SESSION_LIVE;
	bool is = state == SESSION_WAITING || state == SESSION_LIVE;

	s->list->attached += (unsigned)is - (unsigned)was;
	s->state = state;
}

static struct session *
session_new(struct h2_stream *stream, struct session_list *l)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	stream->user = s;
	s->stream = stream;
	s->list = l;
	s->since_at = l->now;
	buf_init(&s->out, OUT_MAX);
	walk_init(&s->walk, l->ring, &l->wr->publish->names);
	s->next = l->first;
	if (s->next != NULL)
		s->next->prev = s;
	l->first = s;
	l->count++;
	s->number = ++l->metrics->streams;
	return s;
}

const char *
session_who(const struct session *s)
{
	static char text[16 + START_MAX_STRING + TOKEN_MAX_NAME];
	const struct token *t = s->pass.token;
	int n = 0;

	*text = '\0';
	if (s->consumer != NULL)
		n = snprintf(text, sizeof(text), " of %s", s->consumer->name);
	if (t != NULL && *t->name != '\0')
		snprintf(text + n, sizeof(text) - (size_t)n, " (token %s)",
		    t->name);
	else if (t != NULL)
		snprintf(text + n, sizeof(text) - (size_t)n,
		    " (token of line %u)", t->line);
	return text;
}

lsn_t
session_told(const struct session *s)
{
	if (!session_in_place(s))
		return 0;
	if (s->subscribe) /* `started` told it where it starts */
		return lsn_max(s->member.sent, s->walk.start_lsn);
	return s->sent > 0 ? s->member.sent : 0;
}

/* The same event each time: it may be more than the client takes. */
static void
note_break(const struct session *s)
{
	unsigned n;

	if (s->stream->ending || s->large.commit_lsn == 0 ||
	    quorum_position(&s->member) > s->large.commit_lsn)
		return;
	n = consumer_broke(s->consumer, s->large);
	if (n >= BREAKS)
		log_limited(LOG_WARN, "session.too_large",
		    "stream%s broke off %u times in a row at the event %" PRIu32
		    " of the transaction " LSN_FMT ", which has more than the "
		    "4 MiB that gRPC libraries take if they are not told "
		    "otherwise",
		    session_who(s), n, s->large.seq,
		    LSN_ARG(s->large.commit_lsn));
}

void
session_detach(struct session *s)
{
	struct session_list *l = s->list;
	bool in_place = session_in_place(s);

	if (s->state == SESSION_GONE)
		return;
	if (s->consumer != NULL && in_place)
		note_break(s);
	if (s->consumer != NULL && s->consumer->stream == s)
		consumer_release(l->consumers, s->consumer,
		    in_place ? &s->member : NULL, session_told(s));
	quorum_leave(l->quorum, &s->member);
	session_set_state(s, SESSION_GONE);
	metrics_ended(l->metrics, s->stream->code);
	s->moved_at = s->gone_at = l->now;
	if (in_place)
		log_info("session.closed",
		    "stream%s closed: %" PRIu64
		    " events sent, acknowledged up to " LSN_FMT ", %u left",
		    session_who(s), s->sent, LSN_ARG(s->member.acked),
		    l->attached);
	else /* there can be any number of them */
		log_limited(LOG_INFO, "session.closed",
		    "stream%s closed before it was in place", session_who(s));
	s->consumer = NULL;
}

void
session_end(struct session *s, enum grpc_code code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	h2_end(s->stream, code, "%s", text);
	session_detach(s);
}

void
session_end_void(struct session *s, const struct consumer *c, lsn_t told,
    lsn_t lsn)
{
	s->void_of = c;
	session_end(s, GRPC_DATA_LOSS,
	    "this client knows of changes up to " LSN_FMT ", and the server, "
	    "promoted (timeline %u) or set back, has none above " LSN_FMT
	    " of those: undo what is above, or copy the tables anew",
	    LSN_ARG(told), s->list->wr->timeline, LSN_ARG(lsn));
}

static void
session_closed(struct h2_stream *stream)
{
	struct session *s = stream->user;

	if (s == NULL)
		return;
	stream->user = NULL;
	session_detach(s);
	if (s->void_of != NULL && stream->answered)
		consumers_heard(s->list->consumers, s->void_of);
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		s->list->first = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->list->count--;
	proto_start_free(&s->start);
	walk_free(&s->walk);
	pass_drop(&s->pass);
	buf_free(&s->out);
	free(s);
}

/* Is the name nobody's, or its token's? Who is not in the file any more owns
 * none: nobody could use it again. */
static bool
may_take(const struct session *s, const struct consumer *c)
{
	const char *own = pass_name(&s->pass);

	return own == NULL || !c->owned || strcmp(c->owner, own) == 0 ||
	    !tokens_have(s->pass.tokens, c->owner);
}

/* The newer of two streams with one name replaces the older. */
static void
take_name(struct session *s, const char *name)
{
	struct session_list *l = s->list;
	const char *own = pass_name(&s->pass);
	struct consumer *c = consumers_get(l->consumers, name, own);

	if (c == NULL) {
		session_end(s, GRPC_RESOURCE_EXHAUSTED,
		    "too many consumer names are in use");
		return;
	}
	if (!may_take(s, c)) {
		metrics_refused(l->metrics, REFUSED_PERMISSION);
		log_limited(LOG_WARN, "session.not_owner",
		    "a stream%s asked for the consumer \"%.100s\", which is "
		    "for tokens called \"%s\"",
		    session_who(s), name, c->owner);
		session_end(s, GRPC_PERMISSION_DENIED,
		    "the consumer \"%.100s\" is another token's", name);
		return;
	}
	if (c->void_lsn != 0) {
		session_end_void(s, c, c->void_lsn, c->cut_lsn);
		return;
	}
	if (c->stream != NULL)
		session_end(c->stream, GRPC_ABORTED,
		    "replaced by a newer "
		    "stream of the consumer \"%.100s\"",
		    name);
	s->consumer = c;
	consumer_own(c, own);
	consumer_claim(l->consumers, c, s);
}

static struct session *
open_session(struct h2_stream *stream, struct session_list *l)
{
	struct session *s;
	struct pass pass;

	if (!access_admit(l->access, stream, l->now, &pass))
		return NULL;
	if (l->draining) {
		h2_end(stream, GRPC_UNAVAILABLE, "walstream is shutting down");
	} else if ((s = session_new(stream, l)) != NULL) {
		s->pass = pass;
		s->walk.allowed = pass_allows(&pass);
		return s;
	} else {
		h2_end(stream, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	}
	pass_drop(&pass);
	return NULL;
}

static void
session_open(struct h2_stream *stream, void *arg)
{
	const char *name = h2_consumer(stream);
	struct session *s = open_session(stream, arg);

	if (s == NULL)
		return;
	session_set_state(s, SESSION_WAITING);
	if (name == NULL)
		session_end(s, GRPC_INVALID_ARGUMENT,
		    "walstream-consumer: a name has at most %d bytes",
		    REQUEST_MAX_VALUE);
	else if (*name != '\0')
		take_name(s, name);
}

static void
subscribe_open(struct h2_stream *stream, void *arg)
{
	struct session *s = open_session(stream, arg);

	if (s != NULL)
		s->subscribe = true;
}

static void
acknowledge(struct session *s, lsn_t lsn)
{
	struct err err;

	if (s->state == SESSION_WAITING) {
		s->early_ack = lsn_max(s->early_ack, lsn);
		return;
	}
	s->acks++;
	s->list->metrics->acks++;
	s->list->metrics->idle_acks += lsn <= s->member.acked;
	if (lsn <= s->walk.start_lsn)
		return; /* it began there */
	if (quorum_ack(&s->member, lsn, &err) == -1) {
		s->list->metrics->bad_acks++;
		log_limited(LOG_WARN, "session.bad_ack", "%s", err.text);
		session_end(s, GRPC_INVALID_ARGUMENT, "%s", err.text);
	}
}

/* Does it ask for what its token may not see, and not only match it by a glob?
 * Then the stream has been ended. */
static bool
forbidden(struct session *s)
{
	const struct start *st = &s->start;
	char table[START_MAX_STRING + 1] = "";
	bool message = st->messages > 0;
	size_t i;

	if (s->walk.allowed == NULL)
		return false;
	for (i = 0; i < st->tables && !message; i++)
		if (filter_plain(st->table[i], table, sizeof(table)) &&
		    !filter_table(s->walk.allowed, table))
			break;
	if (i == st->tables && !message)
		return false;
	metrics_refused(s->list->metrics, REFUSED_PERMISSION);
	session_end(s, GRPC_PERMISSION_DENIED,
	    message ? "this token may see certain tables, and no messages%s"
		    : "this token may not see the table %s",
	    table);
	return true;
}

/* The first message of a Subscribe stream; takes over m's start. */
static void
begin(struct session *s, struct client_message *m)
{
	const char *id = s->list->wr->system_identifier;

	s->start = m->start;
	m->start.tables = m->start.messages = 0;
	if (*s->start.system_identifier != '\0' &&
	    strcmp(s->start.system_identifier, id) != 0) {
		session_end(s, GRPC_FAILED_PRECONDITION,
		    "the server's system "
		    "identifier is %s, not %s: positions of another cluster "
		    "mean nothing here",
		    id, s->start.system_identifier);
		return;
	}
	if (forbidden(s))
		return;
	s->since_at = s->list->now;
	s->walk.marks = true;
	s->walk.relations = s->start.relations;
	s->walk.filter = (struct filter){ s->start.table, s->start.tables,
		s->start.operations, s->start.message, s->start.messages };
	session_set_state(s, SESSION_WAITING);
	if (*s->start.consumer != '\0')
		take_name(s, s->start.consumer);
}

static void
on_message(struct session *s, struct client_message *m)
{
	if (s->state == SESSION_STARTING && m->has_start)
		begin(s, m);
	else if (s->state == SESSION_STARTING)
		session_end(s, GRPC_INVALID_ARGUMENT,
		    "the first message must be start");
	else if (m->has_start)
		session_end(s, GRPC_INVALID_ARGUMENT, "%s",
		    s->subscribe ? "start may come only once"
				 : "start belongs to Subscribe");
	else if (m->has_ack)
		acknowledge(s, m->ack_lsn);
}

/* How a stream ends whose message could not be read. */
static enum grpc_code
unread(enum err_kind why)
{
	if (why == ERR_USAGE)
		return GRPC_INVALID_ARGUMENT;
	return why == ERR_NOMEM ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL;
}

static void
session_message(struct h2_stream *stream, const uint8_t *p, size_t n)
{
	struct session *s = stream->user;
	struct client_message m;
	struct err err;

	if (s == NULL || s->state == SESSION_GONE)
		return;
	if (proto_get_client(p, n, &m, &err) == -1) {
		session_end(s, unread(err.kind), "%s", err.text);
		return;
	}
	on_message(s, &m);
	proto_start_free(&m.start);
}

static bool
is_required(const struct session *s)
{
	return s->consumer != NULL && s->consumer->required;
}

/* Who will not acknowledge any more holds nobody up; it keeps receiving. */
static void
session_half_closed(struct h2_stream *stream)
{
	struct session *s = stream->user;

	if (s != NULL && s->state == SESSION_STARTING)
		session_end(s, GRPC_INVALID_ARGUMENT,
		    "the first message must be start");
	else if (s != NULL && !is_required(s))
		quorum_observe(s->list->quorum, &s->member);
}

const struct h2_handler session_handler = {
	.max_message = MAX_CLIENT_MESSAGE,
	.open = session_open,
	.message = session_message,
	.half_closed = session_half_closed,
	.pull = feeder_pull,
	.closed = session_closed,
};

const struct h2_handler subscribe_handler = {
	.max_message = MAX_START_MESSAGE,
	.open = subscribe_open,
	.message = session_message,
	.half_closed = session_half_closed,
	.pull = feeder_pull,
	.closed = session_closed,
};

/*
 * Up to where the client says it has everything; 0 when it does not say. What
 * its name acknowledged counts, too, but not against an exact client's own
 * word: it may have been set back to an older state.
 */
static lsn_t
asked_lsn(const struct session *s)
{
	lsn_t remembered = s->consumer != NULL ? s->consumer->position : 0;

	if (s->start.exact && s->start.after_lsn != 0)
		return s->start.after_lsn;
	return lsn_max(s->start.after_lsn, remembered);
}

/* Is what the client asks for out of reach? Then the stream has been ended. */
static bool
refused(struct session *s, lsn_t asked, lsn_t oldest)
{
	const struct walreceiver *wr = s->list->wr;
	lsn_t newest = lsn_max(wr->server_lsn, wr->received);

	if (asked > newest)
		session_end(s, GRPC_OUT_OF_RANGE,
		    "the position " LSN_FMT
		    " is ahead of the server's, " LSN_FMT
		    ": it is of another cluster, or of before a restore",
		    LSN_ARG(asked), LSN_ARG(newest));
	else if (s->start.exact && asked != 0 && asked < oldest)
		session_end(s, GRPC_OUT_OF_RANGE,
		    "the oldest position that can be started from is " LSN_FMT
		    "; changes from " LSN_FMT " on were confirmed without this "
		    "consumer: copy the tables anew, then start from there",
		    LSN_ARG(oldest), LSN_ARG(asked));
	return s->state == SESSION_GONE;
}

static void
put_in_place(struct session *s, lsn_t start_lsn, uint64_t cursor)
{
	struct session_list *l = s->list;
	lsn_t known =
	    lsn_max(l->quorum->confirmed, l->wr->publish->complete_lsn);

	session_set_state(s, SESSION_LIVE);
	walk_start(&s->walk, cursor, start_lsn);
	/* It votes for no more than is known to have been there. */
	quorum_join(l->quorum, &s->member,
	    start_lsn < known ? start_lsn : known);
	s->member.votes =
	    is_required(s) || (!s->stream->half_closed && !s->start.observer);
	if (s->consumer != NULL)
		consumer_placed(l->consumers, s->consumer);
	s->moved_at = s->taken_at = s->warned_at = s->progress_at = l->now;
	h2_respond(s->stream);
	if (s->subscribe)
		feeder_started(s, start_lsn);
	log_info("session.opened",
	    "stream%s opened at " LSN_FMT ", %u attached", session_who(s),
	    LSN_ARG(start_lsn), l->attached);
	if (s->early_ack != 0)
		acknowledge(s, s->early_ack);
}

/* A temporary slot: from now on, or from where a consumer left off if that is
 * still in memory. */
static void
place_now(struct session *s)
{
	const struct session_list *l = s->list;
	lsn_t now = publish_now(l->wr->publish), asked = asked_lsn(s);
	uint64_t cursor;

	if (asked != 0 && asked < now && ring_holds(l->ring, asked, &cursor))
		put_in_place(s, asked, cursor);
	else if (!refused(s, asked, now))
		put_in_place(s, lsn_max(asked, now), l->ring->next);
}

/* Returns false when a rewind is needed. */
static bool
place(struct session *s)
{
	const struct session_list *l = s->list;
	lsn_t asked = asked_lsn(s),
	      start = lsn_max(asked, l->quorum->confirmed);
	uint64_t cursor;

	if (l->wr->config->temporary)
		place_now(s);
	else if (refused(s, asked, l->quorum->confirmed))
		return true;
	else if (ring_holds(l->ring, start, &cursor))
		put_in_place(s, start, cursor);
	else
		return false;
	return true;
}

bool
sessions_place(struct session_list *l)
{
	struct session *s;
	bool rewind = false;

	for (s = l->first; s != NULL; s = s->next) {
		if (s->state != SESSION_WAITING)
			continue;
		if (s->stream->ending) /* its message was none */
			session_detach(s);
		else if (!place(s))
			rewind = true;
	}
	return rewind;
}
