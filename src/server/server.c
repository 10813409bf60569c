#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/notify.h"
#include "server/catalog.h"
#include "server/clients.h"
#include "server/health.h"
#include "server/listener.h"
#include "server/probe.h"
#include "server/session.h"

/* How long clients get to take their last bytes at shutdown. */
#define FLUSH_TIME SECONDS(2)
#define MAX_EVENT ((size_t)1 << 30)

enum {
	FD_PG,
	FD_PROBE,
	FD_CATALOG,
	FD_LISTENERS,
	FD_CLIENTS = FD_LISTENERS + LISTENERS_MAX
}; /* places in the poll set */

struct server {
	const struct server_config *config;
	struct ring ring;
	struct quorum quorum;
	struct consumers consumers;
	struct publish publish;
	struct walreceiver wr;
	struct probe probe;
	struct catalog catalog;
	struct session_list sessions;
	struct watches watches;
	struct metrics metrics;
	struct client_rules rules;
	struct notify notify;
	struct listeners listeners;
	struct clients clients;
	char where[1024]; /* it listens, for the log */
	bool again;       /* the next turn must not wait */
	bool serving;     /* PostgreSQL was reached: connections are taken */
	enum { RUNNING, DRAINING, FLUSHING } phase;
	int64_t phase_at; /* the shutdown goes on then at the latest */
	struct pollfd *polls;
	size_t poll_cap;
};

/* How many of them have come: to stop, to reload, to tell. */
static volatile sig_atomic_t stops, reloads, dumps;

static void
on_signal(int sig)
{
	if (sig == SIGHUP)
		reloads = 1;
	else if (sig == SIGUSR1)
		dumps = 1;
	else
		stops++;
}

/* Signals are delivered only inside ppoll, so none is missed. */
static void
catch_signals(sigset_t *during_poll)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t caught;

	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&caught);
	sigaddset(&caught, SIGTERM);
	sigaddset(&caught, SIGINT);
	sigaddset(&caught, SIGHUP);
	sigaddset(&caught, SIGUSR1);
	sigprocmask(SIG_BLOCK, &caught, during_poll);
	/* Whoever started us may have blocked them. */
	sigdelset(during_poll, SIGTERM);
	sigdelset(during_poll, SIGINT);
	sigdelset(during_poll, SIGHUP);
	sigdelset(during_poll, SIGUSR1);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* Room in the poll set for everybody who may come in a turn. */
static int
grow_polls(struct server *sv)
{
	size_t need = FD_CLIENTS + sv->clients.count + CLIENTS_ACCEPT;
	size_t cap = sv->poll_cap * 2 > need ? sv->poll_cap * 2 : need;
	struct pollfd *p;

	if (need <= sv->poll_cap)
		return 0;
	if ((p = realloc(sv->polls, cap * sizeof(*p))) == NULL)
		return -1;
	sv->polls = p;
	sv->poll_cap = cap;
	return 0;
}

