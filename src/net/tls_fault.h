#ifndef NET_TLS_FAULT_H
#define NET_TLS_FAULT_H

#include <stdbool.h>

#include "base/err.h"

/* Why a client's handshake failed: the label `reason` of what is counted. */
#define TLS_FAULTS(X)                                 \
	X(TLS_FAULT_PLAIN, "plaintext")               \
	X(TLS_FAULT_GARBAGE, "not_tls")               \
	X(TLS_FAULT_VERSION, "version")               \
	X(TLS_FAULT_CIPHER, "cipher")                 \
	X(TLS_FAULT_ALPN, "alpn")                     \
	X(TLS_FAULT_NO_CERT, "no_certificate")        \
	X(TLS_FAULT_BAD_CERT, "bad_certificate")      \
	X(TLS_FAULT_DISTRUST, "certificate_rejected") \
	X(TLS_FAULT_CLOSED, "closed")                 \
	X(TLS_FAULT_TIMEOUT, "timeout")               \
	X(TLS_FAULT_OTHER, "other")

enum tls_fault {
#define X(fault, name) fault,
	TLS_FAULTS(X)
#undef X
	    TLS_FAULT_KINDS
};

const char *tls_fault_name(enum tls_fault fault);

/* What the reason of an error of OpenSSL's (ERR_GET_REASON), which it calls
 * text, says of a client. head: the first bytes that came. Fills err. */
enum tls_fault
tls_fault_find(int reason, const char *text, const char *head, struct err *err);

/* Is it about versions of the protocol, as libpq found? */
bool tls_fault_is_version(int reason);
/* An alert by which the peer refuses our certificate (RFC 8446, 6.2)? */
bool tls_fault_is_distrust(int reason);

#endif
