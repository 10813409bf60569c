#include "server/exposition.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/prom.h"
#include "server/process.h"
#include "server/standing.h"

static void
put_build(struct buf *to, const struct view *v)
{
	const char *name = "walstream_build_info";

	prom_head(to, name, "gauge", "Always 1; the version is a label.");
	prom_label_u64(to, name, "version", VERSION, 1);
	prom_gauge(to, "walstream_ready",
	    "Would a stream that is opened now be served? As /readyz says.",
	    pages_ready(v));
}

static void
put_events(struct buf *to, const struct view *v)
{
	static const struct {
		enum event_op op;
		const char *name;
	} ops[] = { { EVENT_INSERT, "insert" }, { EVENT_UPDATE, "update" },
		{ EVENT_DELETE, "delete" }, { EVENT_TRUNCATE, "truncate" },
		{ EVENT_MESSAGE, "message" } };
	const struct publish *p = v->sessions->wr->publish;
	const char *name = "walstream_events_total";

	prom_head(to, name, "counter",
	    "Events read from PostgreSQL, by operation. After a rewind they "
	    "come, and count, again.");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		prom_label_u64(to, name, "operation", ops[i].name,
		    p->by_op[ops[i].op]);
	prom_counter(to, "walstream_event_bytes_total",
	    "Bytes of these events, encoded.", p->bytes);
	prom_counter(to, "walstream_transactions_total",
	    "Transactions read from PostgreSQL.", p->transactions);
	name = "walstream_last_commit_age_seconds";
	if (p->commit_at == 0)
		return; /* there is no number for it yet */
	prom_gauge_double(to, name,
	    "Time since the last commit came from PostgreSQL.",
	    (double)(v->sessions->now - p->commit_at) / 1e6);
	prom_gauge_double(to, "walstream_last_commit_timestamp_seconds",
	    "When that commit was made, by PostgreSQL's clock.",
	    (double)p->commit_us / 1e6);
}

static void
put_streams(struct buf *to, const struct view *v)
{
	const struct session_list *l = v->sessions;
	uint64_t count[SESSION_GONE + 1] = { 0 };
	const char *name = "walstream_streams";
	const struct session *s;

	for (s = l->first; s != NULL; s = s->next)
		count[s->state]++;
	prom_head(to, name, "gauge", "Streams of clients, by state.");
	for (int i = 0; i <= SESSION_GONE; i++)
		prom_label_u64(to, name, "state",
		    standing_state_name((enum session_state)i), count[i]);
	prom_counter(to, "walstream_streams_opened_total",
	    "Streams that were opened.", l->metrics->streams);
	name = "walstream_streams_ended_total";
	prom_head(to, name, "counter",
	    "Streams that have ended, by status. CANCELLED: by the client.");
	for (int i = 1; i < STATUS_CODES; i++)
		prom_label_u64(to, name, "code", grpc_code_name(i),
		    l->metrics->ended[i]);
	prom_counter(to, "walstream_sent_events_total",
	    "Events sent, to all clients together.", l->metrics->sent_events);
	prom_counter(to, "walstream_sent_bytes_total",
	    "Bytes of messages sent, to all clients together.",
	    l->metrics->sent_bytes);
}

static void
put_acks(struct buf *to, const struct view *v)
{
	const struct metrics *m = v->sessions->metrics;

	prom_counter(to, "walstream_acks_total",
	    "Acknowledgements that came from clients.", m->acks);
	prom_counter(to, "walstream_acks_ignored_total",
	    "Those that moved nothing: not above an earlier one.",
	    m->idle_acks);
	prom_counter(to, "walstream_acks_bad_total",
	    "Those of what was not sent, which end the stream.", m->bad_acks);
}

static void
put_connections(struct buf *to, const struct view *v)
{
	static const char *const reasons[] = {
#define X(reason, name) name,
		REFUSALS(X)
#undef X
	};
	const struct metrics *m = v->sessions->metrics;
	const char *name = "walstream_refused_total";

	prom_gauge(to, "walstream_connections", "Connections of clients.",
	    *v->connections);
	prom_counter(to, "walstream_connections_accepted_total",
	    "Connections of clients that were accepted.", m->accepted);
	prom_counter(to, "walstream_tls_handshakes_total",
	    "TLS handshakes with clients that were completed.", m->handshakes);
	prom_head(to, name, "counter",
	    "Connections and requests refused or cut off, by reason.");
	for (int i = 0; i < REFUSED_REASONS; i++)
		prom_label_u64(to, name, "reason", reasons[i], m->refused[i]);
}

