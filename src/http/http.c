#include "http/http.h"

#include <string.h>
#include <strings.h>

/* What of a string is being looked at. */
struct part {
	const char *p;
	size_t len;
};

/* The headers that mean something here. */
struct fields {
	unsigned count, hosts;
	bool close, keep_alive;
};

static bool
is(struct part a, const char *name)
{
	return a.len == strlen(name) && strncasecmp(a.p, name, a.len) == 0;
}

/* RFC 9110, 5.6.2: the name of a method or of a header. */
static bool
is_token(struct part a)
{
	for (size_t i = 0; i < a.len; i++) {
		unsigned char c = (unsigned char)a.p[i];

		if (c <= 0x20 || c >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
			return false;
	}
	return a.len > 0;
}

/* Cuts off what comes before the separator; all of it when there is none. */
static struct part
cut(struct part *from, char separator)
{
	const char *at =
	    from->len == 0 ? NULL : memchr(from->p, separator, from->len);
	struct part first = *from;

	if (at == NULL) {
		from->p += from->len;
		from->len = 0;
		return first;
	}
	first.len = (size_t)(at - from->p);
	from->p = at + 1;
	from->len -= first.len + 1;
	return first;
}

static struct part
trim(struct part a)
{
	for (; a.len > 0 && (*a.p == ' ' || *a.p == '\t'); a.p++)
		a.len--;
	while (a.len > 0 && (a.p[a.len - 1] == ' ' || a.p[a.len - 1] == '\t'))
		a.len--;
	return a;
}

/*
 * The next line, without its end, which is LF or CR LF. Returns 1, 0 when it is
 * not whole, or -1 when there is in it what no line may have: then more of it
 * is not waited for.
 */
static int
next_line(struct part *from, struct part *line)
{
	const char *lf =
	    from->len == 0 ? NULL : memchr(from->p, '\n', from->len);
	size_t len = lf == NULL ? from->len : (size_t)(lf - from->p);

	*line = (struct part){ from->p, len };
	if (line->len > 0 && line->p[line->len - 1] == '\r')
		line->len--;
	for (size_t i = 0; i < line->len; i++) {
		unsigned char c = (unsigned char)line->p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return -1;
	}
	if (lf == NULL)
		return 0;
	from->p += len + 1;
	from->len -= len + 1;
	return 1;
}

/* origin-form, or absolute-form as a proxy is asked; see RFC 9112, 3.2. */
static int
read_target(struct http_request *r, struct part target)
{
	for (size_t i = 0; i < target.len; i++)
		if ((unsigned char)target.p[i] <= 0x20 ||
		    (unsigned char)target.p[i] >= 0x7f || target.p[i] == '#')
			return 400;
	if (target.len > 7 && strncasecmp(target.p, "http://", 7) == 0) {
		target.p += 7;
		target.len -= 7;
		if (cut(&target, '/').len == 0)
			return 400;
		target.p--; /* the slash, or the authority's last */
		target.len++;
		if (*target.p != '/')
			target = (struct part){ "/", 1 };
	}
	if (target.len == 0 || *target.p != '/')
		return 400;
	target = cut(&target, '?');
	if (target.len > HTTP_MAX_PATH)
		return 414;
	memcpy(r->path, target.p, target.len);
	r->path[target.len] = '\0';
	return 0;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
read_version(struct http_request *r, struct part version)
{
	if (version.len != 8 || memcmp(version.p, "HTTP/", 5) != 0 ||
	    !is_digit(version.p[5]) || version.p[6] != '.' ||
	    !is_digit(version.p[7]))
		return 400;
	r->keep_alive = version.p[7] != '0';
	return version.p[5] == '1' ? 0 : 505;
}

/* method SP request-target SP HTTP-version */
static int
read_request_line(struct http_request *r, struct part line)
{
	struct part method = cut(&line, ' '), target = cut(&line, ' ');
	int status;

	if (!is_token(method) || (status = read_version(r, line)) == 400)
		return 400;
	if (status != 0)
		return status;
	r->head = method.len == 4 && memcmp(method.p, "HEAD", 4) == 0;
	if (!r->head && (method.len != 3 || memcmp(method.p, "GET", 3) != 0))
		return 405;
	return read_target(r, target);
}

static void
read_connection(struct fields *f, struct part value)
{
	struct part option;

	while (value.len > 0) {
		option = trim(cut(&value, ','));
		f->close |= is(option, "close");
		f->keep_alive |= is(option, "keep-alive");
	}
}

/* A body would have to be read to find what follows it. */
static int
read_content_length(struct part value)
{
	bool any = false;

	for (size_t i = 0; i < value.len; i++) {
		if (!is_digit(value.p[i]))
			return 400;
		any |= value.p[i] != '0';
	}
	if (value.len == 0)
		return 400;
	return any ? 413 : 0;
}

/* field-name ":" OWS field-value OWS; a line that goes on with the one before
 * begins with a blank, and is none. */
static int
read_field(struct fields *f, struct part line)
{
	struct part name = { line.p, 0 }, value;

	while (name.len < line.len && line.p[name.len] != ':')
		name.len++;
	if (name.len == line.len || !is_token(name))
		return 400;
	if (++f->count > HTTP_MAX_FIELDS)
		return 431;
	value = trim(
	    (struct part){ line.p + name.len + 1, line.len - name.len - 1 });
	if (is(name, "host"))
		f->hosts++;
	else if (is(name, "connection"))
		read_connection(f, value);
	else if (is(name, "content-length"))
		return read_content_length(value);
	else if (is(name, "transfer-encoding"))
		return 413;
	return 0;
}

/* Its lines, as far as they have come; 0: they all have, up to the empty one;
 * -1: not yet. */
static int
read_lines(struct http_request *r, struct fields *f, struct part *in)
{
	struct part line;
	int got, status;

	/* RFC 9112, 2.2: an empty line before the first is to be ignored. */
	do {
		if ((got = next_line(in, &line)) != 1)
			return got == -1 ? 400 : -1;
	} while (line.len == 0);
	status = read_request_line(r, line);
	while (status == 0) {
		if ((got = next_line(in, &line)) != 1)
			return got == -1 ? 400 : -1;
		if (line.len == 0)
			break;
		status = read_field(f, line);
	}
	return status;
}

int
http_read(const uint8_t *p, size_t n, struct http_request *r, size_t *used)
{
	size_t len = n < HTTP_MAX_HEAD ? n : HTTP_MAX_HEAD;
	struct part in = { (const char *)p, len };
	struct fields f = { 0, 0, false, false };
	bool is_11;
	int status;

	memset(r, 0, sizeof(*r));
	status = read_lines(r, &f, &in);
	if (status == -1 && len == HTTP_MAX_HEAD)
		/* Without a path the first line has not ended. */
		return *r->path == '\0' ? 414 : 431;
	if (status != 0)
		return status == -1 ? 0 : status;
	is_11 = r->keep_alive;
	if (f.hosts > 1 || (is_11 && f.hosts == 0))
		return 400;
	r->keep_alive = !f.close && (is_11 || f.keep_alive);
	*used = len - in.len;
	return 200;
}

static const struct {
	int status;
	const char *reason;
} statuses[] = {
#define X(status, reason) { status, reason },
	HTTP_STATUSES(X)
#undef X
};

enum http_kind
http_kind(int status)
{
	for (int i = 0; i < HTTP_KINDS; i++)
		if (statuses[i].status == status)
			return (enum http_kind)i;
	return HTTP_KIND_500;
}

int
http_status(enum http_kind kind)
{
	return statuses[kind].status;
}

const char *
http_reason(int status)
{
	return statuses[http_kind(status)].reason;
}

void
http_put_head(struct buf *to, int status, const char *type, size_t len,
    bool keep_alive, const char *date)
{
	enum http_kind kind = http_kind(status);

	buf_putf(to,
	    "HTTP/1.1 %d %s\r\n"
	    "Date: %s\r\n"
	    "Content-Type: %s\r\n"
	    "Content-Length: %zu\r\n"
	    "Connection: %s\r\n",
	    statuses[kind].status, statuses[kind].reason, date, type, len,
	    keep_alive ? "keep-alive" : "close");
	if (status == 405)
		buf_put_str(to, "Allow: GET, HEAD\r\n");
	/* Pages bring all they need, load nothing from elsewhere, and belong
	 * into no frame. */
	buf_put_str(to,
	    "Cache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "Content-Security-Policy: default-src 'none'; "
	    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
	    "img-src data:; connect-src 'self'; base-uri 'none'; "
	    "form-action 'none'; frame-ancestors 'none'\r\n"
	    "\r\n");
}
