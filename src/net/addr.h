#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* Socket addresses: where to connect to, where to listen. */

struct addr {
	struct sockaddr_storage sa;
	socklen_t len;
	char
	    text[128]; /* "127.0.0.1:5432", "[::1]:5432", "/run/x/.s.PGSQL.1" */
	bool v6_only;  /* to listen on: IPv4 is left to another */
};

#define ADDR_MAX 64

/* Fills a->text from a->sa. */
void addr_describe(struct addr *a);

/*
 * Looks host and port up; blocks for as long as the system's resolver takes.
 * At most ADDR_MAX addresses are written to list. Returns how many, or -1 with
 * ERR_IO naming host.
 */
int addr_resolve(struct addr *list, const char *host, const char *port,
    bool passive, struct err *err);

bool addr_is_unix(const struct addr *a);
/* Of this machine: a Unix socket, or loopback. */
bool addr_is_local(const struct addr *a);

/* The address that host says, if it is numeric: into list[0]. Returns 1, or 0
 * when it is a name. */
int addr_numeric(struct addr *list, const char *host, const char *port);

/* The Unix socket of PostgreSQL on this port in directory dir ("": the first
 * of the usual ones that has it; with a leading '@' an abstract one, see
 * unix(7)). Returns 0, or -1 with ERR_USAGE. */
int addr_pg_socket(struct addr *a, const char *dir, const char *port,
    struct err *err);

/* A Unix socket as gRPC names them: "unix:PATH", "unix:///PATH", and
 * "unix:@NAME" or "unix-abstract:NAME" for an abstract one. Returns 1, 0 when
 * text is no such name, or -1 with ERR_USAGE when it is too long or empty. */
int addr_unix(struct addr *a, const char *text, struct err *err);
/* The path of a Unix socket that has one; otherwise NULL. */
const char *addr_path(const struct addr *a);
/* Is it an address of every interface (0.0.0.0, ::)? */
bool addr_is_any(const struct addr *a);
/* The port of an IP address; 0 of any other. */
int addr_port(const struct addr *a);
void addr_set_port(struct addr *a, int port);

#define ADDR_NETWORK 8
/* Whose it is, of an IP address: IPv4 itself, of IPv6 the network of 64 bits,
 * which is what one machine gets. */
void addr_network(const struct addr *a, uint8_t to[ADDR_NETWORK]);

/* Splits "HOST:PORT", "[V6]:PORT", "HOST" or ":PORT" into host[hostcap] and
 * port[portcap]; what is missing is left as it was. Returns 0, or -1. */
int addr_split(const char *text, char *host, size_t hostcap, char *port,
    size_t portcap);

#endif
