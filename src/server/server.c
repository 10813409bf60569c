#include "server/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/notify.h"
#include "server/catalog.h"
#include "server/clients.h"
#include "server/dump.h"
#include "server/health.h"
#include "server/httpd.h"
#include "server/listener.h"
#include "server/polls.h"
#include "server/probe.h"
#include "server/session.h"
#include "server/signals.h"
#include "server/walend.h"

/* How long clients get to take their last bytes at shutdown. */
#define FLUSH_TIME SECONDS(2)
/* A turn of the loop that takes longer is told of; a warning from when clients
 * may notice. */
#define SLOW_TURN MS(50)
#define SLOW_TURN_WARN SECONDS(1)

enum {
	FD_PG,
	FD_PROBE,
	FD_CATALOG,
	FD_WALEND,
	FD_LISTENERS
}; /* places in the poll set; then clients, then those of httpd */

struct server {
	const struct server_config *config;
	struct ring ring;
	struct quorum quorum;
	struct consumers consumers;
	struct publish publish;
	struct walreceiver wr;
	struct probe probe;
	struct catalog catalog;
	struct walend walend;
	struct session_list sessions;
	struct access access;
	struct watches watches;
	struct metrics metrics;
	struct client_rules rules;
	struct notify notify;
	struct httpd httpd;
	struct listeners listeners;
	struct clients clients;
	char where[1024]; /* it listens, for the log */
	bool again;       /* the next turn must not wait */
	int64_t cpu_us;   /* used when the last turn was over */
	bool serving;     /* PostgreSQL was reached: connections are taken */
	enum { RUNNING, DRAINING, FLUSHING } phase;
	int64_t phase_at; /* the shutdown goes on then at the latest */
	struct polls polls;
	size_t httpd_at; /* where its places begin */
};

static size_t
first_client(const struct server *sv)
{
	return FD_LISTENERS + sv->listeners.places;
}

/* Room in the poll set for everybody who may come in a turn. */
static int
grow_polls(struct server *sv)
{
	return polls_reserve(&sv->polls,
	    first_client(sv) + sv->clients.count + CLIENTS_ACCEPT +
		HTTPD_POLLS);
}

