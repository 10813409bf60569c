#include "server/walreceiver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pg/replication.h"
#include "server/walfault.h"
#include "server/walquery.h"
#include "server/walstatus.h"

#define STOP_TIMEOUT SECONDS(5)
#define QUERY_TIMEOUT SECONDS(60)
#define CLOSE_TIMEOUT SECONDS(1)
/* While nobody is attached: a temporary slot is moved on so that it holds no
 * WAL back, a permanent one is looked at. */
#define ADVANCE_INTERVAL SECONDS(240)
#define WATCH_INTERVAL SECONDS(5)
#define WATCH_BUSY SECONDS(1)
/* Making a slot takes longer than that: say why. */
#define CREATE_SLOW SECONDS(5)
#define READ_SIZE ((size_t)128 * 1024)
#define SQL_MAX ((size_t)64 * 1024)

static const char *const state_names[WR_STATES] = {
#define X(state, name) [state] = name,
	WALRECEIVER_STATES(X)
#undef X
};

/* The one door between states. */
static void
set_state(struct walreceiver *wr, enum walreceiver_state state)
{
	struct buf sql;

	log_debug("pg.state", "%s -> %s", state_names[wr->state],
	    state_names[state]);
	wr->state = state;
	wr->found = wr->slow = false;
	if (walquery[state].ask == NULL)
		return;
	buf_init(&sql, SQL_MAX);
	walquery[state].ask(wr, &sql);
	pgconn_query(&wr->pg, buf_cstr(&sql));
	wr->pg.conn.out.failed |= sql.failed;
	buf_free(&sql);
}

void
walreceiver_init(struct walreceiver *wr,
    const struct walreceiver_config *config, struct publish *publish,
    struct quorum *quorum)
{
	memset(wr, 0, sizeof(*wr));
	wr->config = config;
	wr->publish = publish;
	wr->quorum = quorum;
	pgconn_init(&wr->pg);
}

void
walreceiver_free(struct walreceiver *wr)
{
	pgconn_close(&wr->pg);
}

int
walreceiver_fd(const struct walreceiver *wr)
{
	return pgconn_fd(&wr->pg);
}

const char *
walreceiver_state_name(const struct walreceiver *wr)
{
	return state_names[wr->state];
}

bool
walreceiver_streaming(const struct walreceiver *wr)
{
	return wr->state == WR_STREAMING;
}

bool
walreceiver_able(const struct walreceiver *wr)
{
	if (wr->busy)
		return false;
	return wr->last.kind == ERR_NONE || wr->state == WR_READY ||
	    wr->state == WR_ADVANCE || wr->state == WR_WATCH;
}

/* May input be taken? Only what becomes events needs room. */
static bool
may_read(struct walreceiver *wr)
{
	if (wr->state != WR_STREAMING)
		return true;
	if (wr->finishing && !wr->publish->open)
		return false;
	if (typecat_needs(&wr->publish->types))
		return false; /* somebody is reading them */
	return ring_room(wr->publish->ring);
}

/* It is read when it is due, whatever poll would say. */
static bool
is_paced(const struct walreceiver *wr)
{
	return wr->state == WR_STREAMING && wr->pace.bulk;
}

short
walreceiver_want(struct walreceiver *wr)
{
	return may_read(wr) && !is_paced(wr) ? pgconn_want(&wr->pg)
					     : conn_want(&wr->pg.conn, false);
}

/* A question that is answered at once. To make a slot, PostgreSQL waits for
 * transactions; to advance one, it reads. */
static bool
asks(const struct walreceiver *wr)
{
	return walquery[wr->state].ask != NULL && wr->state != WR_CREATE &&
	    wr->state != WR_ADVANCE;
}

int64_t
walreceiver_deadline(struct walreceiver *wr, int64_t now)
{
	switch (wr->state) {
	case WR_OFFLINE:
		return wr->retry_at;
	case WR_CONNECTING:
		return pgconn_deadline(&wr->pg);
	case WR_READY:
		return wr->wanted ? now : wr->idle_at;
	case WR_STREAMING:
		if (!wr->wanted || wr->rewind || wr->closing)
			return now;
		if (!may_read(wr))
			return walstatus_deadline(wr);
		if (wr->pending)
			return now;
		return clock_earlier(wr->pace.due_at, walstatus_deadline(wr));
	case WR_STOPPING:
		return wr->stop_at;
	case WR_CREATE:
		return wr->slow ? INT64_MAX : wr->state_at + CREATE_SLOW;
	default:
		return asks(wr) ? wr->state_at + QUERY_TIMEOUT : INT64_MAX;
	}
}

/* The connection is of no more use. Returns -1 when there is no point in
 * trying again. */
