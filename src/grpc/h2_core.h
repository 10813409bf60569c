#ifndef GRPC_H2_CORE_H
#define GRPC_H2_CORE_H

#include <nghttp2/nghttp2.h>

#include "grpc/h2.h"
#include "grpc/h2_guard.h"

/* What the h2*.c share; for them alone. */

/* What the PING behind a notice carries: 8 bytes. */
#define H2_NOTICE "draining"

#define H2_HEAD 9 /* bytes before the payload of a frame */
#define H2_CLOSED 128
#define H2_OURS 0x80000000U
/* Calls that are open to all get one for so many of the others. */
#define H2_OPEN_PART 16

struct h2 {
	nghttp2_session *ng;
	const struct h2_method *methods; /* NULL for a client */
	void *arg;
	const char *peer;
	struct h2_stream *streams, *dead;
	struct buf *out; /* of the h2_output that is running, its limit, and */
	size_t limit; /* whether a DATA frame went there since it was asked */
	bool put;
	bool failed;               /* out of memory: something was not queued */
	const char *authorization; /* a client's, or NULL */
	bool secure;               /* a client's: over TLS */

	/* A server's: */
	struct h2_limits *limits;
	struct h2_guard guard;
	unsigned count; /* of streams */
	int64_t now;
	int64_t deadline_at; /* the earliest of all streams, or earlier */
	enum h2_fault fault;
	char fault_text[128];
	bool heard;     /* the first byte came */
	bool announced; /* the first SETTINGS went out */
	bool greeted, settled;
	bool ping_queued;
	bool noticed, leaving; /* see h2_notice, h2_goaway */
	bool told;             /* GOAWAY with an error went out: it is over */
	bool spent;
	size_t header_bytes; /* of the list that is coming in */
	int32_t last_id;     /* the highest that came */
	/* The streams that were closed last, H2_OURS with those that we reset:
	 * what still comes for them was on its way. */
	uint32_t closed[H2_CLOSED];
	unsigned closed_n;
	char agent[REQUEST_MAX_AGENT + 1];
};

/* What nghttp2 answered to a call that queues something. Out of memory, a stream
 * would wait for ever for what is not there: the connection is of no use. */
void h2_check(struct h2 *h, int rc);

/* A header; nghttp2 copies it when it is submitted. */
nghttp2_nv h2_nv(const char *name, const char *value);

/* Where calls of this kind are counted. */
unsigned *h2_total(struct h2_limits *l, const struct h2_handler *handler);
/* NULL when out of memory. */
struct h2_stream *h2_stream_new(struct h2 *h);
void h2_stream_attach(struct h2_stream *s, const struct h2_handler *handler);
/* Runs the handler's last callback and puts s on the list of the dead. */
void h2_stream_close(struct h2_stream *s);
/* Frees the dead. */
void h2_reap(struct h2 *h);

/* nghttp2_data_source_read_callback: source->ptr is the stream. */
ssize_t h2_read_data(nghttp2_session *ng, int32_t id, uint8_t *to, size_t cap,
    uint32_t *flags, nghttp2_data_source *source, void *arg);

/* A server gives the connection up with a GOAWAY; the first reason counts.
 * Returns NGHTTP2_ERR_CALLBACK_FAILURE. */
int h2_give_up(struct h2 *h, enum h2_fault fault, uint32_t error_code,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int h2_give_up_flood(struct h2 *h, enum h2_flood kind);
void h2_count_refusal(struct h2 *h, enum h2_refusal why);
/* The request headers are complete: who serves it, or why nobody does. */
void h2_dispatch(struct h2_stream *s, struct request *q);
/* Gives the answer that s->held is. */
void h2_answer_held(struct h2_stream *s);
/* The head of a frame came: is there such a stream? If not, gives up. */
void h2_check_stream(struct h2 *h);
/* A server's first frame, as nghttp2 made it: its SETTINGS. */
void h2_announce(struct h2 *h, uint8_t *frame, size_t n);

/* END_STREAM came. */
void h2_peer_done(struct h2_stream *s);

/* An empty connection, ng not made yet; NULL when out of memory. */
struct h2 *h2_new(void);
/* The callbacks that both sides have; NULL when out of memory. */
nghttp2_session_callbacks *h2_callbacks(void);

#endif
