#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bucket.h"
#include "base/clock.h"
#include "base/log.h"
#include "grpc/goaway.h"
#include "net/conn.h"

/* Out of descriptors or memory: how long no connection is accepted. */
#define PAUSE MS(200)
/* Accepts in a row that let nobody in, and one more each interval; then a pause
 * as well. Who is refused comes again at once, as gRPC's libraries do. */
#define VAIN 200
#define VAIN_INTERVAL MS(4)
/* Descriptors that clients leave us, beside listeners: PostgreSQL, files. */
#define OWN_DESCRIPTORS ((rlim_t)64)

void
listeners_init(struct listeners *l, const struct listener_config *config,
    struct metrics *metrics)
{
	memset(l, 0, sizeof(*l));
	l->config = config;
	l->metrics = metrics;
	l->spare = -1;
}

void
listeners_close(struct listeners *l)
{
	if (l->spare != -1)
		close(l->spare); /* a duplicate of the first */
	l->spare = -1;
	for (size_t i = 0; i < l->count; i++)
		listen_close(&l->at[i]);
	l->count = 0;
}

void
listeners_free(struct listeners *l)
{
	listeners_close(l);
	tls_server_free(l->tls);
	l->tls = NULL;
	peers_free(&l->peers);
}

/* As many descriptors as we may have, and connections no more than that leaves
 * when so many others are open. */
static void
limit(struct listeners *l, rlim_t others)
{
	rlim_t own = OWN_DESCRIPTORS + others;
	struct rlimit r;
	rlim_t most;

	l->most = l->config->most;
	if (getrlimit(RLIMIT_NOFILE, &r) == -1)
		return;
	if (r.rlim_cur != r.rlim_max) {
		most = r.rlim_cur;
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) == -1)
			r.rlim_cur = most;
	}
	if (r.rlim_cur == RLIM_INFINITY)
		return;
	most = r.rlim_cur > 2 * own ? r.rlim_cur - own : r.rlim_cur / 2;
	if (most >= l->most)
		return;
	l->most = (unsigned)most;
	log_warn("server.few_descriptors",
	    "%llu descriptors are allowed, so at most %u connections",
	    (unsigned long long)r.rlim_cur, l->most);
}

static int
load_tls(struct listeners *l, struct err *err)
{
	struct ssl_ctx_st *fresh;
	char text[512];
	bool valid;

	if (l->config->tls.cert == NULL)
		return 0;
	if ((fresh = tls_server_ctx(&l->config->tls, err)) == NULL)
		return -1;
	tls_server_free(l->tls);
	l->tls = fresh;
	valid = tls_server_describe(fresh, text, sizeof(text));
	if (valid)
		log_info("tls.loaded", "certificate of %s", text);
	else
		log_warn("tls.not_valid", "not now: certificate of %s", text);
	return 0;
}

int
listeners_reload(struct listeners *l, struct err *err)
{
	return load_tls(l, err);
}

/* The addresses, all of them, before any of them is taken. */
struct wanted {
	struct addr addr;
	int name; /* which argument it is of */
};

struct plan {
	struct wanted at[LISTENERS_MAX];
	size_t count;
};

static int
add(struct plan *plan, const struct addr *a, int name, struct err *err)
{
	struct wanted *last = plan->at + plan->count, *w;

	/* Resolvers may name one twice. */
	for (w = plan->at; w < last; w++)
		if (w->name == name && w->addr.len == a->len &&
		    memcmp(&w->addr.sa, &a->sa, a->len) == 0)
			return 0;
	if (plan->count == LISTENERS_MAX)
		return err_set(err, ERR_USAGE,
		    "these are more than %d addresses to listen on",
		    LISTENERS_MAX);
	*last = (struct wanted){ *a, name };
	plan->count++;
	return 0;
}

static int
add_host(struct plan *plan, const char *host, const char *port, int name,
    struct err *err)
{
	struct addr list[ADDR_MAX];
	int n = addr_resolve(list, host, port, true, err);

	for (int i = 0; i < n; i++)
		if (add(plan, &list[i], name, err) == -1)
			return -1;
	return n == -1 ? -1 : 0;
}