static int
fail(struct walreceiver *wr, int64_t now, struct err *err)
{
	int64_t wait;

	walfault_classify(wr, err);
	if (wr->publish->events > wr->events)
		wr->silences = 0;
	wr->busy = strcmp(err->sqlstate, "55006") == 0;
	wait = walfault_wait(wr, err, now);
	wr->last = *err;
	pgconn_close(&wr->pg);
	publish_stop(wr->publish);
	wr->pending = wr->again = false;
	if (wr->closing) {
		set_state(wr, WR_CLOSED);
		return 0;
	}
	if (!wr->was_ready && !walfault_passes(wr, err))
		return -1;
	walfault_note(wr, err, wait, now);
	wr->retry_at = now + wait;
	set_state(wr, WR_OFFLINE);
	return 0;
}

static void
begin_streaming(struct walreceiver *wr, int64_t now)
{
	lsn_t lsn = wr->quorum->confirmed;

	wr->publish->now = now;
	/* Streams that stayed attached keep what is in the ring. */
	publish_start(wr->publish, lsn, !wr->rewind);
	wr->rewind = false;
	wr->events = wr->publish->events;
	wr->received = lsn;
	wr->last.kind = ERR_NONE;
	wr->busy = false;
	snprintf(wr->copied_from, sizeof(wr->copied_from), "%s",
	    pgdial_address(&wr->pg.dial)->text);
	snprintf(wr->promotable, sizeof(wr->promotable), "%s",
	    wr->pg.standby ? wr->started : "");
	log_info("replication.started",
	    "streaming from slot \"%s\" at " LSN_FMT, wr->config->slot,
	    LSN_ARG(lsn));
	set_state(wr, WR_STREAMING);
	pace_start(&wr->pace, addr_is_unix(pgdial_address(&wr->pg.dial)), now);
	walstatus_begin(wr, now);
}

static int
copy_data(struct walreceiver *wr, const struct wire_msg *msg, int64_t now,
    struct err *err)
{
	struct repl_msg m;
	int rc;

	if (wr->state == WR_STOPPING)
		return 0; /* will come again */
	if (repl_parse(msg->body, msg->len, &m, err) == -1)
		return -1;
	wr->received = lsn_max(wr->received, m.wal_end);
	if (m.type == REPL_KEEPALIVE)
		return walstatus_keepalive(wr, &m, now, err);
	if (m.type != REPL_XLOG_DATA)
		return 0;
	wr->nagged_at = 0;
	pace_message(&wr->pace, m.len);
	wr->publish->now = now;
	rc = publish_message(wr->publish, m.start_lsn, m.data, m.len, err);
	wr->again = rc == PUBLISH_WAIT;
	return rc == -1 ? -1 : 0;
}

/* This connection has done what it was for; the next one comes at once. */
static void
disconnect(struct walreceiver *wr, int64_t now)
{
	pgconn_close(&wr->pg);
	wr->retry_at = now;
	set_state(wr, wr->closing ? WR_CLOSED : WR_OFFLINE);
}

/* Of a query, and so out of its place in a COPY. */
static bool
is_answer(char type)
{
	return type == PQ_DATA_ROW || type == PQ_ROW_DESCRIPTION ||
	    type == PQ_COMMAND_COMPLETE || type == PQ_READY;
}

static int
query_message(struct walreceiver *wr, const struct wire_msg *msg, int64_t now,
    struct err *err)
{
	const struct walquery *q = &walquery[wr->state];
	bool copying = wr->state == WR_STREAMING;
	wire_type_name name;
	struct wire_row row;
	int next;

	switch (copying && is_answer(msg->type) ? '\0' : msg->type) {
	case PQ_DATA_ROW:
		if (wire_row(msg, &row, err) == -1)
			return -1;
		return q->row == NULL ? 0 : q->row(wr, &row, err);
	case PQ_COPY_BOTH:
		if (wr->state == WR_START) {
			begin_streaming(wr, now);
			return 0;
		}
		break;
	case PQ_COPY_DATA:
		if (copying || wr->state == WR_STOPPING)
			return copy_data(wr, msg, now, err);
		break;
	case PQ_COPY_DONE:
		if (copying)
			return err_set(err, ERR_IO,
			    "the server ended the COPY");
		return 0;
	case PQ_COMMAND_COMPLETE:
	case PQ_ROW_DESCRIPTION:
		return 0;
	case PQ_READY:
		if (q->done == NULL || (next = q->done(wr, err)) == -1)
			return -1;
		if (next == WR_OFFLINE)
			disconnect(wr, now);
		else
			set_state(wr, (enum walreceiver_state)next);
		return 0;
	}
	return err_set(err, ERR_PROTO, "message type %s while %s",
	    wire_type(name, msg->type), state_names[wr->state]);
}

