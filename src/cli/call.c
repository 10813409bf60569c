#include "cli/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "feed/tokens.h"

#define READ_SIZE ((size_t)64 * 1024)
#define MAX_TOKEN_FILE ((size_t)1024 * 1024)

void
call_init(struct call *c)
{
	memset(c, 0, sizeof(*c));
	conn_init(&c->conn, READ_SIZE * 4, READ_SIZE * 4);
	buf_init(&c->authorization, TOKEN_MAX + 16);
}

void
call_free(struct call *c)
{
	if (c->h2 != NULL)
		h2_del(c->h2);
	conn_close(&c->conn);
	buf_wipe(&c->authorization);
	buf_free(&c->authorization);
}

int
call_read_token(struct call *c, const char *file)
{
	const char *token;
	struct buf text;
	size_t n;
	int rc;

	if (file == NULL)
		return 0;
	buf_init(&text, MAX_TOKEN_FILE);
	rc = secret_read(&text, file, &c->err);
	if (rc == 0 &&
	    tokens_first((const char *)buf_head(&text), buf_unread(&text),
		&token, &n, &c->err) == -1)
		rc = err_prefix(&c->err, "%s", file);
	if (rc == 0) {
		buf_put_str(&c->authorization, "Bearer ");
		buf_put(&c->authorization, token, n);
		if (c->authorization.failed)
			rc = err_set(&c->err, ERR_NOMEM, "out of memory");
	}
	buf_wipe(&text);
	buf_free(&text);
	return rc;
}

/* A file that is named has to be there: what follows takes one that is not for
 * none. */
static int
check_file(struct call *c, const char *option, const char *file)
{
	if (file == NULL || access(file, R_OK) == 0)
		return 0;
	return err_set(&c->err, ERR_USAGE, "%s \"%.300s\": %s", option, file,
	    strerror(errno));
}

int
call_read_tls(struct call *c, const struct options *o)
{
	const char *ca = o->value[OPT_TLS_CA], *cert = o->value[OPT_TLS_CERT];
	const char *key = o->value[OPT_TLS_KEY];

	c->secure = o->value[OPT_TLS] != NULL || ca != NULL || cert != NULL ||
	    key != NULL || o->value[OPT_TLS_NAME] != NULL;
	if ((cert == NULL) != (key == NULL))
		return err_set(&c->err, ERR_USAGE,
		    "--tls-cert and --tls-key need each other");
	c->tls = (struct tls_settings){
		.host = o->value[OPT_TLS_NAME],
		.root = ca != NULL ? ca : "system",
		.cert = cert,
		.key = key,
		.verify = TLS_VERIFY_FULL,
		.use_cert = cert != NULL,
		.sni = true,
		.alpn_required = true,
		.alpn = "h2",
	};
	if (check_file(c, "--tls-ca", ca) == -1 ||
	    check_file(c, "--tls-cert", cert) == -1)
		return -1;
	return check_file(c, "--tls-key", key);
}

/* host: the server's certificate is for it, if no other name was given. */
static int
start_tls(struct call *c, const char *host, int64_t until)
{
	struct tls_settings *s = &c->tls;
	enum conn_result result;
	int64_t left;

	if (s->host == NULL)
		s->host = host;
	if (conn_start_tls(&c->conn, s, &c->err) == -1)
		return -1;
	while ((result = conn_handshake(&c->conn, &c->err)) == CONN_AGAIN) {
		if ((left = until - clock_mono_us()) <= 0)
			return err_set(&c->err, ERR_IO,
			    "the TLS handshake timed out");
		conn_wait(c->conn.fd, conn_want(&c->conn, true),
		    (int)(left / 1000) + 1);
	}
	return result == CONN_OK ? 0 : -1;
}

static int
connect_one(struct call *c, const struct addr *a, const char *host,
    int timeout_ms)
{
	int64_t until = clock_mono_us() + MS(timeout_ms);

	if (conn_connect(&c->conn, a, &c->err) == -1)
		return -1;
	if (conn_wait(c->conn.fd, POLLOUT, timeout_ms) <= 0)
		err_set(&c->err, ERR_IO, "cannot connect: timed out");
	else if (conn_connected(&c->conn, &c->err) == 0 &&
	    (!c->secure || start_tls(c, host, until) == 0))
		return 0;
	err_prefix(&c->err, "%s", a->text);
	conn_close(&c->conn);
	return -1;
}

