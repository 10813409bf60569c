#include "grpc/h2_guard.h"

#include "base/clock.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define HEAD_LEN sizeof(((struct h2_guard *)NULL)->head)
/* With streams open, clients in the wild ping every 5 s. */
#define PING_INTERVAL SECONDS(4)
#define PING_INTERVAL_IDLE SECONDS(300)
#define PING_STRIKES 2
/* Updates of windows that what was sent may be answered with, whenever its
 * reader comes to it: gRPC libraries send one or two for each message, and a
 * frame of data has hundreds of small ones. A window that is opened byte by
 * byte earns none. No more are saved up than for what a large window takes. */
#define WINDOWS_PER_FRAME 8
#define BYTES_PER_WINDOW 8
#define MIN_DATA 16
#define MOST_WINDOWS (2u * 1024 * 1024)

enum frame_type {
	DATA = 0,
	HEADERS = 1,
	PRIORITY = 2,
	RST_STREAM = 3,
	SETTINGS = 4,
	PING = 6,
	GOAWAY = 7,
	WINDOW_UPDATE = 8,
	CONTINUATION = 9
};
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };

/* burst 0: nothing is counted. */
static const struct {
	const char *name;
	int burst;
	int64_t interval_us;
} kinds[H2_FLOODS] = {
	[H2_FLOOD_NONE] = { "none", 0, 0 },
	[H2_FLOOD_RESETS] = { "too_many_resets", 200, MS(100) },
	[H2_FLOOD_ALL_RESETS] = { "too_many_resets", 10000, 100 },
	[H2_FLOOD_ERRORS] = { "too_many_errors", 100, MS(200) },
	[H2_FLOOD_REFUSALS] = { "too_many_streams", 1000, MS(100) },
	[H2_FLOOD_REQUESTS] = { "too_many_requests", 10000, 100 },
	[H2_FLOOD_GOAWAYS] = { "too_many_goaways", 10, SECONDS(1) },
	[H2_FLOOD_EMPTY_DATA] = { "too_many_empty_frames", 200, MS(10) },
	[H2_FLOOD_PRIORITY] = { "too_many_priorities", 500, MS(10) },
	[H2_FLOOD_SETTINGS] = { "too_many_settings", 100, MS(100) },
	[H2_FLOOD_WINDOWS] = { "too_many_window_updates", 10000, MS(1) },
	[H2_FLOOD_PONGS] = { "too_many_pongs", 100, MS(100) },
	[H2_FLOOD_UNKNOWN] = { "too_many_unknown_frames", 500, MS(10) },
	[H2_FLOOD_PINGS] = { "too_many_pings", 0, 0 },
	[H2_FLOOD_HEADERS] = { "too_many_headers", 0, 0 },
	[H2_FLOOD_OUTPUT] = { "too_many_answers_not_read", 0, 0 },
};

const char *
h2_flood_name(enum h2_flood kind)
{
	return kinds[kind].name;
}

enum h2_flood
h2_guard_take(struct h2_guard *g, enum h2_flood kind, int64_t now)
{
	int burst = kinds[kind].burst;

	if (kind == H2_FLOOD_WINDOWS && g->windows > 0) {
		g->windows--;
		return H2_FLOOD_NONE;
	}
	if (kind == H2_FLOOD_RESETS)
		burst += (int)g->calls;
	if (burst == 0 ||
	    bucket_take(&g->bucket[kind], kinds[kind].interval_us, burst, now))
		return H2_FLOOD_NONE;
	return kind;
}

enum h2_flood
h2_guard_ping(struct h2_guard *g, bool streams, int64_t now)
{
	int64_t interval = streams ? PING_INTERVAL : PING_INTERVAL_IDLE;
	bool early = g->ping_at != 0 && now - g->ping_at < interval;

	g->ping_at = now;
	if (g->free_ping) {
		g->free_ping = false;
		g->strikes = 0;
	} else if (early && ++g->strikes > PING_STRIKES) {
		return H2_FLOOD_PINGS;
	}
	return H2_FLOOD_NONE;
}

