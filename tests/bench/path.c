#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/replication.h"
#include "pg/wire.h"
#include "pgo.h"
#include "server/client.h"
#include "server/session.h"

/*
 * The way of a row through a walstream, from what PostgreSQL sends to what a
 * client gets, without a network, for callgrind to count:
 *
 *	path ROWS [COLUMNS WIDTH]
 *
 * A walreceiver is given a stream that is the same in every run: ROWS inserts,
 * 1,000 a transaction, of the bench's narrow table or, of so many columns of
 * text, WIDTH bytes each. It is recorded before anything counts. A client that
 * is connected in memory takes the events of a Session. What counts is in
 * server_turn(), and that is what --toggle-collect names.
 */

#define TRANSACTION 1000
#define READ_SIZE ((size_t)128 * 1024) /* as walreceiver.c reads */
#define ROOM ((size_t)1 << 30)
#define OID 16385
#define FIRST_LSN UINT64_C(0x10000000)
#define AT INT64_C(800000000000000)
#define TEXT 1024

static struct ring ring;
static struct quorum quorum;
static struct consumers consumers;
static struct metrics metrics;
static struct access access;
static struct publish publish;
static struct walreceiver_config config;
static struct walreceiver wr;
static struct session_list sessions;
static struct h2_limits limits = { .max_streams = 1 };
static struct h2 *server, *client;
static uint64_t got; /* by the client */
static struct err err;

static const struct h2_method methods[] = {
	{ "/plugin.PluginService/Session", &session_handler },
	{ NULL, NULL },
};

static void
check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "path: %s: %s\n", what, err.text);
	exit(1);
}

/* The recording. */

static void
put_xlog(struct buf *to, lsn_t lsn, const struct buf *msg)
{
	buf_put_u8(to, PQ_COPY_DATA);
	buf_put_u32(to, (uint32_t)(4 + 25 + buf_unread(msg)));
	buf_put_u8(to, REPL_XLOG_DATA);
	buf_put_u64(to, lsn);
	buf_put_u64(to, lsn);
	buf_put_u64(to, (uint64_t)AT);
	buf_put(to, buf_head(msg), buf_unread(msg));
}

static void
put_narrow_shape(struct buf *msg)
{
	static const struct pgo_attr attrs[] = { { true, "id", 20, -1 },
		{ false, "account", 23, -1 }, { false, "name", 25, -1 },
		{ false, "at", 1184, -1 }, { false, "amount", 1700, -1 },
		{ false, "good", 16, -1 } };
	static const struct pgo_relation rel = { OID, "public", "narrow", 'd',
		6, attrs };

	pgo_put_relation(msg, &rel);
}

static void
put_narrow(struct buf *msg, unsigned i)
{
	char id[16], account[16], name[32], at[48], amount[16];
	const char *row[] = { id, account, name, at, amount,
		i % 2 == 0 ? "t" : "f" };

	snprintf(id, sizeof(id), "%u", i);
	snprintf(account, sizeof(account), "%u", i % 1000);
	snprintf(name, sizeof(name), "customer %u", i);
	snprintf(at, sizeof(at), "2026-01-01 00:%02u:%02u.%06u+00", i / 60 % 60,
	    i % 60, i * 7919 % 1000000);
	snprintf(amount, sizeof(amount), "%u.%02u", i % 10000, i % 100);
	pgo_put_row(msg, 'N', row, 6);
}

static void
put_wide_shape(struct buf *msg, unsigned columns)
{
	struct pgo_attr *attrs = calloc(columns, sizeof(*attrs));
	char(*name)[8] = calloc(columns, sizeof(*name));
	struct pgo_relation rel = { OID, "public", "wide", 'd',
		(uint16_t)columns, attrs };

	check(attrs != NULL && name != NULL, "out of memory");
	for (unsigned i = 0; i < columns; i++) {
		snprintf(name[i], sizeof(name[i]), "c%03u", i % 1000);
		attrs[i] = (struct pgo_attr){ i == 0, name[i], 25, -1 };
	}
	pgo_put_relation(msg, &rel);
	free(attrs);
	free(name);
}

static void
put_wide(struct buf *msg, unsigned columns, unsigned width)
{
	char text[TEXT + 1];
	const char **row = calloc(columns, sizeof(*row));

	check(row != NULL, "out of memory");
	memset(text, 'x', width);
	text[width] = '\0';
	for (unsigned i = 0; i < columns; i++)
		row[i] = text;
	pgo_put_row(msg, 'N', row, (uint16_t)columns);
	free(row);
}

static void
record(struct buf *to, unsigned rows, unsigned columns, unsigned width)
{
	lsn_t lsn = FIRST_LSN, commit_lsn = lsn;
	struct buf msg;