/*
 * PostgreSQL 18 only warns (55000) when the publication is missing, and goes
 * on without its changes; until 17 that is an error. Likewise it warns when it
 * waits for a standby of synchronized_standby_slots, which is as it should be.
 */
static int
check_notice(struct walreceiver *wr, struct err *err)
{
	if (wr->state != WR_STREAMING || wr->pg.notice.kind == ERR_NONE ||
	    strcmp(wr->pg.notice.sqlstate, "55000") != 0 ||
	    strstr(wr->pg.notice.text, "synchronized_standby_slots") != NULL)
		return 0;
	*err = wr->pg.notice;
	err->kind = ERR_CONFIG;
	return -1;
}

/* Everything that is here and that there is room for. */
static int
messages(struct walreceiver *wr, int64_t now, struct err *err)
{
	struct wire_msg msg;
	int got;

	while (wr->pg.state == PGCONN_READY) {
		if ((wr->pending = !may_read(wr)))
			return 0;
		if (wr->again)
			pgconn_again(&wr->pg);
		wr->again = false;
		got = pgconn_next(&wr->pg, &msg, err);
		if (check_notice(wr, err) == -1)
			return -1;
		if (got == -1 && walfault_is_none(wr, err))
			continue;
		if (got <= 0)
			return got;
		if (query_message(wr, &msg, now, err) == -1)
			return -1;
	}
	return 0;
}

static void
stop_streaming(struct walreceiver *wr, int64_t now)
{
	walstatus_send(wr, now, false);
	wire_put_copy_done(&wr->pg.conn.out);
	publish_stop(wr->publish);
	wr->pending = wr->again = false;
	wr->stop_at = now + (wr->closing ? CLOSE_TIMEOUT : STOP_TIMEOUT);
	set_state(wr, WR_STOPPING);
}

static int64_t
idle_interval(const struct walreceiver *wr)
{
	if (wr->config->temporary)
		return ADVANCE_INTERVAL;
	return wr->busy ? WATCH_BUSY : WATCH_INTERVAL;
}

/* Says once, and whenever it is another one, which server this is. */
static void
introduce(struct walreceiver *wr)
{
	char server[sizeof(wr->server)];

	pgconn_describe(&wr->pg, server, sizeof(server));
	if (strcmp(server, wr->server) == 0)
		return;
	memcpy(wr->server, server, sizeof(server));
	log_info("pg.ready",
	    "connected to PostgreSQL %d at %s, system %s, "
	    "slot \"%s\" confirmed up to " LSN_FMT,
	    wr->version, server, wr->system_identifier, wr->config->slot,
	    LSN_ARG(wr->quorum->confirmed));
	if (!pgconn_private(&wr->pg))
		log_warn("pg.plaintext",
		    "what comes from %s can be read and altered on its way: "
		    "use sslmode=verify-full, or at least require",
		    server);
}

/* CREATE: PostgreSQL waits for transactions, or on a standby for word of them
 * from the primary, which may never come by itself. */
static void
check_slow(struct walreceiver *wr, int64_t now)
{
	if (wr->slow || now - wr->state_at < CREATE_SLOW)
		return;
	wr->slow = true;
	err_set(&wr->last, ERR_IO, "slot \"%s\" is still being created: %s",
	    wr->config->slot,
	    wr->pg.standby ? "the standby waits for a record that SELECT "
			     "pg_log_standby_snapshot() on the primary writes"
			   : "the server waits for open transactions to end");
	log_warn("slot.slow", "%s", wr->last.text);
}

/* READY: nothing is under way; what is to be done? */
static void
on_ready(struct walreceiver *wr, int64_t now)
{
	introduce(wr);
	wr->was_ready = true;
	if (wr->idle_at == 0)
		wr->idle_at = now + idle_interval(wr);
	if (!wr->wanted && now < wr->idle_at)
		return;
	wr->idle_at = 0;
	if (wr->wanted)
		set_state(wr, WR_LOCATE);
	else
		set_state(wr, wr->config->temporary ? WR_ADVANCE : WR_WATCH);
}

/* Takes what has come. */
static int
hear(struct walreceiver *wr, short revents, int64_t now, struct err *err)
{
	bool told = conn_readable(&wr->pg.conn, revents);
	bool due = is_paced(wr) && now >= wr->pace.due_at;
	size_t before = buf_unread(&wr->pg.conn.in), got;

	if (!(told || due) || !may_read(wr))
		return 0;
	if (pgconn_fill(&wr->pg, READ_SIZE, err) == -1)
		return -1;
	got = buf_unread(&wr->pg.conn.in) - before;
	pace_read(&wr->pace, got >= READ_SIZE, now);
	if (!told && got == 0)
		return 0;
	if (wr->pinged)
		wr->silences = 0; /* it answers: it was not busy */
	walstatus_heard(wr, now);
	return 0;
}

