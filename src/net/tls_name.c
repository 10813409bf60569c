#include "net/tls_name.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What has been looked at so far, for the message. */
struct names {
	const char *host;
	int count;
	char first[256]; /* printable */
};

enum { BAD = -1, OTHER = 0, MATCH = 1 };

static bool
is_address(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	return inet_aton(host, &v4) != 0 || inet_pton(AF_INET6, host, &v6) == 1;
}

bool
tls_name_is_sni(const char *host)
{
	return host != NULL && *host != '\0' && strchr(host, ':') == NULL &&
	    host[strspn(host, "0123456789.")] != '\0';
}

/* Remembers the first name; what cannot be printed becomes '?'. */
static void
note(struct names *names, const char *text, size_t len)
{
	size_t n = len < sizeof(names->first) ? len : sizeof(names->first) - 1;

	if (names->count++ > 0)
		return;
	for (size_t i = 0; i < n; i++)
		names->first[i] =
		    isprint((unsigned char)text[i]) ? text[i] : '?';
	names->first[n] = '\0';
}

/* "*.example.com" is for "db.example.com", but not for "a.db.example.com". */
static bool
wildcard(const char *pattern, const char *host)
{
	const char *dot = strchr(host, '.');

	return pattern[0] == '*' && pattern[1] == '.' && pattern[2] != '\0' &&
	    dot != NULL && dot != host && strcasecmp(pattern + 1, dot) == 0;
}

static int
check_text(struct names *names, const ASN1_STRING *entry, struct err *err)
{
	const char *data = (const char *)ASN1_STRING_get0_data(entry);
	size_t len = (size_t)ASN1_STRING_length(entry);
	char name[1024];

	/* Or a CA that sees other text than we do could be fooled. */
	if (len > 0 && memchr(data, '\0', len) != NULL)
		return err_set(err, ERR_AUTH,
		    "SSL certificate's name contains embedded null");
	note(names, data, len);
	if (len == 0 || len >= sizeof(name))
		return OTHER; /* longer than the name of any host */
	memcpy(name, data, len);
	name[len] = '\0';
	return strcasecmp(name, names->host) == 0 || wildcard(name, names->host)
	    ? MATCH
	    : OTHER;
}

static int
check_address(struct names *names, const ASN1_STRING *entry, struct err *err)
{
	const unsigned char *data = ASN1_STRING_get0_data(entry);
	int len = ASN1_STRING_length(entry);
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr v6;
	struct in_addr v4;
	bool same;

	if (len == 4) {
		same = inet_aton(names->host, &v4) != 0 &&
		    memcmp(data, &v4, 4) == 0;
		inet_ntop(AF_INET, data, text, sizeof(text));
	} else if (len == 16) {
		same = inet_pton(AF_INET6, names->host, &v6) == 1 &&
		    memcmp(data, &v6, 16) == 0;
		inet_ntop(AF_INET6, data, text, sizeof(text));
	} else
		return err_set(err, ERR_AUTH,
		    "certificate contains IP address with invalid length %d",
		    len);
	note(names, text, strlen(text));
	return same ? MATCH : OTHER;
}

/* Looks through the subject alternative name. *own: it has entries of the
 * host's own kind. */
static int
check_alternatives(struct names *names, X509 *cert, bool *own, struct err *err)
{
	int kind = is_address(names->host) ? GEN_IPADD : GEN_DNS;
	int result = OTHER, critical;
	GENERAL_NAMES *all =
	    X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);

	if (all == NULL && critical != -1) /* there, but unreadable */
		return err_set(err, ERR_AUTH,
		    "the names in the server certificate are malformed");
	for (int i = 0; result == OTHER && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

		*own |= name->type == kind;
		if (name->type == GEN_DNS)
			result = check_text(names, name->d.dNSName, err);
		else if (name->type == GEN_IPADD)
			result = check_address(names, name->d.iPAddress, err);
	}
	GENERAL_NAMES_free(all);
	return result;
}

static int
check_common_name(struct names *names, X509 *cert, struct err *err)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0)
		return OTHER;
	return check_text(names,
	    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), err);
}

static int
mismatch(const struct names *names, struct err *err)
{
	char others[40] = "";
	int more = names->count - 1;

	if (names->count == 0)
		return err_set(err, ERR_AUTH,
		    "could not get server's host name from server certificate");
	if (more > 0)
		snprintf(others, sizeof(others), " (and %d other name%s)", more,
		    more == 1 ? "" : "s");
	return err_set(err, ERR_AUTH,
	    "server certificate for \"%s\"%s does not match host name "
	    "\"%.255s\"",
	    names->first, others, names->host);
}

int
tls_name_check(X509 *cert, const char *host, struct err *err)
{
	struct names names = { .host = host };
	bool own = false;
	int result;

	if (host == NULL || *host == '\0')
		return err_set(err, ERR_AUTH,
		    "host name must be specified for a verified SSL connection");
	result = check_alternatives(&names, cert, &own, err);
	if (result == OTHER && !own)
		result = check_common_name(&names, cert, err);
	if (result == OTHER)
		return mismatch(&names, err);
	return result == MATCH ? 0 : -1;
}
