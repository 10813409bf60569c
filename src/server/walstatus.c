#include "server/walstatus.h"

#include "base/clock.h"

/* A server that waits for its last byte to be confirmed asks again after every
 * answer; this keeps the two from spinning. */
#define STATUS_REPEAT MS(50)
/* A server that asks again so soon after an answer is shutting down. */
#define NAG_GAP SECONDS(1)
#define SILENCES_MAX 6 /* about an hour */

void
walstatus_send(struct walreceiver *wr, int64_t now, bool ask)
{
	wr->reported = wr->quorum->confirmed;
	wr->received = lsn_max(wr->received, wr->reported);
	repl_put_status(&wr->pg.conn.out, wr->received, wr->reported,
	    clock_wall_us() - CLOCK_PG_EPOCH_US, ask);
	wr->status_sent_at = now;
	wr->status_at = now + wr->status_interval_us;
}

void
walstatus_heard(struct walreceiver *wr, int64_t now)
{
	wr->heard_at = now;
	wr->pinged = false;
}

void
walstatus_begin(struct walreceiver *wr, int64_t now)
{
	wr->nagged_at = 0;
	walstatus_heard(wr, now);
	walstatus_send(wr, now, false);
}

/*
 * A server that is shutting down asks for an answer after every answer, until
 * its last byte is confirmed. It must not wait for ever for a client that does
 * not acknowledge. (While it catches up it may ask often, too, but about what
 * is confirmed already, or about one position after the other.)
 */
static int
check_nagging(struct walreceiver *wr, lsn_t wal_end, int64_t now,
    struct err *err)
{
	if (now - wr->status_sent_at >= NAG_GAP) {
		wr->nagged_at = 0;
	} else if (wal_end <= wr->reported) {
		return 0;
	} else if (wr->nagged_at == 0 || wr->nagged_lsn != wal_end) {
		wr->nagged_at = now;
		wr->nagged_lsn = wal_end;
	} else if (now - wr->nagged_at >= wr->config->shutdown_grace_us) {
		return err_set(err, ERR_IO,
		    "the server is shutting down and waits for what is not "
		    "acknowledged (" LSN_FMT " of " LSN_FMT "): let go",
		    LSN_ARG(wr->reported), LSN_ARG(wal_end));
	}
	return 0;
}

int
walstatus_keepalive(struct walreceiver *wr, const struct repl_msg *m,
    int64_t now, struct err *err)
{
	publish_keepalive(wr->publish, m->wal_end);
	if (!m->reply)
		return 0;
	if (wr->answer_at <= now) { /* none is on its way */
		wr->answer_at += STATUS_REPEAT;
		if (wr->answer_at < now)
			wr->answer_at = now;
		if (wr->answer_at < wr->status_at)
			wr->status_at = wr->answer_at;
	}
	return check_nagging(wr, m->wal_end, now, err);
}

/* When a server that stays silent is to be asked for a sign of life, or has not
 * given one. It may also be busy with a transaction that it sends nothing of,
 * and would begin anew every time: it gets twice as long then. */
static int64_t
silence_at(const struct walreceiver *wr)
{
	int64_t us = wr->config->server_timeout_us << wr->silences;

	return us == 0 ? INT64_MAX : wr->heard_at + (wr->pinged ? us : us / 2);
}

/* An update that the server does not take waits for the socket, not for a time:
 * none is put behind it. */
int64_t
walstatus_deadline(const struct walreceiver *wr)
{
	int64_t silence = silence_at(wr);

	if (buf_unread(&wr->pg.conn.out) > 0 || silence < wr->status_at)
		return silence;
	return wr->status_at;
}

/*
 * A connection that was cut without a word looks like a quiet server. Half-way
 * to the limit it is asked for an answer.
 */
int
walstatus_silence(struct walreceiver *wr, int64_t now, struct err *err)
{
	if (now < silence_at(wr))
		return 0;
	if (wr->pinged) {
		wr->silences += wr->silences < SILENCES_MAX;
		return err_set(err, ERR_IO,
		    "the server has been silent for %d s",
		    (int)((now - wr->heard_at) / SECONDS(1)));
	}
	wr->pinged = true;
	walstatus_send(wr, now, true);
	return 0;
}