static void
put_positions(struct buf *to, const struct view *v)
{
	const struct session_list *l = v->sessions;
	lsn_t server = standing_server_lsn(l), confirmed = l->quorum->confirmed;
	lsn_t complete = l->wr->publish->complete_lsn;

	prom_gauge(to, "walstream_server_lsn",
	    "How far PostgreSQL's WAL goes; it is asked every 10 seconds.",
	    server);
	prom_gauge(to, "walstream_received_lsn",
	    "The WAL position up to which PostgreSQL has sent.",
	    l->wr->received);
	prom_gauge(to, "walstream_complete_lsn",
	    "Every transaction up to this WAL position has been read.",
	    complete);
	prom_gauge(to, "walstream_sent_lsn",
	    "The highest WAL position of what an attached client was sent.",
	    quorum_high(l->quorum));
	prom_gauge(to, "walstream_confirmed_lsn",
	    "The WAL position that all have acknowledged.", confirmed);
	prom_gauge(to, "walstream_behind_bytes",
	    "WAL that PostgreSQL has and that has not been read.",
	    standing_distance(complete, server));
	prom_gauge(to, "walstream_held_bytes",
	    "WAL that PostgreSQL keeps for what is not acknowledged.",
	    standing_distance(confirmed, server));
}

/* A value of every consumer. */
struct consumer_metric {
	const char *name, *help;
	uint64_t (*value)(const struct standing *s);
};

static uint64_t
is_attached(const struct standing *s)
{
	return s->streams;
}

static uint64_t
held_bytes(const struct standing *s)
{
	return s->held;
}

static uint64_t
sent_lsn(const struct standing *s)
{
	return s->sent_lsn;
}

static uint64_t
acked_lsn(const struct standing *s)
{
	return s->acked_lsn;
}

static const struct consumer_metric consumer_metrics[] = {
	{ "walstream_consumer_streams",
	    "Streams of a consumer, by its name; none: streams without one.",
	    is_attached },
	{ "walstream_consumer_held_bytes",
	    "WAL that PostgreSQL keeps because of this consumer, attached or "
	    "required.",
	    held_bytes },
	{ "walstream_consumer_sent_lsn",
	    "The WAL position of what the consumer was sent last.", sent_lsn },
	{ "walstream_consumer_acked_lsn",
	    "The WAL position up to which it has acknowledged.", acked_lsn },
};

static void
put_consumers(struct buf *to, const struct view *v)
{
	const struct consumer_metric *m = consumer_metrics, *end;
	const struct consumer *c;
	struct standing s, others;

	end = m + sizeof(consumer_metrics) / sizeof(consumer_metrics[0]);
	standing_of_unnamed(v->sessions, &others);
	for (; m < end; m++) {
		prom_head(to, m->name, "gauge", m->help);
		prom_label_u64(to, m->name, "consumer", "", m->value(&others));
		for (c = v->sessions->consumers->first; c != NULL;
		     c = c->next) {
			if (!standing_is_named(c))
				continue;
			standing_of(v->sessions, c, &s);
			prom_label_u64(to, m->name, "consumer", c->name,
			    m->value(&s));
		}
	}
}

static void
put_buffer(struct buf *to, const struct view *v)
{
	const struct ring *r = v->sessions->ring;

	prom_gauge(to, "walstream_buffer_size_bytes",
	    "The bound of the buffer, as --buffer-size says.", r->size);
	prom_gauge(to, "walstream_buffer_bytes", "Events in the buffer.",
	    ring_behind(r, r->first));
	prom_gauge(to, "walstream_buffer_unsent_bytes",
	    "Those that the slowest stream has not been sent.",
	    ring_behind(r, sessions_low(v->sessions)));
	prom_gauge(to, "walstream_buffer_full",
	    "1 while nothing is read from PostgreSQL for lack of room.",
	    r->paused);
}

