#ifndef NET_CONN_H
#define NET_CONN_H

#include <poll.h> /* POLLIN, POLLOUT: what a connection waits for */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/addr.h"
#include "net/tls.h"

/*
 * One non-blocking stream socket with a buffer each way, in the clear or over
 * TLS. Nothing here waits but conn_wait.
 */
struct conn {
	int fd; /* -1 when closed */
	struct buf in, out;
	struct tls *tls;               /* NULL: in the clear; owned */
	short read_wants, write_wants; /* what TLS waits for, maybe instead of
					  what one would think; 0: nothing */
};

/* Bytes each buffer may grow to. */
void conn_init(struct conn *c, size_t in_max, size_t out_max);
/* Takes over a connected socket. */
void conn_adopt(struct conn *c, int fd);
/* Closes the socket, if any, and frees the buffers. Can be used again. */
void conn_close(struct conn *c);

/* Begins to connect. Returns 0 (conn_connected will tell), or -1 with ERR_IO. */
int conn_connect(struct conn *c, const struct addr *a, struct err *err);
/* The outcome, once the socket is writable. Returns 0, or -1 with ERR_IO. */
int conn_connected(struct conn *c, struct err *err);

/* TCP keepalive and TCP_USER_TIMEOUT of a TCP socket; 0 leaves a number to the
 * system. Returns 0, or -1 with ERR_IO. */
struct conn_keepalive {
	int on, idle_s, interval_s, count, user_timeout_ms;
};
int conn_set_keepalive(struct conn *c, const struct conn_keepalive *k,
    struct err *err);

enum conn_result { CONN_OK, CONN_AGAIN, CONN_EOF, CONN_ERROR };

/* One byte, of a connection in the clear; c->in has no part in it. */
enum conn_result conn_read_byte(struct conn *c, uint8_t *byte, struct err *err);

/* Makes TLS of it, as a client (see net/tls.h; s has to live until the
 * handshake is done). Returns 0, or -1 with err. */
int
conn_start_tls(struct conn *c, const struct tls_settings *s, struct err *err);
/* The same as the server; see net/tls_server.h. */
int conn_accept_tls(struct conn *c, struct ssl_ctx_st *ctx, struct err *err);
/* CONN_OK: done; CONN_AGAIN: poll for conn_want. */
enum conn_result conn_handshake(struct conn *c, struct err *err);
/* What to poll for, so that it does not return for what nobody would deal with:
 * in order to read, or to shake hands, when that is wanted, and to write what is
 * in c->out. Then, whether its answer is a reason to read. */
short conn_want(const struct conn *c, bool reading);
bool conn_readable(const struct conn *c, short revents);

/* The user that the process at the other end of a Unix socket runs as. Returns
 * 0, or -1 with ERR_IO. */
int
conn_peer_user(const struct conn *c, char *user, size_t cap, struct err *err);

/* Reads once, at most n bytes (over TLS also what is left of a record, since
 * poll would not tell of it), to the end of c->in. CONN_OK: something came.
 * CONN_ERROR fills err, over TLS CONN_EOF as well. */
enum conn_result conn_read(struct conn *c, size_t n, struct err *err);
/* Writes c->out as far as the socket takes it. CONN_OK: all of it. CONN_EOF:
 * TLS was cut off before; what came until then can still be read. */
enum conn_result conn_flush(struct conn *c, struct err *err);

/* Bytes that the socket took and the peer's has not acknowledged. */
size_t conn_unacked(const struct conn *c);

/* Tells the peer that nothing more will be written (FIN, over TLS with a
 * goodbye). */
void conn_finish(struct conn *c);

/* The last words on a socket that is to be closed, past TLS and c->out, as far
 * as it takes them at once; what came is thrown away, or closing would take
 * them back. */
void conn_say(int fd, const void *words, size_t n);

/* Waits until a socket is ready for events (POLLIN, POLLOUT) or timeout_ms
 * has passed (-1: for ever); for commands that serve one connection. Returns
 * the ready events, 0 on timeout, -1 when a signal came. */
int conn_wait(int fd, short events, int timeout_ms);

/* A listening socket on a, non-blocking, or -1 with ERR_IO and errno. *bound is what it
 * is bound to (a port of 0 picks a free one). */
int conn_listen(const struct addr *a, struct addr *bound, struct err *err);
/* The next waiting connection and where from, or -1 with errno set. */
int conn_accept(int listener, struct addr *from);

#endif
