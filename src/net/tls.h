#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/tls_ctx.h"
#include "net/tls_fault.h"

/*
 * One TLS connection over a non-blocking socket. Nothing here waits: each step
 * says what it waits for, which need not be what its name says.
 *
 * Errors are ERR_IO when the connection was lost, ERR_AUTH when one side did
 * not trust the other (certificates, names, files that are missing), ERR_PROTO
 * otherwise: no TLS, no version or cipher in common.
 */
struct tls;

/* OpenSSL sets itself up when it is first used, and when it cannot, crashes
 * then: so it is asked at the start. Returns 0, or -1 with ERR_NOMEM. */
int tls_init(struct err *err);

enum tls_result { TLS_OK, TLS_WANT_READ, TLS_WANT_WRITE, TLS_EOF, TLS_FAILED };

/* The client's side on a connected socket, which stays the caller's. s has to
 * live until the handshake is done. Returns NULL with err. */
struct tls *tls_client(const struct tls_settings *s, int fd, struct err *err);

struct ssl_ctx_st;
/* The server's side on an accepted socket (ctx: see net/tls_server.h; it is not
 * needed afterwards). Returns NULL with ERR_NOMEM. */
struct tls *tls_server(struct ssl_ctx_st *ctx, int fd, struct err *err);
/* Server: why its handshake failed. What was no TLS begins with tls_head. */
enum tls_fault tls_fault(const struct tls *t);
#define TLS_HEAD 4
const char *tls_head(const struct tls *t);

/* Says goodbye; the other side may still be talking. */
void tls_finish(struct tls *t);
/* Says goodbye (close_notify), as far as the socket takes it at once, and
 * frees t; NULL is nothing. */
void tls_free(struct tls *t);

/* TLS_OK: done, and the peer is who it has to be. */
enum tls_result tls_handshake(struct tls *t, struct err *err);
bool tls_is_open(const struct tls *t);   /* the handshake is done */
bool tls_is_failed(const struct tls *t); /* it will never be any more */

/*
 * At most n (> 0) bytes; *got of them, or *put, with TLS_OK. TLS_EOF: the peer
 * has finished; err is filled as well, and says so if it did not say goodbye,
 * so that something may be missing. A failure is final, and comes again.
 */
enum tls_result
tls_read(struct tls *t, void *to, size_t n, size_t *got, struct err *err);
enum tls_result tls_write(struct tls *t, const void *from, size_t n,
    size_t *put, struct err *err);
/* Bytes that have arrived, of which poll knows nothing; at most a record. */
size_t tls_pending(const struct tls *t);
#define TLS_RECORD_MAX 16384

/* Was our certificate asked for, and sent? Returns 0, or -1 with ERR_AUTH. */
int tls_check_cert(const struct tls *t, struct err *err);

/* "TLSv1.3, TLS_AES_256_GCM_SHA384", and whose certificate the peer has. */
void tls_describe(const struct tls *t, char *text, size_t cap);

#define TLS_HASH_MAX 64
/*
 * Channel binding data of the type tls-server-end-point (RFC 5929): the peer's
 * certificate, hashed as it was hashed for its signature, with SHA-256 in place
 * of MD5 and SHA-1. Returns 0, or -1 with ERR_AUTH where there is no such hash
 * (Ed25519).
 */
int tls_server_end_point(const struct tls *t, uint8_t out[TLS_HASH_MAX],
    size_t *len, struct err *err);

#endif