void
h2_guard_sent(struct h2_guard *g, bool data, size_t len)
{
	g->free_ping = true;
	if (data && len < MIN_DATA)
		return;
	g->windows += WINDOWS_PER_FRAME + (unsigned)len / BYTES_PER_WINDOW;
	if (g->windows > MOST_WINDOWS)
		g->windows = MOST_WINDOWS;
}

static size_t
payload_len(const struct h2_guard *g)
{
	return (size_t)g->head[0] << 16 | (size_t)g->head[1] << 8 | g->head[2];
}

/* What a frame counts as, by its head and the first byte of its payload. */
static enum h2_flood
kind_of(const struct h2_guard *g, uint8_t first)
{
	uint8_t flags = g->head[4];
	size_t len = payload_len(g);

	switch (g->head[3]) {
	case DATA:
		if ((flags & PADDED) != 0 && len > 0)
			len = len > (size_t)first + 1 ? len - first - 1 : 0;
		return len > 0 || (flags & END_STREAM) != 0
		    ? H2_FLOOD_NONE
		    : H2_FLOOD_EMPTY_DATA;
	case HEADERS:
		return H2_FLOOD_REQUESTS;
	case PRIORITY:
		return H2_FLOOD_PRIORITY;
	case RST_STREAM:
		return H2_FLOOD_ALL_RESETS;
	case SETTINGS:
		return H2_FLOOD_SETTINGS;
	case PING:
		return (flags & ACK) != 0 ? H2_FLOOD_PONGS : H2_FLOOD_NONE;
	case GOAWAY:
		return H2_FLOOD_GOAWAYS;
	case WINDOW_UPDATE:
		return H2_FLOOD_WINDOWS;
	default:
		return g->head[3] > CONTINUATION ? H2_FLOOD_UNKNOWN
						 : H2_FLOOD_NONE;
	}
}

static bool
is_header(const struct h2_guard *g)
{
	return g->head[3] == HEADERS || g->head[3] == CONTINUATION;
}

static void
end_frame(struct h2_guard *g)
{
	g->head_len = 0;
	if (is_header(g) && (g->head[4] & END_HEADERS) != 0)
		g->block_at = 0;
}

/* Takes what belongs to the frame's head. */
static size_t
take_head(struct h2_guard *g, const uint8_t *p, size_t n, int64_t now,
    enum h2_flood *over)
{
	size_t i = 0;

	while (i < n && g->head_len < HEAD_LEN)
		g->head[g->head_len++] = p[i++];
	if (g->head_len < HEAD_LEN)
		return i;
	g->at_head = true;
	g->left = payload_len(g);
	if (is_header(g) && g->block_at == 0)
		g->block_at = now;
	if (g->left == 0) {
		*over = h2_guard_take(g, kind_of(g, 0), now);
		end_frame(g);
	}
	return i;
}

static size_t
take_payload(struct h2_guard *g, const uint8_t *p, size_t n, int64_t now,
    enum h2_flood *over)
{
	if (g->left == payload_len(g))
		*over = h2_guard_take(g, kind_of(g, *p), now);
	if (n > g->left)
		n = g->left;
	g->left -= n;
	if (g->left == 0)
		end_frame(g);
	return n;
}

size_t
h2_guard_next(struct h2_guard *g, const uint8_t *p, size_t n, int64_t now,
    enum h2_flood *over)
{
	size_t i = 0;

	*over = H2_FLOOD_NONE;
	g->at_head = false;
	while (i < n && g->preface < sizeof(preface) - 1)
		g->alien |= p[i++] != (uint8_t)preface[g->preface++];
	if (i > 0 || g->alien)
		return g->alien ? n : i;
	if (g->head_len < HEAD_LEN)
		return take_head(g, p, n, now, over);
	return take_payload(g, p, n, now, over);
}