static int
server_init(struct server *sv, const struct server_config *config,
    struct err *err)
{
	memset(sv, 0, sizeof(*sv));
	sv->config = config;
	sv->metrics.started_at = clock_mono_us();
	notify_init(&sv->notify);
	ring_init(&sv->ring, config->buffer_size);
	quorum_init(&sv->quorum);
	consumers_init(&sv->consumers, &sv->quorum);
	sv->sessions = (struct session_list){ .ring = &sv->ring,
		.quorum = &sv->quorum,
		.consumers = &sv->consumers,
		.wr = &sv->wr,
		.metrics = &sv->metrics,
		.access = &sv->access,
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
	httpd_init(&sv->httpd,
	    &(struct view){ &sv->sessions, &sv->clients.count, NULL, 0 });
	for (size_t i = 0; i < config->required_count; i++)
		if (consumers_require(&sv->consumers, config->required[i]))
			return err_set(err, ERR_NOMEM, "out of memory");
	walreceiver_init(&sv->wr, &config->pg, &sv->publish, &sv->quorum);
	probe_init(&sv->probe, config->pg.conninfo, &sv->wr.pg,
	    config->pg.shutdown_grace_us);
	walend_init(&sv->walend, config->pg.conninfo, &sv->wr.pg,
	    &sv->publish.types);
	catalog_init(&sv->catalog, config->pg.conninfo, &sv->wr.pg,
	    &sv->publish.types);
	if (access_init(&sv->access, config->token_file, &sv->metrics, err) ==
	    -1)
		return -1;
	if (publish_init(&sv->publish, &sv->ring, config->max_event) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (listeners_open(&sv->listeners,
		config->metrics_listen != NULL ? HTTPD_POLLS : 0, err) == -1)
		return -1;
	if (grow_polls(sv) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	listeners_describe(&sv->listeners, sv->where, sizeof(sv->where));
	return config->metrics_listen == NULL
	    ? 0
	    : httpd_listen(&sv->httpd, config->metrics_listen, err);
}

static void
server_free(struct server *sv)
{
	clients_free(&sv->clients);
	listeners_free(&sv->listeners);
	httpd_free(&sv->httpd);
	access_free(&sv->access);
	consumers_free(&sv->consumers);
	buf_free(&sv->sessions.scratch);
	probe_free(&sv->probe);
	catalog_free(&sv->catalog);
	walend_free(&sv->walend);
	walreceiver_free(&sv->wr);
	publish_free(&sv->publish);
	ring_free(&sv->ring);
	polls_free(&sv->polls);
	notify_free(&sv->notify);
}

/* The poll set, and until when to wait (monotonic us). */
static int64_t
prepare(struct server *sv, int64_t now)
{
	int64_t until = walreceiver_deadline(&sv->wr, now);
	short pg = walreceiver_want(&sv->wr);
	struct pollfd *p = sv->polls.at;
	bool taking = sv->serving && sv->phase == RUNNING;

	/* With nothing to wait for, a hangup must not wake us over and over. */
	p[FD_PG] =
	    (struct pollfd){ pg == 0 ? -1 : walreceiver_fd(&sv->wr), pg, 0 };
	p[FD_PROBE] =
	    (struct pollfd){ probe_fd(&sv->probe), probe_want(&sv->probe), 0 };
	p[FD_CATALOG] = (struct pollfd){ catalog_fd(&sv->catalog),
		catalog_want(&sv->catalog), 0 };
	p[FD_WALEND] = (struct pollfd){ walend_fd(&sv->walend),
		walend_want(&sv->walend), 0 };
	until = clock_earlier(until, walend_deadline(&sv->walend));
	until = clock_earlier(until, probe_deadline(&sv->probe));
	until = clock_earlier(until, catalog_deadline(&sv->catalog, now));
	until = clock_earlier(until,
	    listeners_prepare(&sv->listeners, p + FD_LISTENERS, taking, now));
	until = clock_earlier(until,
	    clients_prepare(&sv->clients, p + first_client(sv), now));
	sv->httpd_at = first_client(sv) + sv->clients.count;
	sv->polls.count = sv->httpd_at +
	    httpd_prepare(&sv->httpd, p + sv->httpd_at, now, &until);
	until = clock_earlier(until, sv->sessions.next_at);
	until = clock_earlier(until, notify_deadline(&sv->notify));
	if (sv->phase != RUNNING && !sv->wr.closing && sv->phase_at < until)
		until = sv->phase_at;
	return until;
}

static void
accept_clients(struct server *sv, int64_t now)
{
	if (grow_polls(sv) == 0)
		clients_accept(&sv->clients, sv->polls.at + FD_LISTENERS, now);
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
	unsigned n;

	if (listeners_reload(&sv->listeners, &err) == -1) {
		log_error("tls.reload_failed",
		    "what was read before stays in use: %s", err.text);
	}
	if (access_reload(&sv->access, &err) == -1) {
		log_error("access.reload_failed",
		    "the tokens stay as they were: %s", err.text);
	}
	n = sessions_readmit(&sv->sessions);
	sv->again |= n > 0; /* at once, whoever else is silent */
	if (n > 0)
		log_info("access.revoked",
		    "%u streams ended: their tokens are gone or changed", n);
	log_info("server.reloaded", "SIGHUP: read anew");
}

/* Whoever gets at the port gets at the data. */
static void
warn_if_exposed(const struct server *sv)
{
	if (listeners_exposed(&sv->listeners) && sv->config->token_file == NULL)
		log_warn("server.exposed",
		    "%s takes clients from other machines, and asks nobody for "
		    "a token (--auth-token-file) or a certificate "
		    "(--tls-client-ca)",
		    sv->where);
}

/* What signals asked for, but to stop. */
static void
serve_signals(struct server *sv)
{
	if (signals_reload) {
		signals_reload = 0;
		reload(sv);
	}
	if (signals_dump) {
		signals_dump = 0;
		dump(&sv->httpd.view);
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

/* Is there a server to be asked how far it is, and anybody who looks? */
static bool
is_watched(const struct server *sv)
{
	return sv->config->metrics_listen != NULL && sv->wr.was_ready &&
	    sv->wr.pg.state == PGCONN_READY && sv->phase == RUNNING;
}

static int
turn(struct server *sv, int64_t now, struct err *err)
{
	const struct pollfd *p = sv->polls.at;
	short pg = p[FD_PG].revents, probe = p[FD_PROBE].revents;
	short catalog = p[FD_CATALOG].revents, walend = p[FD_WALEND].revents;

	sv->sessions.now = now;
	sv->again = false;
	clients_read(&sv->clients, p + first_client(sv), now);
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
	walend_step(&sv->walend, is_watched(sv), walend, now);
	sv->sessions.server_lsn = sv->walend.lsn;
	if (!sv->serving && sv->wr.was_ready) {
		sv->serving = true;
		log_info("server.listening", "listening on %s", sv->where);
		warn_if_exposed(sv);
		notify_send(&sv->notify, "READY=1");
	}
	serve_streams(sv, now);
	health_update(&sv->sessions);
	sv->again |= clients_write(&sv->clients, now);
	/* What a leaving client frees is for the next turn to use, at once. */
	sv->again |= clients_sweep(&sv->clients);
	sessions_update(&sv->sessions);
	ring_trim(&sv->ring, sessions_low(&sv->sessions),
	    quorum_settle(&sv->quorum));
	walreceiver_report(&sv->wr, now);
	httpd_step(&sv->httpd, sv->polls.at + sv->httpd_at, now);
	tell(sv, now);
	return 0;
}

/* A turn that began then is over: everybody else had to wait for so long. */
static void
took(struct server *sv, int64_t began_at)
{
	int64_t us = clock_mono_us() - began_at, cpu = clock_cpu_us();

	metrics_turn(&sv->metrics, us, cpu - sv->cpu_us);
	sv->cpu_us = cpu;
	if (us > SLOW_TURN_WARN)
		log_limited(LOG_WARN, "server.slow_turn",
		    "a turn of the loop took %d s", (int)(us / SECONDS(1)));
	else if (us > SLOW_TURN)
		log_limited(LOG_DEBUG, "server.slow_turn",
		    "a turn of the loop took %d ms", (int)(us / MS(1)));
}

static int
run(struct server *sv, const sigset_t *during_poll, struct err *err)
{
	int64_t now = clock_mono_us(), wait;
	int seen = 0;

	sv->cpu_us = clock_cpu_us();
	for (;;) {
		wait = prepare(sv, now) - clock_mono_us();
		if (wait < 0 || sv->again || signals_stop > seen ||
		    signals_reload || signals_dump)
			wait = 0;
		polls_wait(&sv->polls, wait, during_poll);
		now = clock_mono_us();
		if (turn(sv, now, err) == -1)
			return -1;
		serve_signals(sv);
		took(sv, now);
		if (signals_stop > seen && sv->phase != RUNNING)
			return 0; /* a second signal: at once */
		if (signals_stop > seen) {
			seen = signals_stop;
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

	signals_ignore();
	rc = server_init(&sv, config, err);
	if (rc == 0) {
		signals_catch(&during_poll);
		rc = run(&sv, &during_poll, err);
	}
	if (rc == 0)
		log_info("server.stopped",
		    "stopped, confirmed up to " LSN_FMT ", %" PRIu64
		    " events of %" PRIu64 " transactions, longest turn %" PRIu64
		    " ms (CPU %" PRIu64 " ms)",
		    LSN_ARG(sv.wr.reported), sv.publish.events,
		    sv.publish.transactions, sv.metrics.longest_us / 1000,
		    sv.metrics.longest_cpu_us / 1000);
	server_free(&sv);
	return rc;
}