/* Fills list, and the host's name. Returns how many, or -1 with c->err. */
static int
look_up(struct call *c, const char *address, struct addr *list, char *host,
    size_t host_cap, char *port, size_t port_cap)
{
	int is_unix = addr_unix(list, address, &c->err);

	if (is_unix == 1 && c->secure)
		return err_set(&c->err, ERR_USAGE,
		    "walstream has no TLS on Unix sockets: leave out --tls");
	if (is_unix == 1)
		snprintf(host, host_cap, "localhost");
	if (is_unix != 0)
		return is_unix;
	if (addr_split(address, host, host_cap, port, port_cap) == -1)
		return err_set(&c->err, ERR_USAGE,
		    "\"%.200s\" is not an address: HOST:PORT or unix:/PATH is "
		    "expected",
		    address);
	return addr_resolve(list, host, port, false, &c->err);
}

static int
connect_to(struct call *c, const char *address, char *host, size_t host_cap,
    const char *default_port, int timeout_ms)
{
	struct addr list[ADDR_MAX];
	char port[8];
	int n;

	snprintf(port, sizeof(port), "%s", default_port);
	n = look_up(c, address, list, host, host_cap, port, sizeof(port));
	for (int i = 0; i < n; i++) {
		if (connect_one(c, &list[i], host, timeout_ms) == 0) {
			c->err.kind = ERR_NONE;
			return 0;
		}
	}
	return -1;
}

/* What the server is called in requests. */
static const char *
authority(const struct call *c, const char *address, const char *host)
{
	struct addr a;
	struct err err;

	if (c->secure)
		return c->tls.host;
	return *address == '\0' || addr_unix(&a, address, &err) == 1 ? host
								     : address;
}

int
call_begin(struct call *c, const char *address, const char *default_host,
    const char *port, int timeout_ms, const char *path,
    const struct h2_handler *handler, void *user)
{
	char host[256];

	snprintf(host, sizeof(host), "%s", default_host);
	if (connect_to(c, address, host, sizeof(host), port, timeout_ms) == -1)
		return -1;
	if ((c->h2 = h2_new_client()) == NULL)
		return err_set(&c->err, ERR_NOMEM, "out of memory");
	if (c->secure)
		h2_set_secure(c->h2);
	if (buf_unread(&c->authorization) > 0)
		h2_authorize(c->h2, buf_cstr(&c->authorization));
	if ((c->stream = h2_call(c->h2, authority(c, address, host), path,
		 handler, user)) == NULL)
		return err_set(&c->err, ERR_NOMEM, "out of memory");
	c->tls.host = NULL; /* it may have been ours */
	return 0;
}

/* The server may have said why it takes no more (an alert of TLS). */
static int
not_sent(struct call *c)
{
	struct err why;

	if (c->secure && conn_read(&c->conn, READ_SIZE, &why) == CONN_ERROR &&
	    why.kind != ERR_IO)
		c->err = why;
	return -1;
}

int
call_send(struct call *c)
{
	if (h2_output(c->h2, &c->conn.out, READ_SIZE, &c->err) == -1)
		return -1;
	/* Over with a call under way: what the server said made no sense. */
	if (h2_over(c->h2) && c->stream != NULL)
		return err_set(&c->err, ERR_PROTO,
		    "the server does not speak HTTP/2, as gRPC does");
	return conn_flush(&c->conn, &c->err) == CONN_ERROR ? not_sent(c) : 0;
}

int
call_wait(struct call *c, int timeout_ms)
{
	int revents =
	    conn_wait(c->conn.fd, conn_want(&c->conn, true), timeout_ms);

	if (revents <= 0 || !conn_readable(&c->conn, (short)revents))
		return 0;
	switch (conn_read(&c->conn, READ_SIZE, &c->err)) {
	case CONN_AGAIN:
		return 0;
	case CONN_EOF:
		return err_set(&c->err, ERR_IO,
		    "the server closed the connection");
	case CONN_ERROR:
		return -1;
	case CONN_OK:
		break;
	}
	if (h2_input(c->h2, buf_head(&c->conn.in), buf_unread(&c->conn.in),
		&c->err) == -1)
		return -1;
	buf_reset(&c->conn.in);
	return c->err.kind == ERR_NONE ? 0 : -1;
}

/*
 * A socket that is closed with input unread is reset, and takes with it what
 * the server has not read. So: everything out, FIN, and read until the server
 * has closed as well.
 */
void
call_give_up(struct call *c, int timeout_ms)
{
	int64_t until = clock_mono_us() + MS(timeout_ms);
	struct err late;

	if (c->stream == NULL)
		return;
	while (call_send(c) == 0 && buf_unread(&c->conn.out) > 0 &&
	    clock_mono_us() < until)
		conn_wait(c->conn.fd, POLLOUT, 100);
	h2_cancel(c->stream);
	if (call_send(c) == -1)
		return;
	conn_finish(&c->conn);
	while (clock_mono_us() < until) {
		if (conn_wait(c->conn.fd, POLLIN, 100) <= 0)
			continue;
		if (conn_read(&c->conn, READ_SIZE, &late) != CONN_OK)
			return;
		buf_reset(&c->conn.in);
	}
}
