#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/notify.h"
#include "server/catalog.h"
#include "server/client.h"
#include "server/probe.h"
#include "server/session.h"

/* How long clients get to take their last bytes at shutdown. */
#define FLUSH_TIME SECONDS(2)
/* Out of descriptors: how long no connection is accepted. */
#define ACCEPT_PAUSE MS(200)
#define ACCEPT_BATCH 64
#define MAX_EVENT ((size_t)1 << 30)

enum {
	FD_LISTENER,
	FD_PG,
	FD_PROBE,
	FD_CATALOG,
	FD_CLIENTS
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
	struct metrics metrics;
	struct client_rules rules;
	struct notify notify;
	struct client *clients;
	size_t client_count;
	int listener;
	struct addr bound;
	bool again;        /* the next turn must not wait */
	bool serving;      /* PostgreSQL was reached: connections are taken */
	int64_t accept_at; /* not before: descriptors ran out */
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

/* Signals are delivered only where the loop polls, so none is missed. */
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

/* Room in the poll set for one more connection. */
static int
grow_polls(struct server *sv)
{
	size_t cap = sv->poll_cap == 0 ? 64 : sv->poll_cap * 2;
	struct pollfd *p;

	if (FD_CLIENTS + sv->client_count < sv->poll_cap)
		return 0;
	if ((p = realloc(sv->polls, cap * sizeof(*p))) == NULL)
		return -1;
	sv->polls = p;
	sv->poll_cap = cap;
	return 0;
}

static int
open_listener(struct server *sv, struct err *err)
{
	struct addr list[ADDR_MAX];

	if (addr_resolve(list, sv->config->host, sv->config->port, true, err) ==
	    -1)
		return -1;
	sv->listener = conn_listen(&list[0], &sv->bound, err);
	return sv->listener == -1 ? -1 : 0;
}

static int
server_init(struct server *sv, const struct server_config *config,
    struct err *err)
{
	memset(sv, 0, sizeof(*sv));
	sv->config = config;
	sv->listener = -1;
	notify_init(&sv->notify);
	ring_init(&sv->ring, config->buffer_size);
	quorum_init(&sv->quorum);
	consumers_init(&sv->consumers, &sv->quorum);
	sv->sessions = (struct session_list){ .ring = &sv->ring,
		.quorum = &sv->quorum,
		.consumers = &sv->consumers,
		.wr = &sv->wr,
		.metrics = &sv->metrics,
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
	return open_listener(sv, err);
}

static void
server_free(struct server *sv)
{
	struct client *c;

	while ((c = sv->clients) != NULL) {
		sv->clients = c->next;
		client_del(c);
	}
	consumers_free(&sv->consumers);
	buf_free(&sv->sessions.scratch);
	probe_free(&sv->probe);
	catalog_free(&sv->catalog);
	walreceiver_free(&sv->wr);
	publish_free(&sv->publish);
	ring_free(&sv->ring);
	free(sv->polls);
	notify_free(&sv->notify);
	if (sv->listener != -1)
		close(sv->listener);
}

/* The poll set, and until when to wait (monotonic us). */
static int64_t
prepare(struct server *sv, int64_t now)
{
	int64_t until = walreceiver_deadline(&sv->wr, now);
	short pg = walreceiver_want(&sv->wr);
	struct pollfd *p = sv->polls;
	struct client *c;

	p[FD_LISTENER] = (struct pollfd){ -1, POLLIN, 0 };
	if (sv->serving && sv->phase == RUNNING && now >= sv->accept_at)
		p[FD_LISTENER].fd = sv->listener;
	else if (now < sv->accept_at && sv->accept_at < until)
		until = sv->accept_at;
	/* With nothing to wait for, a hangup must not wake us over and over. */
	p[FD_PG] =
	    (struct pollfd){ pg == 0 ? -1 : walreceiver_fd(&sv->wr), pg, 0 };
	p[FD_PROBE] =
	    (struct pollfd){ probe_fd(&sv->probe), probe_want(&sv->probe), 0 };
	if (probe_deadline(&sv->probe) < until)
		until = probe_deadline(&sv->probe);
	p[FD_CATALOG] = (struct pollfd){ catalog_fd(&sv->catalog),
		catalog_want(&sv->catalog), 0 };
	if (catalog_deadline(&sv->catalog, now) < until)
		until = catalog_deadline(&sv->catalog, now);
	p += FD_CLIENTS;
	for (c = sv->clients; c != NULL; c = c->next, p++) {
		*p = (struct pollfd){ c->conn.fd, client_want(c), 0 };
		if (c->more)
			until = now;
		else if (client_deadline(c) < until)
			until = client_deadline(c);
	}
	if (sv->sessions.next_at < until)
		until = sv->sessions.next_at;
	if (notify_deadline(&sv->notify) < until)
		until = notify_deadline(&sv->notify);
	if (sv->phase != RUNNING && !sv->wr.closing && sv->phase_at < until)
		until = sv->phase_at;
	return until;
}

static void
accept_clients(struct server *sv, int64_t now)
{
	struct client *c;
	struct addr from;
	int fd;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		if ((fd = conn_accept(sv->listener, &from)) == -1)
			break;
		if (grow_polls(sv) == -1) {
			close(fd);
			return;
		}
		sv->metrics.accepted++;
		if ((c = client_new(fd, &from, &sv->sessions, &sv->rules)) ==
		    NULL)
			return;
		c->next = sv->clients;
		sv->clients = c;
		sv->client_count++;
	}
	if (fd == -1 && errno != EAGAIN && errno != EWOULDBLOCK &&
	    errno != EINTR && errno != ECONNABORTED) {
		log_error("server.accept", "cannot accept a connection: %s",
		    strerror(errno));
		sv->accept_at = now + ACCEPT_PAUSE;
	}
}

/* Acks first: what they free may be what the next event needs. */
static void
read_clients(struct server *sv, int64_t now)
{
	const struct pollfd *p = sv->polls + FD_CLIENTS;
	struct client *c;

	for (c = sv->clients; c != NULL; c = c->next, p++)
		if ((p->revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			client_read(c, now);
}

static void
write_clients(struct server *sv, int64_t now)
{
	struct client *c;

	for (c = sv->clients; c != NULL; c = c->next)
		client_write(c, now);
}

/* What a leaving client frees is for the next turn to use, at once. */
static void
sweep_clients(struct server *sv)
{
	struct client **at = &sv->clients, *c;

	while ((c = *at) != NULL) {
		if (!client_over(c)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		sv->client_count--;
		sv->again = true;
		client_del(c);
	}
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
	close(sv->listener);
	sv->listener = -1;
	sv->phase = DRAINING;
	sv->phase_at = now + sv->config->drain_us;
	sv->sessions.draining = sv->again = true;
	walreceiver_finish(&sv->wr);
}

static void
begin_flush(struct server *sv, int64_t now)
{
	struct client *c;

	sv->phase = FLUSHING;
	sv->phase_at = now + FLUSH_TIME;
	sv->again = true;
	sessions_end(&sv->sessions, true, GRPC_UNAVAILABLE,
	    "walstream is shutting down");
	for (c = sv->clients; c != NULL; c = c->next)
		client_drain(c);
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
	    (sv->clients == NULL || now >= sv->phase_at))
		walreceiver_close(&sv->wr, now);
	return sv->wr.state == WR_CLOSED;
}

/* SIGHUP: what can be read anew while streams go on. */
static void
reload(struct server *sv)
{
	(void)sv;
	log_info("server.reloaded", "SIGHUP: read anew");
}

/* SIGUSR1: the state of everything, into the log. */
static void
dump(const struct server *sv)
{
	log_info("server.state", "%u streams, %zu connections",
	    sv->sessions.count, sv->client_count);
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
		    sv->bound.text, n, n == 1 ? "stream" : "streams");
}

static int
turn(struct server *sv, int64_t now, struct err *err)
{
	const struct pollfd *p = sv->polls;
	short pg = p[FD_PG].revents, probe = p[FD_PROBE].revents;
	short catalog = p[FD_CATALOG].revents;

	sv->sessions.now = now;
	sv->again = false;
	read_clients(sv, now);
	if ((p[FD_LISTENER].revents & POLLIN) != 0)
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
		log_info("server.listening", "listening on %s", sv->bound.text);
		notify_send(&sv->notify, "READY=1");
	}
	serve_streams(sv, now);
	write_clients(sv, now);
	sweep_clients(sv);
	sessions_update(&sv->sessions);
	ring_trim(&sv->ring, sessions_low(&sv->sessions),
	    quorum_settle(&sv->quorum));
	walreceiver_report(&sv->wr, now);
	tell(sv, now);
	return 0;
}

/* The kernel has no memory to poll with, say: not at once again, and signals
 * still come. */
static void
poll_failed(const sigset_t *during_poll)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	static bool told;

	if (!told)
		log_error("server.poll", "cannot poll: %s", strerror(errno));
	told = true;
	pselect(0, NULL, NULL, NULL, &pause, during_poll);
}

/* ppoll delivers none when a descriptor is ready, and one may always be. */
static void
let_signals_in(const sigset_t *during_poll)
{
	const struct timespec none = { 0 };

	ppoll(NULL, 0, &none, during_poll);
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
		n = ppoll(sv->polls, FD_CLIENTS + sv->client_count, &ts,
		    during_poll);
		now = clock_mono_us();
		if (n == -1) { /* a signal: no revents are valid */
			for (size_t i = 0; i < FD_CLIENTS + sv->client_count;
			     i++)
				sv->polls[i].revents = 0;
			if (errno != EINTR)
				poll_failed(during_poll);
		} else if (n > 0) {
			let_signals_in(during_poll);
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