	buf_init(&msg, ROOM);
	for (unsigned i = 0; i < rows; i++) {
		bool last = i % TRANSACTION == TRANSACTION - 1 || i == rows - 1;

		if (i % TRANSACTION == 0) {
			commit_lsn = lsn + (lsn_t)TRANSACTION * 128;
			pgo_put_begin(&msg, commit_lsn, AT, 1000 + i);
			put_xlog(to, lsn, &msg);
			buf_reset(&msg);
		}
		if (i == 0) {
			if (columns == 0)
				put_narrow_shape(&msg);
			else
				put_wide_shape(&msg, columns);
			put_xlog(to, 0, &msg);
			buf_reset(&msg);
		}
		pgo_put_change(&msg, 'I', OID);
		if (columns == 0)
			put_narrow(&msg, i);
		else
			put_wide(&msg, columns, width);
		put_xlog(to, lsn, &msg);
		buf_reset(&msg);
		lsn = last ? commit_lsn + 48 : lsn + 128;
		if (!last)
			continue;
		pgo_put_commit(&msg, commit_lsn, lsn, AT);
		put_xlog(to, lsn, &msg);
		buf_reset(&msg);
	}
	check(!to->failed && !msg.failed, "out of memory");
	buf_free(&msg);
}

/* The two sides. */

static void
on_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	(void)s;
	(void)p;
	(void)n;
	got++;
}

static size_t
on_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	(void)s;
	(void)to;
	(void)cap;
	return 0;
}

static void
on_closed(struct h2_stream *s)
{
	(void)s;
}

static const struct h2_handler taker = {
	.max_message = ROOM,
	.message = on_message,
	.pull = on_pull,
	.closed = on_closed,
};

static void
set_up(void)
{
	ring_init(&ring, (size_t)16 << 20);
	quorum_init(&quorum);
	quorum_reset(&quorum, FIRST_LSN);
	consumers_init(&consumers, &quorum);
	check(publish_init(&publish, &ring, ROOM) == 0, "publish_init");
	walreceiver_init(&wr, &config, &publish, &quorum);
	sessions = (struct session_list){ .ring = &ring,
		.quorum = &quorum,
		.consumers = &consumers,
		.wr = &wr,
		.metrics = &metrics,
		.access = &access,
		.next_at = INT64_MAX };
	buf_init(&sessions.scratch, 65536);
	check(access_init(&access, NULL, &metrics, &err) == 0, "access_init");
	server = h2_new_server(methods, &sessions, &limits);
	client = h2_new_client();
	check(server != NULL && client != NULL, "h2_new");
	check(h2_call(client, "localhost", methods[0].path, &taker, NULL) !=
		NULL,
	    "h2_call");
	/* As it is once replication has started. */
	wr.state = WR_STREAMING;
	wr.pg.state = PGCONN_READY;
	wr.pg.authenticated = wr.wanted = true;
	wr.status_at = wr.answer_at = INT64_MAX;
	pace_start(&wr.pace, false, 1);
	publish_start(&publish, FIRST_LSN, false);
}

/* What a server does in a turn of its loop, but for the sockets: in is what
 * came from the client, out is for it. */
void server_turn(const struct buf *in, struct buf *out);
__attribute__((noinline, noclone)) void
server_turn(const struct buf *in, struct buf *out)
{
	check(h2_input(server, buf_head(in), buf_unread(in), &err) == 0,
	    "h2_input");
	quorum_confirm(&quorum);
	check(walreceiver_step(&wr, 0, 1, &err) == 0, "walreceiver_step");
	sessions_place(&sessions);
	sessions_update(&sessions);
	for (;;) {
		size_t before = buf_unread(out);

		check(h2_output(server, out, before + CLIENT_WRITE_MAX, &err) ==
			0,
		    "h2_output");
		if (buf_unread(out) == before)
			break;
	}
	sessions_update(&sessions);
	ring_trim(&ring, sessions_low(&sessions), quorum_settle(&quorum));
}

static void
client_turn(struct buf *in, struct buf *out)
{
	check(h2_input(client, buf_head(in), buf_unread(in), &err) == 0,
	    "h2_input of the client");
	buf_reset(in);
	buf_reset(out);
	check(h2_output(client, out, ROOM, &err) == 0,
	    "h2_output of the client");
}

static void
run(struct buf *stream, uint64_t rows)
{
	struct buf to_server, to_client;

	buf_init(&to_server, ROOM);
	buf_init(&to_client, ROOM);
	client_turn(&to_client, &to_server);
	while (got < rows) {
		size_t n = buf_unread(stream);
		uint64_t before = got;

		n = n < READ_SIZE ? n : READ_SIZE;
		buf_put(&wr.pg.conn.in, buf_head(stream), n);
		buf_consume(stream, n);
		server_turn(&to_server, &to_client);
		client_turn(&to_client, &to_server);
		check(n > 0 || got > before || buf_unread(&to_server) > 0,
		    "it has come to a halt");
	}
	buf_free(&to_server);
	buf_free(&to_client);
}

int
main(int argc, char **argv)
{
	unsigned long number[3] = { 0, 0, 0 };
	struct buf stream;

	for (int i = 1; i < argc && i < 4; i++)
		number[i - 1] = strtoul(argv[i], NULL, 10);
	if (number[0] == 0 || number[1] > 1000 || number[2] > TEXT) {
		fprintf(stderr, "usage: path ROWS [COLUMNS WIDTH]\n");
		return 2;
	}
	buf_init(&stream, ROOM);
	record(&stream, (unsigned)number[0], (unsigned)number[1],
	    (unsigned)number[2]);
	set_up();
	run(&stream, number[0]);
	printf("%" PRIu64 " events\n", got);
	return 0;
}
