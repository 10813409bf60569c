#ifndef PG_CONNINFO_H
#define PG_CONNINFO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/auth.h"

/*
 * Where the database is and who we are, from a connection string, a service,
 * the environment and the password file: what libpq makes of them
 * (PostgreSQL, "Connection Strings", "Parameter Key Words", "Environment
 * Variables"). A setting in the string comes before the service's, that before
 * the environment's, that before the default. What is not supported is an
 * error: nothing that was asked for is ignored.
 */

enum conninfo_id {
	CI_SERVICE,
	CI_SERVICEFILE,
	CI_USER,
	CI_PASSWORD,
	CI_PASSFILE,
	CI_DBNAME,
	CI_HOST, /* these three are lists: see struct conninfo_host */
	CI_HOSTADDR,
	CI_PORT,
	CI_OPTIONS,
	CI_APPLICATION_NAME,
	CI_FALLBACK_APPLICATION_NAME,
	CI_CLIENT_ENCODING,
	CI_CONNECT_TIMEOUT,
	CI_KEEPALIVES,
	CI_KEEPALIVES_IDLE,
	CI_KEEPALIVES_INTERVAL,
	CI_KEEPALIVES_COUNT,
	CI_TCP_USER_TIMEOUT,
	CI_TARGET_SESSION_ATTRS,
	CI_LOAD_BALANCE_HOSTS,
	CI_REQUIREPEER,
	CI_REQUIRE_AUTH,
	CI_CHANNEL_BINDING,
	CI_GSSENCMODE,
	CI_MIN_PROTOCOL_VERSION,
	CI_MAX_PROTOCOL_VERSION,
	CI_SSLMODE,
	CI_SSLNEGOTIATION,
	CI_SSLCOMPRESSION,
	CI_SSLCERT,
	CI_SSLKEY,
	CI_SSLPASSWORD,
	CI_SSLCERTMODE,
	CI_SSLROOTCERT,
	CI_SSLCRL,
	CI_SSLCRLDIR,
	CI_SSLSNI,
	CI_SSL_MIN_PROTOCOL_VERSION,
	CI_SSL_MAX_PROTOCOL_VERSION,
	CI_SETTINGS
};

/* What value[] has of settings with a few possible values. */
enum {
	SSLMODE_DISABLE,
	SSLMODE_ALLOW,
	SSLMODE_PREFER,
	SSLMODE_REQUIRE,
	SSLMODE_VERIFY_CA,
	SSLMODE_VERIFY_FULL
};
enum { SSLNEGOTIATION_POSTGRES, SSLNEGOTIATION_DIRECT };
enum { SSLCERTMODE_DISABLE, SSLCERTMODE_ALLOW, SSLCERTMODE_REQUIRE };
enum {
	TARGET_ANY,
	TARGET_READ_WRITE,
	TARGET_READ_ONLY,
	TARGET_PRIMARY,
	TARGET_STANDBY,
	TARGET_PREFER_STANDBY
};
enum { TLS_ANY, TLS_1, TLS_1_1, TLS_1_2, TLS_1_3 };

/* What is outside. */
struct conninfo_system {
	char *(*env)(const char *name); /* as getenv(3) */
	const char *user;               /* stands in for `user`; NULL: nobody */
	const char *home;               /* directory; NULL: none */
	/* Reads a file to the end of text. A secret one that others can read
	 * is as good as none. Returns 1, 0 when there is none, or -1 with
	 * ERR_IO. */
	int (*read)(const char *path, bool secret, struct buf *text,
	    struct err *err);
};

/* A server to try; the strings are the conninfo's. */
struct conninfo_host {
	char *host; /* name or address; with a leading '/' the directory of a
		       Unix socket, with '@' an abstract one; "" is the default
		       directory */
	char *hostaddr; /* numeric: connect there, without looking host up; ""
			   when none */
	char *port;     /* decimal, 1 to 65535 */
	char *password; /* NULL when there is none */
};

struct conninfo {
	const struct conninfo_system *sys;
	/* NULL when not set and without a default. Wiped when freed. */
	char *text[CI_SETTINGS];
	/* Numbers and, see above, choices. */
	int value[CI_SETTINGS];
	struct conninfo_host *host;
	size_t hosts; /* at least 1 */
	unsigned auth_allowed;
	/* What the text has may be the rest of a password, badly quoted: it
	 * is not shown. */
	bool hush;
};

/*
 * Reads text (NULL or "" when there is none). sys must outlive ci. Returns 0,
 * or -1 with ERR_USAGE, ERR_IO or ERR_NOMEM, and then there is nothing to free.
 * No error text holds a password, or a value that can be a part of one.
 */
int conninfo_parse(struct conninfo *ci, const char *text,
    const struct conninfo_system *sys, struct err *err);

/* Reads the password file again: passwords change while a server runs. Returns
 * 0, or -1 with ERR_IO or ERR_NOMEM. */
int conninfo_passwords(struct conninfo *ci, struct err *err);

/* Wipes and frees everything. */
void conninfo_free(struct conninfo *ci);

/* For tests and --help: the keyword, and its environment variable or NULL. */
const char *conninfo_keyword(enum conninfo_id id);
const char *conninfo_variable(enum conninfo_id id);

#endif