static int
add_argument(struct plan *plan, const char *text, int name, struct err *err)
{
	char host[256] = "", port[8] = "";
	struct addr a;
	int is_unix = addr_unix(&a, text, err);

	if (is_unix != 0)
		return is_unix == -1 ? -1 : add(plan, &a, name, err);
	if (addr_split(text, host, sizeof(host), port, sizeof(port)) == -1 ||
	    *port == '\0' || (*text != '[' && strchr(host, ':') != NULL))
		return err_set(err, ERR_USAGE,
		    "--listen must be HOST:PORT, [V6]:PORT, unix:/PATH or "
		    "unix:@NAME, not \"%.200s\"",
		    text);
	return add_host(plan, host, port, name, err);
}

static int
make_plan(struct plan *plan, const struct listener_config *c, struct err *err)
{
	plan->count = 0;
	if (c->addresses == 0)
		return add_host(plan, c->host, c->port, 0, err);
	for (size_t i = 0; i < c->addresses; i++)
		if (add_argument(plan, c->address[i], (int)i, err) == -1)
			return -1;
	return 0;
}

/* [::] is also every address of IPv4, unless that has a place of its own. */
static void
share_ports(struct plan *plan)
{
	struct wanted *last = plan->at + plan->count, *w, *other;

	for (w = plan->at; w < last; w++)
		for (other = plan->at; other < last; other++)
			if (other->addr.sa.ss_family == AF_INET &&
			    addr_port(&other->addr) == addr_port(&w->addr))
				w->addr.v6_only = true;
}

/* Another address of the same argument; with port 0, the port it has got. */
static const struct listen *
sibling(const struct listeners *l, const int *names, int name)
{
	for (size_t i = 0; i < l->count; i++)
		if (names[i] == name)
			return &l->at[i];
	return NULL;
}

/* A name may have addresses that this machine has not, but for one. */
static int
open_all(struct listeners *l, struct plan *plan, struct err *err)
{
	int names[LISTENERS_MAX];
	const struct listen *other;
	struct wanted *w;
	bool absent;

	for (w = plan->at; w < plan->at + plan->count; w++) {
		other = sibling(l, names, w->name);
		if (other != NULL && addr_port(&w->addr) == 0)
			addr_set_port(&w->addr, addr_port(&other->addr));
		names[l->count] = w->name;
		if (listen_open(&l->at[l->count], &w->addr, l->config->mode,
			err) == 0) {
			l->count++;
			continue;
		}
		absent = errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT;
		other = w + 1 < plan->at + plan->count && w[1].name == w->name
		    ? l->at
		    : sibling(l, names, w->name);
		if (!absent || other == NULL)
			return -1;
		log_warn("server.not_listening", "%s", err->text);
	}
	return 0;
}

static void
warn_exposed(const struct listeners *l)
{
	const struct addr *a;

	for (size_t i = 0; i < l->count && l->tls == NULL; i++) {
		a = &l->at[i].addr;
		if (!addr_is_local(a))
			log_warn("server.plaintext",
			    "%s is open to other machines without TLS: anybody "
			    "on the way can read and change what is sent (see "
			    "--tls-cert)",
			    a->text);
	}
}

bool
listeners_exposed(const struct listeners *l)
{
	const struct tls_server_settings *tls = &l->config->tls;
	bool known = tls->client_ca != NULL && !tls->client_optional;

	for (size_t i = 0; i < l->count && !known; i++)
		if (!addr_is_local(&l->at[i].addr))
			return true;
	return false;
}

int
listeners_open(struct listeners *l, size_t others, struct err *err)
{
	struct plan plan;

	if (load_tls(l, err) == -1 || make_plan(&plan, l->config, err) == -1)
		return -1;
	limit(l, plan.count + others);
	share_ports(&plan);
	if (open_all(l, &plan, err) == -1) {
		listeners_close(l);
		return -1;
	}
	l->places = l->count;
	l->spare = fcntl(l->at[0].fd, F_DUPFD_CLOEXEC, 0);
	warn_exposed(l);
	return 0;
}

static bool
has_tls(const struct listeners *l, size_t i)
{
	return l->tls != NULL && !addr_is_unix(&l->at[i].addr);
}

void
listeners_describe(const struct listeners *l, char *text, size_t cap)
{
	size_t n = 0;

	*text = '\0';
	for (size_t i = 0; i < l->count && n < cap; i++)
		n += (size_t)snprintf(text + n, cap - n, "%s%s%s",
		    i > 0 ? ", " : "", l->at[i].addr.text,
		    has_tls(l, i) ? " with TLS" : "");
}