static int
server_init(struct server *sv, const struct server_config *config,
    struct err *err)
{
	memset(sv, 0, sizeof(*sv));
	sv->config = config;
	notify_init(&sv->notify);
	ring_init(&sv->ring, config->buffer_size);
	quorum_init(&sv->quorum);
	consumers_init(&sv->consumers, &sv->quorum);
	sv->sessions = (struct session_list){ .ring = &sv->ring,
		.quorum = &sv->quorum,
		.consumers = &sv->consumers,
		.wr = &sv->wr,
		.metrics = &sv->metrics,
		.watches = &sv->watches,
		.reflection = config->reflection,
		.slow_timeout_us = config->slow_timeout_us,
		.next_at = INT64_MAX };
	sv->rules = (struct client_rules){ .life = config->life,
		.h2 = { .max_streams = config->max_per_conn,
		    .max_total = config->max_streams } };
	sv->rules.h2.refused[H2_REFUSED_STREAMS] =
	    &sv->metrics.refused[REFUSED_STREAMS];
	sv->rules.h2.refused[H2_REFUSED_HEADERS] =
	    &sv->metrics.refused[REFUSED_HEADERS];
	sv->rules.h2.refused[H2_REFUSED_METHOD] =
	    &sv->metrics.refused[REFUSED_UNKNOWN_METHOD];
	sv->rules.h2.refused[H2_REFUSED_MALFORMED] =
	    &sv->metrics.refused[REFUSED_MALFORMED];
	buf_init(&sv->sessions.scratch, 65536);
	listeners_init(&sv->listeners, &config->listen, &sv->metrics);
	clients_init(&sv->clients, &sv->listeners, &sv->sessions, &sv->rules);
	for (size_t i = 0; i < config->required_count; i++)
		if (consumers_require(&sv->consumers, config->required[i]))
			return err_set(err, ERR_NOMEM, "out of memory");
	walreceiver_init(&sv->wr, &config->pg, &sv->publish, &sv->quorum);
	probe_init(&sv->probe, config->pg.conninfo, &sv->wr.pg,
	    config->pg.shutdown_grace_us);
	catalog_init(&sv->catalog, config->pg.conninfo, &sv->wr.pg,
	    &sv->publish.types);
	if (publish_init(&sv->publish, &sv->ring, MAX_EVENT) == -1 ||
	    grow_polls(sv) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (listeners_open(&sv->listeners, err) == -1)
		return -1;
	listeners_describe(&sv->listeners, sv->where, sizeof(sv->where));
	return 0;
}

static void
server_free(struct server *sv)
{
	clients_free(&sv->clients);
	listeners_free(&sv->listeners);
	consumers_free(&sv->consumers);
	buf_free(&sv->sessions.scratch);
	probe_free(&sv->probe);
	catalog_free(&sv->catalog);
	walreceiver_free(&sv->wr);
	publish_free(&sv->publish);
	ring_free(&sv->ring);
	free(sv->polls);
	notify_free(&sv->notify);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The poll set, and until when to wait (monotonic us). */
static int64_t
prepare(struct server *sv, int64_t now)
{
	int64_t until = walreceiver_deadline(&sv->wr, now);
	short pg = walreceiver_want(&sv->wr);
	struct pollfd *p = sv->polls;
	bool taking = sv->serving && sv->phase == RUNNING;

	/* With nothing to wait for, a hangup must not wake us over and over. */
	p[FD_PG] =
	    (struct pollfd){ pg == 0 ? -1 : walreceiver_fd(&sv->wr), pg, 0 };
	p[FD_PROBE] =
	    (struct pollfd){ probe_fd(&sv->probe), probe_want(&sv->probe), 0 };
	p[FD_CATALOG] = (struct pollfd){ catalog_fd(&sv->catalog),
		catalog_want(&sv->catalog), 0 };
	until = earlier(until, probe_deadline(&sv->probe));
	until = earlier(until, catalog_deadline(&sv->catalog, now));
	until = earlier(until,
	    listeners_prepare(&sv->listeners, p + FD_LISTENERS, taking, now));
	until =
	    earlier(until, clients_prepare(&sv->clients, p + FD_CLIENTS, now));
	until = earlier(until, sv->sessions.next_at);
	until = earlier(until, notify_deadline(&sv->notify));
	if (sv->phase != RUNNING && !sv->wr.closing && sv->phase_at < until)
		until = sv->phase_at;
	return until;
}

static void
accept_clients(struct server *sv, int64_t now)
{
	if (grow_polls(sv) == 0)
		clients_accept(&sv->clients, sv->polls + FD_LISTENERS, now);
	else
		listeners_pause(&sv->listeners, now);
}

/* What PostgreSQL's side means for the streams. */
static void
serve_streams(struct server *sv, int64_t now)
{
	struct err *broken = &sv->wr.broken;
	enum grpc_code code;
	unsigned n;

	if (broken->kind != ERR_NONE) {
		code = broken->kind == ERR_LOST ? GRPC_DATA_LOSS
						: GRPC_FAILED_PRECONDITION;
		n = sessions_end_last(&sv->sessions, code, broken->text);
		if (sv->wr.for_all)
			n += sessions_end_waiting(&sv->sessions, INT64_MAX,
			    code, broken->text);
		if (n > 0)
			log_error("server.streams_ended", "%s", broken->text);
		else
			log_info("server.no_streams", "%s", broken->text);
		broken->kind = ERR_NONE;
	}
	if (sv->wr.cut_lsn != 0) {
		n = sessions_cut(&sv->sessions, sv->wr.cut_lsn);
		sv->wr.cut_lsn = 0;
		if (n > 0)
			log_error("server.streams_ended",
			    "%u were sent what the promoted standby never had",
			    n);
	}
	if (sv->wr.set_back) {
		sv->wr.set_back = false;
		sessions_forget(&sv->sessions);
	}
	if (!walreceiver_streaming(&sv->wr))
		sessions_end_waiting(&sv->sessions,
		    now - sv->config->pg_grace_us, GRPC_UNAVAILABLE,
		    sv->wr.last.kind != ERR_NONE
			? sv->wr.last.text
			: "replication has not started");
	else if (sv->phase == RUNNING && sessions_place(&sv->sessions))
		walreceiver_rewind(&sv->wr);
	sessions_update(&sv->sessions);
}

/*
 * The shutdown. DRAINING: the transaction in hand is finished, and what was
 * sent may be acknowledged; then streams end. FLUSHING: clients take what is
 * left; then PostgreSQL is told the last position.
 */
static void
begin_drain(struct server *sv, int64_t now)
{
	log_info("server.stopping", "shutting down");
	notify_send(&sv->notify, "STOPPING=1");
	/* Who comes now is refused, and tries elsewhere or again. */
	listeners_close(&sv->listeners);
	sv->phase = DRAINING;
	sv->phase_at = now + sv->config->drain_us;
	sv->sessions.draining = sv->again = true;
	walreceiver_finish(&sv->wr);
}

static void
begin_flush(struct server *sv, int64_t now)
{
	sv->phase = FLUSHING;
	sv->phase_at = now + FLUSH_TIME;
	sv->again = true;
	sessions_end(&sv->sessions, true, GRPC_UNAVAILABLE,
	    "walstream is shutting down");
	health_end(&sv->sessions);
	clients_drain(&sv->clients);
}

/* One step of the shutdown; true when there is nothing left to wait for. */
static bool
stopped(struct server *sv, int64_t now)
{
	bool settled = sv->wr.state != WR_STREAMING ||
	    (!sv->publish.open && sessions_settled(&sv->sessions));

	if (sv->phase == DRAINING && (settled || now >= sv->phase_at))
		begin_flush(sv, now);
	if (sv->phase == FLUSHING && !sv->wr.closing &&
	    (sv->clients.count == 0 || now >= sv->phase_at))
		walreceiver_close(&sv->wr, now);
	return sv->wr.state == WR_CLOSED;
}

/* SIGHUP: what can be read anew while streams go on. */
static void
reload(struct server *sv)
{
	struct err err;

	if (listeners_reload(&sv->listeners, &err) == -1)
		log_error("tls.reload_failed",
		    "what was read before stays in use: %s", err.text);
	log_info("server.reloaded", "SIGHUP: read anew");
}

/* SIGUSR1: the state of everything, into the log. */
static void
dump(const struct server *sv)
{
	log_info("server.state", "%u streams, %zu connections",
	    sv->sessions.count, sv->clients.count);
}

/* What signals asked for, but to stop. */
static void
serve_signals(struct server *sv)
{
	if (reloads) {
		reloads = 0;
		reload(sv);
	}
	if (dumps) {
		dumps = 0;
		dump(sv);
	}
}

/* To the service manager, if there is one. */
static void
tell(struct server *sv, int64_t now)
{
	unsigned n = sv->sessions.attached;

	notify_alive(&sv->notify, now);
	if (sv->phase != RUNNING)
		notify_status(&sv->notify, "STATUS=Shutting down");
	else if (!walreceiver_able(&sv->wr))
		notify_status(&sv->notify, "STATUS=Waiting: %s",
		    sv->wr.last.text);
	else if (sv->serving)
		notify_status(&sv->notify, "STATUS=Listening on %s, %u %s",
		    sv->where, n, n == 1 ? "stream" : "streams");
}

static int
turn(struct server *sv, int64_t now, struct err *err)
{
	const struct pollfd *p = sv->polls;
	short pg = p[FD_PG].revents, probe = p[FD_PROBE].revents;
	short catalog = p[FD_CATALOG].revents;

	sv->sessions.now = now;
	sv->again = false;
	clients_read(&sv->clients, p + FD_CLIENTS, now);
	accept_clients(sv, now);
	/* Before the last stream's leave ends the COPY. */
	quorum_confirm(&sv->quorum);
	walreceiver_attach(&sv->wr, sv->sessions.attached > 0);
	if (walreceiver_step(&sv->wr, pg, now, err) == -1)
		return -1;
	if (catalog_step(&sv->catalog, catalog, now))
		sv->again = true;
	if (probe_step(&sv->probe, walreceiver_held_up(&sv->wr), probe, now) &&
	    walreceiver_let_go(&sv->wr, now, err) == -1)
		return -1;
	if (!sv->serving && sv->wr.was_ready) {
		sv->serving = true;
		log_info("server.listening", "listening on %s", sv->where);
		notify_send(&sv->notify, "READY=1");
	}
	serve_streams(sv, now);
	health_update(&sv->sessions);
	clients_write(&sv->clients, now);
	/* What a leaving client frees is for the next turn to use, at once. */
	sv->again |= clients_sweep(&sv->clients);
	sessions_update(&sv->sessions);
	ring_trim(&sv->ring, sessions_low(&sv->sessions),
	    quorum_settle(&sv->quorum));
	walreceiver_report(&sv->wr, now);
	tell(sv, now);
	return 0;
}

static int
run(struct server *sv, const sigset_t *during_poll, struct err *err)
{
	int64_t now = clock_mono_us(), wait;
	struct timespec ts;
	int seen = 0, n;

	for (;;) {
		wait = prepare(sv, now) - clock_mono_us();
		if (wait < 0 || sv->again || stops > seen || reloads || dumps)
			wait = 0;
		ts.tv_sec = (time_t)(wait / 1000000);
		ts.tv_nsec = (long)(wait % 1000000 * 1000);
		n = ppoll(sv->polls, FD_CLIENTS + sv->clients.count, &ts,
		    during_poll);
		now = clock_mono_us();
		if (n == -1) { /* a signal: no revents are valid */
			for (size_t i = 0; i < FD_CLIENTS + sv->clients.count;
			     i++)
				sv->polls[i].revents = 0;
			continue;
		}
		if (turn(sv, now, err) == -1)
			return -1;
		serve_signals(sv);
		if (stops > seen && sv->phase != RUNNING)
			return 0; /* a second signal: at once */
		if (stops > seen) {
			seen = stops;
			begin_drain(sv, now);
		}
		if (sv->phase != RUNNING && stopped(sv, now))
			return 0;
	}
}

int
server_run(const struct server_config *config, struct err *err)
{
	sigset_t during_poll;
	struct server sv;
	int rc;

	rc = server_init(&sv, config, err);
	if (rc == 0) {
		catch_signals(&during_poll);
		rc = run(&sv, &during_poll, err);
	}
	if (rc == 0)
		log_info("server.stopped",
		    "stopped, confirmed up to " LSN_FMT ", %" PRIu64
		    " events of %" PRIu64 " transactions",
		    LSN_ARG(sv.wr.reported), sv.publish.events,
		    sv.publish.transactions);
	server_free(&sv);
	return rc;
}
