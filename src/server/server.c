#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/notify.h"
#include "server/catalog.h"
#include "server/client.h"
#include "server/dump.h"
#include "server/httpd.h"
#include "server/probe.h"
#include "server/session.h"
#include "server/signals.h"
#include "server/walend.h"

/* How long a stream waits to be put in place before it is told to retry. */
#define PG_GRACE SECONDS(30)
/* How long clients get to take their last bytes at shutdown. */
#define FLUSH_TIME SECONDS(2)
/* Out of descriptors: how long no connection is accepted. */
#define ACCEPT_PAUSE MS(200)
#define ACCEPT_BATCH 64
/* A turn of the loop that takes longer is told of; a warning from when clients
 * may notice. */
#define SLOW_TURN MS(50)
#define SLOW_TURN_WARN SECONDS(1)
#define MAX_EVENT ((size_t)1 << 30)

enum {
	FD_LISTENER,
	FD_PG,
	FD_PROBE,
	FD_CATALOG,
	FD_WALEND,
	FD_CLIENTS
}; /* places in the poll set; behind the clients' come those of httpd */

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
	struct metrics metrics;
	struct notify notify;
	struct httpd httpd;
	struct client *clients;
	size_t client_count;
	int listener;
	struct addr bound;
	bool again;        /* the next turn must not wait */
	int64_t cpu_us;    /* used when the last turn was over */
	bool serving;      /* PostgreSQL was reached: connections are taken */
	int64_t accept_at; /* not before: descriptors ran out */
	enum { RUNNING, DRAINING, FLUSHING } phase;
	int64_t phase_at; /* the shutdown goes on then at the latest */
	struct pollfd *polls;
	size_t poll_cap, poll_count;
	size_t httpd_at; /* where its places begin */
};

/* Room in the poll set for one more connection. */
static int
grow_polls(struct server *sv)
{
	size_t cap = sv->poll_cap == 0 ? 256 : sv->poll_cap * 2;
	struct pollfd *p;

	if (FD_CLIENTS + sv->client_count + HTTPD_POLLS < sv->poll_cap)
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
	buf_init(&sv->sessions.scratch, 65536);
	httpd_init(&sv->httpd,
	    &(struct view){ &sv->sessions, &sv->client_count, NULL, 0 });
	for (size_t i = 0; i < config->required_count; i++)
		if (consumers_require(&sv->consumers, config->required[i]))
			return err_set(err, ERR_NOMEM, "out of memory");
	walreceiver_init(&sv->wr, &config->pg, &sv->publish, &sv->quorum);
	probe_init(&sv->probe, config->pg.conninfo, &sv->wr.pg,
	    config->pg.shutdown_grace_us);
	walend_init(&sv->walend, config->pg.conninfo, &sv->wr.pg);
	catalog_init(&sv->catalog, config->pg.conninfo, &sv->wr.pg,
	    &sv->publish.types);
	if (publish_init(&sv->publish, &sv->ring, MAX_EVENT) == -1 ||
	    grow_polls(sv) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (open_listener(sv, err) == -1)
		return -1;
	return config->metrics_listen == NULL
	    ? 0
	    : httpd_listen(&sv->httpd, config->metrics_listen, err);
}

static void
server_free(struct server *sv)
{
	struct client *c;

	while ((c = sv->clients) != NULL) {
		sv->clients = c->next;
		client_del(c);
	}
	httpd_free(&sv->httpd);
	consumers_free(&sv->consumers);
	buf_free(&sv->sessions.scratch);
	probe_free(&sv->probe);
	catalog_free(&sv->catalog);
	walend_free(&sv->walend);
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
	p[FD_WALEND] = (struct pollfd){ walend_fd(&sv->walend),
		walend_want(&sv->walend), 0 };
	if (walend_deadline(&sv->walend) < until)
		until = walend_deadline(&sv->walend);
	p += FD_CLIENTS;
	for (c = sv->clients; c != NULL; c = c->next, p++) {
		*p = (struct pollfd){ c->conn.fd, client_want(c), 0 };
		if (c->more)
			until = now;
	}
	sv->httpd_at = (size_t)(p - sv->polls);
	sv->poll_count =
	    sv->httpd_at + httpd_prepare(&sv->httpd, p, now, &until);
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
		if ((c = client_new(fd, &from, &sv->sessions)) == NULL)
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
read_clients(struct server *sv)
{
	const struct pollfd *p = sv->polls + FD_CLIENTS;
	struct client *c;

	for (c = sv->clients; c != NULL; c = c->next, p++)
		if ((p->revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			client_read(c);
}

static void
write_clients(struct server *sv)
{
	struct client *c;

	for (c = sv->clients; c != NULL; c = c->next)
		client_write(c);
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
		sessions_end_waiting(&sv->sessions, now - PG_GRACE,
		    GRPC_UNAVAILABLE,
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
		    sv->bound.text, n, n == 1 ? "stream" : "streams");
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
	const struct pollfd *p = sv->polls;
	short pg = p[FD_PG].revents, probe = p[FD_PROBE].revents;
	short catalog = p[FD_CATALOG].revents, walend = p[FD_WALEND].revents;

	sv->sessions.now = now;
	sv->again = false;
	read_clients(sv);
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
	walend_step(&sv->walend, is_watched(sv), walend, now);
	sv->sessions.server_lsn = sv->walend.lsn;
	if (!sv->serving && sv->wr.was_ready) {
		sv->serving = true;
		log_info("server.listening", "listening on %s", sv->bound.text);
		notify_send(&sv->notify, "READY=1");
	}
	serve_streams(sv, now);
	write_clients(sv);
	sweep_clients(sv);
	sessions_update(&sv->sessions);
	ring_trim(&sv->ring, sessions_low(&sv->sessions),
	    quorum_settle(&sv->quorum));
	walreceiver_report(&sv->wr, now);
	httpd_step(&sv->httpd, sv->polls + sv->httpd_at, now);
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
	struct timespec ts;
	int seen = 0, n;

	sv->cpu_us = clock_cpu_us();
	for (;;) {
		wait = prepare(sv, now) - clock_mono_us();
		if (wait < 0 || sv->again || signals_stop > seen ||
		    signals_reload || signals_dump)
			wait = 0;
		ts.tv_sec = (time_t)(wait / 1000000);
		ts.tv_nsec = (long)(wait % 1000000 * 1000);
		n = ppoll(sv->polls, sv->poll_count, &ts, during_poll);
		now = clock_mono_us();
		/* A signal: no revents are valid. */
		for (size_t i = 0; n == -1 && i < sv->poll_count; i++)
			sv->polls[i].revents = 0;
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