int64_t
listeners_prepare(const struct listeners *l, struct pollfd *p, bool taking,
    int64_t now)
{
	bool paused = now < l->paused_until;

	for (size_t i = 0; i < l->places; i++)
		p[i] = (struct pollfd){ -1, POLLIN, 0 };
	for (size_t i = 0; i < l->count && taking && !paused; i++)
		p[i].fd = l->at[i].fd;
	return taking && paused ? l->paused_until : INT64_MAX;
}

void
listeners_pause(struct listeners *l, int64_t now)
{
	l->paused_until = now + PAUSE;
}

/* In the clear it is told why; TLS would have to be spoken for that. */
static enum arrived
refuse(struct listeners *l, size_t i, const struct arrival *a,
    enum refusal reason, const char *why)
{
	uint8_t words[GOAWAY_MAX];

	metrics_refused(l->metrics, reason);
	if (!has_tls(l, i))
		conn_say(a->fd, words,
		    goaway_put(words, GOAWAY_ENHANCE_YOUR_CALM, why));
	close(a->fd);
	log_limited(LOG_WARN, "server.refused", "%s is refused: %s",
	    a->from.text, why);
	return REFUSED;
}

/* Nobody could be let in, whoever it was: all may wait a little. */
static void
in_vain(struct listeners *l, int64_t now)
{
	if (!bucket_take(&l->vain, VAIN_INTERVAL, VAIN, now))
		listeners_pause(l, now);
}

static enum arrived
refuse_all(struct listeners *l, size_t i, int64_t now, const struct arrival *a,
    enum refusal reason, const char *why)
{
	in_vain(l, now);
	return refuse(l, i, a, reason, why);
}

/* The descriptor that is kept for this lets us send one away. */
static enum arrived
refuse_without_descriptor(struct listeners *l, size_t i, int64_t now,
    struct arrival *a)
{
	int first = errno, error;

	if (l->spare != -1)
		close(l->spare);
	a->fd = conn_accept(l->at[i].fd, &a->from);
	error = errno;
	if (a->fd != -1)
		refuse_all(l, i, now, a, REFUSED_DESCRIPTORS,
		    "there is no descriptor for it");
	l->spare = fcntl(l->at[0].fd, F_DUPFD_CLOEXEC, 0);
	if (a->fd != -1)
		return REFUSED;
	/* accept(2) looks for a descriptor before it looks for somebody. */
	if (error == EAGAIN || error == EWOULDBLOCK)
		return NOBODY;
	listeners_pause(l, now);
	log_limited(LOG_ERROR, "server.accept",
	    "cannot accept a connection: %s", strerror(first));
	return NOBODY;
}

static enum arrived
not_accepted(struct listeners *l, size_t i, int64_t now, struct arrival *a)
{

	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return NOBODY;
	if (errno == EMFILE || errno == ENFILE)
		return refuse_without_descriptor(l, i, now, a);
	if (errno == ENOMEM || errno == ENOBUFS)
		listeners_pause(l, now);
	else /* it is about that connection (accept(2)) */
		in_vain(l, now);
	if (errno != EINTR && errno != ECONNABORTED)
		log_limited(LOG_ERROR, "server.accept",
		    "cannot accept a connection: %s", strerror(errno));
	return now < l->paused_until ? NOBODY : REFUSED;
}

enum arrived
listeners_next(struct listeners *l, size_t i, int64_t now, struct arrival *a)
{
	char why[128];
	int rc;

	if ((a->fd = conn_accept(l->at[i].fd, &a->from)) == -1)
		return not_accepted(l, i, now, a);
	if (l->open >= l->most) {
		snprintf(why, sizeof(why),
		    "there are %u connections, the limit (--max-connections)",
		    l->open);
		return refuse_all(l, i, now, a, REFUSED_CONNECTIONS, why);
	}
	rc = peers_add(&l->peers, &a->from, l->config->most_per_address);
	if (rc == 0) {
		a->tls = has_tls(l, i) ? l->tls : NULL;
		l->open++;
		return ARRIVED;
	}
	snprintf(why, sizeof(why),
	    "its address has %u connections, the limit "
	    "(--max-connections-per-address)",
	    l->config->most_per_address);
	if (rc == -1)
		return refuse(l, i, a, REFUSED_PER_ADDRESS, why);
	return refuse_all(l, i, now, a, REFUSED_MEMORY, "out of memory");
}

void
listeners_left(struct listeners *l, const struct addr *from)
{
	peers_remove(&l->peers, from);
	l->open--;
}
