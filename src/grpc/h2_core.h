#ifndef GRPC_H2_CORE_H
#define GRPC_H2_CORE_H

#include <nghttp2/nghttp2.h>

#include "grpc/h2.h"

/* What h2.c, h2_server.c and h2_client.c share; for them alone. */

struct h2 {
	nghttp2_session *ng;
	const struct h2_method *methods; /* NULL for a client */
	void *arg;
	struct h2_stream *streams, *dead;
	bool failed; /* out of memory: something was not queued */
};

/* What nghttp2 answered to a call that queues something. Out of memory, a stream
 * would wait for ever for what is not there: the connection is of no use. */
void h2_check(struct h2 *h, int rc);

/* A header; nghttp2 copies it when it is submitted. */
nghttp2_nv h2_nv(const char *name, const char *value);

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

/* END_STREAM came. */
void h2_peer_done(struct h2_stream *s);

/* An empty connection, ng not made yet; NULL when out of memory. */
struct h2 *h2_new(void);
/* The callbacks that both sides have; NULL when out of memory. */
nghttp2_session_callbacks *h2_callbacks(void);

#endif
