#include "server/httpd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define READ_SIZE 4096
/* A page, at most. */
#define BODY_MAX ((size_t)4 * 1024 * 1024)
/* What a connection, and the place where pages are made, keep of it. */
#define KEEP ((size_t)64 * 1024)
/* How long a request may take to come, an answer to be taken, the next request
 * to begin, and the peer to close after the last answer. */
#define REQUEST_TIME SECONDS(10)
#define ANSWER_TIME SECONDS(30)
#define IDLE_TIME SECONDS(60)
#define LINGER_TIME SECONDS(2)
#define ACCEPT_PAUSE MS(200)
/* In a turn: new connections, and time for answers: one is always made. */
#define ACCEPT_BATCH 16
#define ANSWERS_TIME MS(5)

enum httpd_state {
	HTTPD_READING,
	HTTPD_ANSWERING,
	HTTPD_LINGERING, /* all is said: what still comes is thrown away, so
			    that no reset overtakes the answer */
	HTTPD_OVER,
};

struct httpd_client {
	enum httpd_state state;
	struct conn conn;
	int64_t since_at; /* it has been waited for since then ... */
	int64_t due_at;   /* ... and is at most until then */
	size_t poll;      /* its place in the poll set */
	bool last;        /* no request follows the one that is answered */
	bool more;        /* input is left that the turn had no time for */
	int pipelined;    /* requests in a row that others came behind */
};

void
httpd_init(struct httpd *h, const struct view *view)
{
	memset(h, 0, sizeof(*h));
	h->listener = -1;
	h->view = *view;
	h->view.answers = h->answers;
	h->view.start_us = clock_wall_us();
	buf_init(&h->body, BODY_MAX);
}

int
httpd_listen(struct httpd *h, const char *address, struct err *err)
{
	char host[256] = "", port[8] = "";
	struct addr list[ADDR_MAX];

	if (addr_split(address, host, sizeof(host), port, sizeof(port)) == -1 ||
	    *port == '\0')
		return err_set(err, ERR_USAGE,
		    "--metrics-listen must be HOST:PORT or [IPV6]:PORT, not "
		    "\"%.100s\"",
		    address);
	if (addr_resolve(list, host, port, true, err) == -1)
		return -1;
	if ((h->listener = conn_listen(&list[0], &h->bound, err)) == -1)
		return -1;
	log_info("http.listening", "metrics on http://%s/metrics",
	    h->bound.text);
	return 0;
}

static void
drop(struct httpd *h, int place)
{
	conn_close(&h->client[place]->conn);
	free(h->client[place]);
	h->client[place] = NULL;
	h->count--;
}

void
httpd_free(struct httpd *h)
{
	for (int i = 0; i < HTTPD_MAX; i++)
		if (h->client[i] != NULL)
			drop(h, i);
	buf_free(&h->body);
	if (h->listener != -1)
		close(h->listener);
	h->listener = -1;
}

size_t
httpd_prepare(struct httpd *h, struct pollfd *p, int64_t now, int64_t *until)
{
	struct httpd_client *c;
	size_t n = 1;
	short events;

	if (h->listener == -1)
		return 0;
	p[0] = (struct pollfd){ h->listener, POLLIN, 0 };
	if (now < h->accept_at) {
		p[0].fd = -1;
		*until = h->accept_at < *until ? h->accept_at : *until;
	}
	for (int i = 0; i < HTTPD_MAX; i++) {
		if ((c = h->client[i]) == NULL)
			continue;
		events = c->state == HTTPD_ANSWERING ? POLLOUT : POLLIN;
		if (c->more)
			events = 0;
		c->poll = n;
		p[n++] = (struct pollfd){ c->conn.fd, events, 0 };
		if (c->due_at < *until)
			*until = c->due_at;
		if (c->more)
			*until = now;
	}
	return n;
}

static void
wait_for(struct httpd_client *c, enum httpd_state state, int64_t now,
    int64_t time)
{
	c->state = state;
	c->since_at = now;
	c->due_at = now + time;
}

/* A place for one more: a free one, or that of whom we wait for longest. */
static int
find_place(struct httpd *h)
{
	int oldest = 0;

	for (int i = 0; i < HTTPD_MAX; i++) {
		if (h->client[i] == NULL)
			return i;
		if (h->client[i]->since_at < h->client[oldest]->since_at)
			oldest = i;
	}
	drop(h, oldest);
	return oldest;
}

static void
accept_clients(struct httpd *h, int64_t now)
{
	struct httpd_client *c;
	struct addr from;
	int fd = -1, place;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		if ((fd = conn_accept(h->listener, &from)) == -1)
			break;
		if ((c = calloc(1, sizeof(*c))) == NULL) {
			close(fd);
			break;
		}
		place = find_place(h);
		h->client[place] = c;
		h->count++;
		conn_init(&c->conn, HTTP_MAX_HEAD + 2 * READ_SIZE,
		    BODY_MAX + HTTP_MAX_HEAD);
		conn_adopt(&c->conn, fd);
		wait_for(c, HTTPD_READING, now, REQUEST_TIME);
	}
	if (fd == -1 && errno != EAGAIN && errno != EWOULDBLOCK &&
	    errno != EINTR && errno != ECONNABORTED) {
		log_limited(LOG_ERROR, "http.accept",
		    "cannot accept a connection: %s", strerror(errno));
		h->accept_at = now + ACCEPT_PAUSE;
	}
}

