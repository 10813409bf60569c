#ifndef GRPC_H2_H
#define GRPC_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "grpc/frame.h"
#include "grpc/request.h"
#include "grpc/status.h"

/*
 * gRPC over one HTTP/2 connection, as server or as client: bytes in, bytes
 * out, no sockets (RFC 9113; grpc/doc/PROTOCOL-HTTP2.md). h2 and h2_*
 * alone know nghttp2.
 *
 * A stream is one call. It is made by the peer's request (server) or h2_call
 * (client), lives until its handler's `closed` has run, and is freed by the
 * next end of h2_input or h2_output, so a pointer to it is good within the
 * turn. h2_input, h2_output and h2_tick are never called from a handler.
 */

struct h2;

struct h2_stream {
	struct h2 *h2;
	int32_t id;
	void *user;       /* the handler's own */
	bool half_closed; /* the peer sends nothing more */
	bool ending;      /* trailers follow at the next message boundary */
	bool mid_message; /* set by pull: its last byte is not a boundary */
	bool responded;   /* server: response headers are submitted */
	bool finished;    /* client: END_STREAM follows, see h2_finish */
	bool answered;    /* server: the trailers went out */
	const struct h2_handler *handler;
	struct frame in;
	struct request *request; /* server: until the headers are complete */
	int64_t deadline_at;     /* server: of grpc-timeout; INT64_MAX none */
	const char *held;        /* server: HTTP status that waits for the end
				    of the request, or NULL */
	size_t said;             /* server: of message, as a text of its own */
	enum grpc_code code;     /* of the trailers, sent or received */
	char message[512];
	int http_status; /* client: of the response, 0 until it came */
	bool has_status; /* client: grpc-status was received */
	struct h2_stream *next, *prev;
};

/* What a call does. Every member but holds, half_closed and responded must be
 * set. */
struct h2_handler {
	/* Longest message taken, bytes. */
	size_t max_message;
	/* Server: what comes takes up the stream's window until h2_took says
	 * that it was dealt with. */
	bool holds;
	/* Server: anybody may make it. All of them together get a part of
	 * max_total that is their own, so that they take it from nobody. */
	bool open_to_all;
	/* Server: how long it may take, us; 0: any time. */
	int64_t most_us;
	/* Server: a request for this method is here; arg is h2_new's. */
	void (*open)(struct h2_stream *s, void *arg);
	/* Client: the response headers are here. */
	void (*responded)(struct h2_stream *s);
	/* One whole message. */
	void (*message)(struct h2_stream *s, const uint8_t *p, size_t n);
	/* The peer will send nothing more (END_STREAM). */
	void (*half_closed)(struct h2_stream *s);
	/* Writes up to cap bytes of framed messages, sets s->mid_message, and
	 * returns how many; 0: nothing now, h2_wake says when, or it has ended
	 * the call. Once s->ending is set it goes no further than the message
	 * it is in. */
	size_t (*pull)(struct h2_stream *s, uint8_t *to, size_t cap);
	/* The call is over, for whatever reason: let go of s->user. Client:
	 * s->code and s->message say how it ended. */
	void (*closed)(struct h2_stream *s);
};

/* One row for each method a server offers; the last has a NULL path. */
struct h2_method {
	const char *path; /* "/package.Service/Method" */
	const struct h2_handler *handler;
};

/* What requests are refused for before a handler sees them. */
enum h2_refusal {
	H2_REFUSED_STREAMS,   /* too many */
	H2_REFUSED_HEADERS,   /* too large */
	H2_REFUSED_METHOD,    /* unknown */
	H2_REFUSED_MALFORMED, /* no gRPC */
	H2_REFUSALS
};

/* What all connections of a server share; it must outlive them. */
struct h2_limits {
	unsigned max_streams;           /* of one connection at a time; not 0 */
	unsigned max_total;             /* of all connections; 0: no limit */
	unsigned total, total_open;     /* that are; those that are open to all
					   apart */
	uint64_t *refused[H2_REFUSALS]; /* where they are counted, or NULL */
};

/* NULL when out of memory. methods must outlive the connection. */
struct h2 *h2_new_server(const struct h2_method *methods, void *arg,
    struct h2_limits *limits);
struct h2 *h2_new_client(void);
/* Runs `closed` for every stream, then frees everything. */
void h2_del(struct h2 *h);

/* Takes bytes from the peer. Returns 0, or -1 with ERR_PROTO: what h2_output
 * still yields (a GOAWAY) is to be sent, and the connection closed; of a server
 * h2_fault says more. A server says nothing before the first byte came. */
