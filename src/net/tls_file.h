#ifndef NET_TLS_FILE_H
#define NET_TLS_FILE_H

#include <stddef.h>

#include "base/err.h"

/* Files of keys and certificates, and what OpenSSL says of them. */

/* Who may read a key is libpq's rule, and PostgreSQL's own: 0600, or 0640 if
 * it is root's. Returns 0, or -1 with ERR_AUTH naming the file. */
int tls_file_check_key(int fd, const char *file, struct err *err);

enum tls_file_kind { TLS_FILE_CERT, TLS_FILE_KEY, TLS_FILE_CA, TLS_FILE_CRL };

struct bio_st;
/*
 * A whole file in memory: a regular one (links are followed), not larger than
 * its kind is, and a key's as above. Nothing is waited for. NULL with ERR_AUTH
 * that says which option named it; the caller frees it with BIO_free, which
 * wipes it.
 */
struct bio_st *
tls_file_read(enum tls_file_kind kind, const char *file, struct err *err);
/* "certificate file (--tls-cert)" */
const char *tls_file_what(enum tls_file_kind kind);

/* The first error of OpenSSL's queue, which is emptied. */
const char *tls_reason(void);

#endif