static int
step(struct walreceiver *wr, short revents, int64_t now, struct err *err)
{
	if (wr->state == WR_OFFLINE && now >= wr->retry_at) {
		set_state(wr, WR_CONNECTING);
		return pgconn_open(&wr->pg, wr->config->conninfo, true, NULL,
		    now, err);
	}
	if (wr->state == WR_CONNECTING) {
		if (pgconn_step(&wr->pg, revents, now, err) == -1)
			return -1;
		if (wr->pg.state != PGCONN_READY)
			return 0;
		wr->connects++;
		set_state(wr, WR_IDENTIFY);
		wr->state_at = now; /* connecting may have taken long */
	}
	if (wr->state == WR_OFFLINE || wr->state == WR_CLOSED)
		return 0;
	if (!may_read(wr))
		walstatus_heard(wr, now);
	if (hear(wr, revents, now, err) == -1)
		return -1;
	if (messages(wr, now, err) == -1)
		return -1;
	if (wr->state == WR_READY)
		on_ready(wr, now);
	else if (wr->state == WR_STREAMING &&
	    (!wr->wanted || wr->rewind || wr->closing))
		stop_streaming(wr, now);
	else if (wr->state == WR_STREAMING &&
	    walstatus_silence(wr, now, err) == -1)
		return -1;
	else if (wr->state == WR_CREATE)
		check_slow(wr, now);
	else if (asks(wr) && now - wr->state_at >= QUERY_TIMEOUT) {
		wr->refused = wr->config->conninfo->hosts > 1;
		return err_set(err, ERR_IO, "the server does not answer");
	} else if (wr->state == WR_STOPPING && now >= wr->stop_at)
		disconnect(wr, now);
	return wr->pg.state == PGCONN_READY ? pgconn_flush(&wr->pg, err) : 0;
}

/* Not this server, then: is there another host to ask? */
static int
next_host(struct walreceiver *wr, int64_t now, struct err *err)
{
	struct err why = *err;

	if (pgconn_refuse(&wr->pg, now, err) == -1)
		return -1;
	log_warn("pg.next_host", "%s", why.text);
	wr->last = why;
	wr->refused = false;
	set_state(wr, WR_CONNECTING);
	return 0;
}

int
walreceiver_step(struct walreceiver *wr, short revents, int64_t now,
    struct err *err)
{
	enum walreceiver_state before = wr->state;
	int rc = step(wr, revents, now, err);

	if (rc == -1 && wr->refused)
		rc = next_host(wr, now, err);
	if (rc == -1)
		rc = fail(wr, now, err);
	wr->refused = false;
	if (wr->state != before)
		wr->state_at = now;
	return rc;
}

void
walreceiver_attach(struct walreceiver *wr, bool wanted)
{
	/* Nobody was attached: there is nothing to resume. */
	if (wanted && !wr->wanted)
		wr->rewind = wr->state != WR_STREAMING;
	wr->wanted = wanted;
}

void
walreceiver_finish(struct walreceiver *wr)
{
	wr->finishing = true;
}

void
walreceiver_rewind(struct walreceiver *wr)
{
	wr->rewinds += !wr->rewind;
	wr->rewind = true;
}

void
walreceiver_report(struct walreceiver *wr, int64_t now)
{
	struct err ignored;

	if (wr->state != WR_STREAMING)
		return;
	/* Not behind one that the server has not taken yet. */
	if (buf_unread(&wr->pg.conn.out) == 0 &&
	    (wr->quorum->confirmed > wr->reported || now >= wr->status_at))
		walstatus_send(wr, now, false);
	/* A failure shows at the next step. */
	pgconn_flush(&wr->pg, &ignored);
}

void
walreceiver_close(struct walreceiver *wr, int64_t now)
{
	wr->closing = true;
	if (wr->state == WR_STREAMING) {
		stop_streaming(wr, now);
	} else if (wr->state != WR_STOPPING) {
		pgconn_close(&wr->pg);
		set_state(wr, WR_CLOSED);
	}
}

int
walreceiver_let_go(struct walreceiver *wr, int64_t now, struct err *err)
{
	err_set(err, ERR_IO,
	    "the server is shutting down, and clients have no "
	    "room for what it still sends: let go");
	return fail(wr, now, err);
}

bool
walreceiver_held_up(struct walreceiver *wr)
{
	return wr->state == WR_STREAMING && !may_read(wr);
}