int h2_input(struct h2 *h, const uint8_t *p, size_t n, struct err *err);
/* Appends bytes for the peer to out until nothing is left, or there is no room
 * for another frame below limit; one that is no DATA may pass it.
 * Returns 0, or -1 with an error after which the connection is useless. */
int h2_output(struct h2 *h, struct buf *out, size_t limit, struct err *err);
/* Is there anything for h2_output? */
bool h2_want_write(const struct h2 *h);
/* Is no stream open? */
bool h2_idle(const struct h2 *h);
/* Both sides are done with the connection. */
bool h2_over(const struct h2 *h);

/* Server: sends the response headers; from now on pull is asked. */
void h2_respond(struct h2_stream *s);
/* pull has something to give again. */
void h2_wake(struct h2_stream *s);
/* Server, where the handler holds: a message of n bytes was dealt with. */
void h2_took(struct h2_stream *s, size_t n);
/* Server: ends the call with a status, after the message that is being sent.
 * Only the first call counts. */
void h2_end(struct h2_stream *s, enum grpc_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Server: breaks the call off; the peer sees RESOURCE_EXHAUSTED. For one that
 * lets nothing through any more. */
void h2_reset(struct h2_stream *s);
/* Server, in `open`: the value of the request header walstream-consumer, ""
 * without one, NULL when it is longer than REQUEST_MAX_VALUE. */
const char *h2_consumer(const struct h2_stream *s);
/* Server, in `open`: what authorization says, and the digest of its token. */
enum request_auth
h2_authorization(const struct h2_stream *s, uint8_t bearer[SECRET_DIGEST]);
/* Why a server has given the connection up: what h2_output still yields is to
 * be sent, and the connection closed. */
enum h2_fault {
	H2_FINE,
	H2_NOT_HTTP2, /* nothing is to be sent */
	H2_BROKEN,    /* the peer broke the protocol */
	H2_FLOODED,   /* see h2_guard.h */
	H2_TOO_SLOW,  /* in giving what it owes */
};
enum h2_fault h2_fault(const struct h2 *h);
/* In words, as the GOAWAY has it; "" while all is well. */
const char *h2_fault_text(const struct h2 *h);

/* Server: it is this late (monotonic us), before h2_input and h2_output: ends
 * calls whose deadline has passed. Returns when the next thing is due. */
int64_t h2_tick(struct h2 *h, int64_t now);
/* Server: the peer's preface and SETTINGS are here; it has acknowledged ours. */
bool h2_greeted(const struct h2 *h);
bool h2_settled(const struct h2 *h);
/* Server: sends a PING; has h2_output let go of it? */
void h2_ping(struct h2 *h);
bool h2_ping_sent(const struct h2 *h);
/* Server: the two steps of a graceful end (RFC 9113, section 6.8). h2_notice
 * asks the peer to make no more streams; those that cross it are served. Once
 * it was heard, h2_noticed, h2_goaway says which these were: no more are. Why
 * is a word. */
void h2_notice(struct h2 *h);
bool h2_noticed(const struct h2 *h);
void h2_goaway(struct h2 *h, const char *why);
/* Server: gives the connection up: the peer took too long to send what. */
void h2_too_slow(struct h2 *h, const char *what);
/* Server: ends every call with UNAVAILABLE. */
void h2_end_all(struct h2 *h, const char *why);
/* Server: nearly all stream identifiers there are were used. */
bool h2_spent(const struct h2 *h);
/* Server: user-agent of the last request, cut; "" when there was none. */
const char *h2_agent(const struct h2 *h);
/* Who is at the other end, for those who tell of a stream; "?" until it is
 * set. peer has to outlive h. */
void h2_set_peer(struct h2 *h, const char *peer);
const char *h2_peer(const struct h2_stream *s);

/* Client: pull has given its last message: half-closes. */
void h2_finish(struct h2_stream *s);
/* Client: gives a call up. What pull still has is not asked for. */
void h2_cancel(struct h2_stream *s);

/* Client: every call from now on has this authorization, which stays the
 * caller's; a peer is not to index it. */
void h2_authorize(struct h2 *h, const char *authorization);
/* Client: what is below is TLS, and the scheme https. */
void h2_set_secure(struct h2 *h);
/* Client: starts a call on the connection. NULL when out of memory. */
struct h2_stream *h2_call(struct h2 *h, const char *authority, const char *path,
    const struct h2_handler *handler, void *user);

#endif