/* The page, or what to say in its place; returns the status. */
static int
make_body(struct httpd *h, int status, const char *path, const char **type)
{
	const struct page *page = status == 200 ? pages_find(path) : NULL;

	*type = "text/plain; charset=utf-8";
	buf_reset(&h->body);
	if (page != NULL) {
		status = page->put(&h->body, &h->view);
		if (!h->body.failed) {
			*type = page->type;
			return status;
		}
		buf_reset(&h->body);
		status = 500;
	} else if (status == 200) {
		status = 404;
	}
	buf_putf(&h->body, "%s\n", http_reason(status));
	return status;
}

static void
put_head(struct httpd_client *c, int status, const char *type, size_t len)
{
	time_t now = (time_t)(clock_wall_us() / 1000000);
	char date[64];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	http_put_head(&c->conn.out, status, type, len, !c->last, date);
}

/* status is what http_read made of it. */
static void
answer(struct httpd *h, struct httpd_client *c, int status,
    const struct http_request *r, int64_t now)
{
	struct buf *out = &c->conn.out;
	const char *type;

	c->pipelined = buf_unread(&c->conn.in) > 0 ? c->pipelined + 1 : 0;
	c->last =
	    status != 200 || !r->keep_alive || c->pipelined >= HTTPD_PIPELINED;
	status = make_body(h, status, r->path, &type);
	h->answers[http_kind(status)]++;
	put_head(c, status, type, buf_unread(&h->body));
	if (!r->head)
		buf_put(out, buf_head(&h->body), buf_unread(&h->body));
	buf_shrink(&h->body, KEEP);
	wait_for(c, HTTPD_ANSWERING, now, ANSWER_TIME);
	if (out->failed) /* no memory */
		c->state = HTTPD_OVER;
}

/* Answers the next request, if it is here. */
static bool
take_request(struct httpd *h, struct httpd_client *c, int64_t now)
{
	struct buf *in = &c->conn.in;
	struct http_request r;
	size_t used;
	int status;

	status = http_read(buf_head(in), buf_unread(in), &r, &used);
	if (status == 0)
		return false;
	if (status == 200)
		buf_consume(in, used);
	else
		buf_reset(in);
	answer(h, c, status, &r, now);
	return true;
}

/* Sends what the socket takes; true when that is all. */
static bool
send_answer(struct httpd_client *c, int64_t now)
{
	struct err err;

	switch (conn_flush(&c->conn, &err)) {
	case CONN_OK:
		break;
	case CONN_AGAIN:
		return false;
	default:
		c->state = HTTPD_OVER;
		return false;
	}
	buf_shrink(&c->conn.out, KEEP);
	if (c->last) {
		conn_finish(&c->conn);
		wait_for(c, HTTPD_LINGERING, now, LINGER_TIME);
		return false;
	}
	wait_for(c, HTTPD_READING, now,
	    buf_unread(&c->conn.in) > 0 ? REQUEST_TIME : IDLE_TIME);
	return true;
}

static void
receive(struct httpd_client *c, int64_t now)
{
	bool begins = buf_unread(&c->conn.in) == 0;
	struct err err;

	switch (conn_read(&c->conn, READ_SIZE, &err)) {
	case CONN_OK:
		break;
	case CONN_AGAIN:
		return;
	default:
		c->state = HTTPD_OVER;
		return;
	}
	if (c->state == HTTPD_LINGERING)
		buf_reset(&c->conn.in);
	else if (begins)
		wait_for(c, HTTPD_READING, now, REQUEST_TIME);
}

/* busy: no request is taken in this turn any more. Returns whether one was put
 * off for that. */
static bool
serve(struct httpd *h, struct httpd_client *c, short revents, bool busy,
    int64_t now)
{
	if (revents != 0 && c->state != HTTPD_ANSWERING && !c->more)
		receive(c, now);
	c->more = false;
	if (c->state == HTTPD_ANSWERING &&
	    (revents == 0 || !send_answer(c, now)))
		return false;
	if (c->state != HTTPD_READING)
		return false;
	if (!busy && (!take_request(h, c, now) || !send_answer(c, now)))
		return false;
	c->more = buf_unread(&c->conn.in) > 0;
	return busy && c->more;
}

void
httpd_step(struct httpd *h, const struct pollfd *p, int64_t now)
{
	int64_t until = clock_mono_us() + ANSWERS_TIME;
	struct httpd_client *c;
	bool busy = false;
	int i, first = -1;

	if (h->listener == -1)
		return;
	for (int n = 0; n < HTTPD_MAX && h->count > 0; n++) {
		i = (h->first + n) % HTTPD_MAX;
		if ((c = h->client[i]) == NULL)
			continue;
		if ((p[c->poll].revents != 0 || c->more) &&
		    serve(h, c, p[c->poll].revents, busy, now) && first == -1)
			first = i;
		if (c->state == HTTPD_OVER || now >= c->due_at)
			drop(h, i);
		busy = clock_mono_us() >= until;
	}
	if (first != -1)
		h->first = first;
	/* Last: a new one has no place in p. */
	if ((p[0].revents & POLLIN) != 0)
		accept_clients(h, now);
}
