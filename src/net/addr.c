#include "net/addr.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Of accepted connections, and what getsockname says. */
static void
describe_unix(struct addr *a)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
	size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t n = a->len > head ? a->len - head : 0;

	if (n == 0)
		snprintf(a->text, sizeof(a->text), "unix");
	else if (un->sun_path[0] == '\0')
		snprintf(a->text, sizeof(a->text), "unix:@%.*s", (int)n - 1,
		    un->sun_path + 1);
	else
		snprintf(a->text, sizeof(a->text), "unix:%.*s", (int)n,
		    un->sun_path);
}

void
addr_describe(struct addr *a)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	bool v6 = a->sa.ss_family == AF_INET6;

	if (addr_is_unix(a)) {
		describe_unix(a);
		return;
	}
	if (getnameinfo((struct sockaddr *)&a->sa, a->len, host, sizeof(host),
		port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		snprintf(a->text, sizeof(a->text), "?");
		return;
	}
	snprintf(a->text, sizeof(a->text),
	    v6 ? "[%.100s]:%.10s" : "%.100s:%.10s", host, port);
}

int
addr_resolve(struct addr *list, const char *host, const char *port,
    bool passive, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0) };
	struct addrinfo *found, *ai;
	int n = 0, rc;

	rc = getaddrinfo(*host == '\0' ? NULL : host, port, &hints, &found);
	if (rc != 0)
		return err_set(err, ERR_IO,
		    "cannot resolve host \"%.200s\": "
		    "%s",
		    host, gai_strerror(rc));
	for (ai = found; ai != NULL && n < ADDR_MAX; ai = ai->ai_next) {
		memset(&list[n], 0, sizeof(list[n]));
		memcpy(&list[n].sa, ai->ai_addr, ai->ai_addrlen);
		list[n].len = ai->ai_addrlen;
		addr_describe(&list[n]);
		n++;
	}
	freeaddrinfo(found);
	return n;
}

bool
addr_is_unix(const struct addr *a)
{
	return a->sa.ss_family == AF_UNIX;
}

bool
addr_is_local(const struct addr *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sa;

	if (a->sa.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (a->sa.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	return addr_is_unix(a);
}

int
addr_numeric(struct addr *list, const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };
	struct addrinfo *found;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return 0;
	memcpy(&list->sa, found->ai_addr, found->ai_addrlen);
	list->len = found->ai_addrlen;
	addr_describe(list);
	freeaddrinfo(found);
	return 1;
}

static int
unix_address(struct addr *a, const char *dir, const char *port)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
	int n;

	memset(a, 0, sizeof(*a));
	un->sun_family = AF_UNIX;
	n = snprintf(un->sun_path, sizeof(un->sun_path), "%s/.s.PGSQL.%s", dir,
	    port);
	if (n < 0 || (size_t)n >= sizeof(un->sun_path))
		return -1;
	a->len = sizeof(*un);
	if (*dir == '@') { /* its length counts, its first byte is NUL */
		un->sun_path[0] = '\0';
		a->len = (socklen_t)offsetof(struct sockaddr_un, sun_path) +
		    (socklen_t)n;
		snprintf(a->text, sizeof(a->text), "@%s", un->sun_path + 1);
		return 0;
	}
	snprintf(a->text, sizeof(a->text), "%s", un->sun_path);
	return 0;
}

int
addr_pg_socket(struct addr *a, const char *dir, const char *port,
    struct err *err)
{
	static const char *const usual[] = { "/var/run/postgresql", "/tmp" };
	struct stat st;

	if (*dir != '\0') {
		if (unix_address(a, dir, port) == -1)
			return err_set(err, ERR_USAGE,
			    "socket directory "
			    "\"%.100s\" is too long",
			    dir);
		return 0;
	}
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (unix_address(a, usual[i], port) == 0 &&
		    stat(a->text, &st) == 0)
			return 0;
	}
	return unix_address(a, usual[0], port);
}

static int
starts(const char **text, const char *with)
{
	size_t n = strlen(with);

	if (strncmp(*text, with, n) != 0)
		return 0;
	*text += n;
	return 1;
}

int
addr_unix(struct addr *a, const char *text, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
	const char *name = text;
	bool abstract = starts(&name, "unix-abstract:");
	size_t n;

	if (!abstract && !starts(&name, "unix:"))
		return 0;
	if (!abstract && strspn(name, "/") == 3) /* unix:///PATH */
		name += 2;
	abstract = abstract || (*name == '@' && *++name != '\0');
	n = strlen(name);
	if (n == 0)
		return err_set(err, ERR_USAGE, "\"%.100s\" names no socket",
		    text);
	/* An abstract one begins with NUL, another ends with it. */
	if (n + 1 > sizeof(un->sun_path))
		return err_set(err, ERR_USAGE,
		    "\"%.200s\" is too long for a Unix socket: %zu characters "
		    "are possible",
		    text, sizeof(un->sun_path) - 1);
	memset(a, 0, sizeof(*a));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path + abstract, name, n);
	a->len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + abstract);
	describe_unix(a);
	a->len += !abstract;
	return 1;
}

const char *
addr_path(const struct addr *a)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;

	return addr_is_unix(a) && un->sun_path[0] != '\0' ? un->sun_path : NULL;
}

bool
addr_is_any(const struct addr *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sa;

	if (a->sa.ss_family == AF_INET)
		return v4->sin_addr.s_addr == INADDR_ANY;
	return a->sa.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

int
addr_port(const struct addr *a)
{
	if (a->sa.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
	if (a->sa.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&a->sa)->sin6_port);
	return 0;
}

void
addr_set_port(struct addr *a, int port)
{
	if (a->sa.ss_family == AF_INET)
		((struct sockaddr_in *)&a->sa)->sin_port =
		    htons((uint16_t)port);
	if (a->sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&a->sa)->sin6_port =
		    htons((uint16_t)port);
}

/* IPv4 also as it comes through a socket of IPv6 (::ffff:a.b.c.d). */
void
addr_network(const struct addr *a, uint8_t to[ADDR_NETWORK])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sa;

	memset(to, 0, ADDR_NETWORK);
	if (a->sa.ss_family == AF_INET)
		memcpy(to + 4, &v4->sin_addr, 4);
	else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		memcpy(to + 4, v6->sin6_addr.s6_addr + 12, 4);
	else
		memcpy(to, &v6->sin6_addr, ADDR_NETWORK);
}

/* Copies n characters of p; returns 0, or -1 when they do not fit. */
static int
take(char *to, size_t cap, const char *p, size_t n)
{
	if (n >= cap)
		return -1;
	memcpy(to, p, n);
	to[n] = '\0';
	return 0;
}

int
addr_split(const char *text, char *host, size_t hostcap, char *port,
    size_t portcap)
{
	const char *colon, *end;

	if (*text == '[') {
		if ((end = strchr(text, ']')) == NULL ||
		    (end[1] != '\0' && end[1] != ':'))
			return -1;
		if (take(host, hostcap, text + 1, (size_t)(end - text - 1)))
			return -1;
		colon = end[1] == ':' ? end + 1 : NULL;
	} else {
		colon = strrchr(text, ':');
		end = colon != NULL ? colon : text + strlen(text);
		if (end != text &&
		    take(host, hostcap, text, (size_t)(end - text)) == -1)
			return -1;
	}
	if (colon == NULL)
		return 0;
	if (colon[1] == '\0' || strlen(colon + 1) > 5 ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    atoi(colon + 1) > 65535)
		return -1;
	return take(port, portcap, colon + 1, strlen(colon + 1));
}
