#ifndef NET_TLS_NAME_H
#define NET_TLS_NAME_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * Whom a certificate is for, judged as libpq judges it (PostgreSQL, "Server
 * Certificate Verification"; RFC 2818 and 6125, with libpq's differences):
 *
 *  - The names are the dNSName and iPAddress entries of the subject alternative
 *    name. The first common name is one more, but only when there is no entry
 *    of the host's own kind: iPAddress for an address, dNSName otherwise.
 *  - A name is compared as text, whatever the case. "*." at its start stands
 *    for one whole label; an asterisk anywhere else is an asterisk.
 *  - An iPAddress entry is compared with an address in any notation.
 */

/* Is cert for host? Returns 0, or -1 with ERR_AUTH: another's, no host is given
 * (NULL or ""), or an entry that is malformed, before any that matches. */
int tls_name_check(X509 *cert, const char *host, struct err *err);

/* May host be sent as a server name (RFC 6066: not when it is an address)? */
bool tls_name_is_sni(const char *host);

#endif