static void
put_postgres(struct buf *to, const struct view *v)
{
	const struct walreceiver *wr = v->sessions->wr;

	prom_gauge(to, "walstream_postgres_connected",
	    "1 while there is a connection to PostgreSQL.",
	    wr->pg.state == PGCONN_READY);
	prom_gauge(to, "walstream_postgres_streaming",
	    "1 while it streams, which it does while a client is attached.",
	    walreceiver_streaming(wr));
	prom_counter(to, "walstream_postgres_connections_total",
	    "Connections made to PostgreSQL. One streams once: a rewind, and "
	    "the last client's leave, take a new one, too.",
	    wr->connects);
	prom_counter(to, "walstream_postgres_failures_total",
	    "Connections to PostgreSQL that were lost or could not be made.",
	    wr->failures);
	prom_counter(to, "walstream_rewinds_total",
	    "Times that streaming began anew for a client that needs what is "
	    "not in the buffer.",
	    wr->rewinds);
}

static void
put_loop(struct buf *to, const struct view *v)
{
	const struct metrics *m = v->sessions->metrics;
	const char *name = "walstream_loop_turn_seconds";
	uint64_t sum = 0;
	char text[128];

	prom_head(to, name, "histogram",
	    "How long the turns of the one loop take: while one lasts, "
	    "everybody waits.");
	for (int i = 0; i < TURN_BUCKETS - 1; i++) {
		sum += m->turns[i];
		snprintf(text, sizeof(text), "%.6g", metrics_bounds[i] / 1e6);
		prom_label_u64(to, "walstream_loop_turn_seconds_bucket", "le",
		    text, sum);
	}
	sum += m->turns[TURN_BUCKETS - 1];
	prom_label_u64(to, "walstream_loop_turn_seconds_bucket", "le", "+Inf",
	    sum);
	prom_double(to, "walstream_loop_turn_seconds_sum",
	    (double)m->turns_us / 1e6);
	prom_u64(to, "walstream_loop_turn_seconds_count", sum);
	prom_gauge_double(to, "walstream_loop_turn_longest_seconds",
	    "The longest turn so far.", (double)m->longest_us / 1e6);
}

static void
put_log(struct buf *to, const struct view *v)
{
	const char *name = "walstream_log_lines_total";
	const struct log_counts *n = log_counts();

	(void)v;
	prom_head(to, name, "counter", "Lines that were logged, by level.");
	for (int i = 0; i < LOG_LEVELS; i++)
		prom_label_u64(to, name, "level",
		    log_level_name((enum log_level)i), n->printed[i]);
	prom_counter(to, "walstream_log_dropped_total",
	    "Lines lost because standard error did not take them.", n->dropped);
}

static void
put_http(struct buf *to, const struct view *v)
{
	const char *name = "walstream_http_requests_total";
	char code[8];

	prom_head(to, name, "counter",
	    "Requests that were answered at this address, by status.");
	for (int i = 0; i < HTTP_KINDS; i++) {
		snprintf(code, sizeof(code), "%d",
		    http_status((enum http_kind)i));
		prom_label_u64(to, name, "code", code, v->answers[i]);
	}
}

static void
put_process(struct buf *to, const struct view *v)
{
	struct process p;

	process_read(&p);
	prom_head(to, "process_cpu_seconds_total", "counter",
	    "User and system CPU time.");
	prom_double(to, "process_cpu_seconds_total", p.cpu_s);
	prom_gauge_double(to, "process_start_time_seconds",
	    "When the process started, since the Unix epoch.",
	    (double)v->start_us / 1e6);
	if (p.resident != 0) {
		prom_gauge(to, "process_resident_memory_bytes",
		    "Resident memory.", p.resident);
		prom_gauge(to, "process_virtual_memory_bytes",
		    "Virtual memory.", p.virtual);
	}
	if (p.open_fds != 0)
		prom_gauge(to, "process_open_fds", "Open file descriptors.",
		    p.open_fds);
	prom_gauge(to, "process_max_fds", "How many there may be.", p.max_fds);
}

int
exposition_put(struct buf *to, const struct view *v)
{
	static void (*const parts[])(struct buf *,
	    const struct view *) = { put_build, put_events, put_streams,
		put_acks, put_connections, put_positions, put_consumers,
		put_buffer, put_postgres, put_loop, put_log, put_http,
		put_process };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		parts[i](to, v);
	return 200;
}
