#include "net/tls_fault.h"

#include <openssl/ssl.h>
#include <string.h>

const char *
tls_fault_name(enum tls_fault fault)
{
	static const char *const names[] = {
#define X(id, name) [id] = name,
		TLS_FAULTS(X)
#undef X
	};

	return names[fault];
}

bool
tls_fault_is_version(int reason)
{
	static const int about[] = { SSL_R_NO_PROTOCOLS_AVAILABLE,
		SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_BAD_PROTOCOL_VERSION_NUMBER,
		SSL_R_UNKNOWN_PROTOCOL, SSL_R_UNKNOWN_SSL_VERSION,
		SSL_R_UNSUPPORTED_SSL_VERSION, SSL_R_WRONG_SSL_VERSION,
		SSL_R_WRONG_VERSION_NUMBER, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION,
		SSL_R_VERSION_TOO_HIGH, SSL_R_VERSION_TOO_LOW };

	for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
		if (about[i] == reason)
			return true;
	return false;
}

bool
tls_fault_is_distrust(int reason)
{
	int alert = reason - SSL_AD_REASON_OFFSET;

	return (alert >= SSL_AD_NO_CERTIFICATE &&
		   alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
	    alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED ||
	    alert == SSL_AD_CERTIFICATE_REQUIRED;
}

/* What a server says of a client's failure, by OpenSSL's reason. */
static const struct {
	int reason;
	enum tls_fault fault;
	const char *text; /* NULL: OpenSSL's */
} faults[] = {
	{ SSL_R_HTTP_REQUEST, TLS_FAULT_PLAIN,
	    "it speaks HTTP in the clear, this port speaks TLS" },
	{ SSL_R_WRONG_VERSION_NUMBER, TLS_FAULT_GARBAGE,
	    "what it says is not TLS" },
	{ SSL_R_NO_SHARED_CIPHER, TLS_FAULT_CIPHER, NULL },
	{ SSL_R_NO_APPLICATION_PROTOCOL, TLS_FAULT_ALPN,
	    "it does not offer HTTP/2 (ALPN h2)" },
	{ SSL_R_CALLBACK_FAILED, TLS_FAULT_ALPN,
	    "it does not offer HTTP/2: there is no ALPN" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, TLS_FAULT_NO_CERT,
	    "it has no certificate, which --tls-client-ca asks for" },
};

enum tls_fault
tls_fault_find(int reason, const char *text, const char *head, struct err *err)
{
	enum tls_fault fault =
	    tls_fault_is_version(reason) ? TLS_FAULT_VERSION : TLS_FAULT_OTHER;
	const char *what = NULL;

	if (reason == SSL_R_WRONG_VERSION_NUMBER &&
	    memcmp(head, "PRI ", 4) == 0)
		reason = SSL_R_HTTP_REQUEST;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (faults[i].reason == reason) {
			fault = faults[i].fault;
			if (faults[i].text != NULL)
				what = faults[i].text;
		}
	err_set(err, ERR_PROTO, what != NULL ? "%s" : "TLS: %s",
	    what != NULL ? what : text);
	return fault;
}
