#include "server/walslot.h"

#include <string.h>

#include "base/log.h"
#include "pg/replication.h"

bool
walslot_elsewhere(const struct walreceiver *wr)
{
	return wr->timeline != 0 && wr->server_timeline != wr->timeline;
}

void
walslot_ask(const struct walreceiver *wr, struct buf *sql)
{
	buf_put_str(sql,
	    "SELECT slot_type, plugin, database, "
	    "database = pg_catalog.current_database(), temporary, active_pid, "
	    "confirmed_flush_lsn, wal_status, two_phase, ");
	buf_put_str(sql, wr->version < 170000 ? "false" : "synced");
	buf_put_str(sql,
	    " FROM pg_catalog.pg_replication_slots WHERE slot_name = ");
	repl_quote_literal(sql, wr->config->slot);
}

/* Columns of the answer. */
enum {
	TYPE,
	PLUGIN,
	DATABASE,
	HERE,
	TEMPORARY,
	PID,
	CONFIRMED,
	STATUS,
	TWO_PHASE,
	SYNCED
};

/* Is it the kind that can be read here? */
static int
check_kind(const struct walreceiver *wr, const struct wire_row *row,
    struct err *err)
{
	const char *slot = wr->config->slot;
	char type[16], plugin[64], database[64], here[2], two_phase[2];

	wire_row_text(row, TYPE, type, sizeof(type));
	wire_row_text(row, PLUGIN, plugin, sizeof(plugin));
	wire_row_text(row, DATABASE, database, sizeof(database));
	wire_row_text(row, HERE, here, sizeof(here));
	wire_row_text(row, TWO_PHASE, two_phase, sizeof(two_phase));
	if (strcmp(type, "logical") != 0)
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" is a %s slot; "
		    "walstream needs a logical one: choose another name",
		    slot, type);
	if (strcmp(plugin, "pgoutput") != 0)
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" uses the output "
		    "plugin %s; walstream needs pgoutput: choose another name",
		    slot, plugin);
	if (*here != 't')
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" belongs to "
		    "database \"%s\": choose another name",
		    slot, database);
	if (*two_phase == 't')
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" was made with two_phase, and sends prepared "
		    "transactions before they are committed: choose another "
		    "name",
		    slot);
	return 0;
}

/* Is it ours to use, and in a state to be used? */
static int
check(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	const char *slot = wr->config->slot;
	char temporary[2], pid[16], status[16], synced[2];

	wire_row_text(row, TEMPORARY, temporary, sizeof(temporary));
	wire_row_text(row, PID, pid, sizeof(pid));
	wire_row_text(row, STATUS, status, sizeof(status));
	wire_row_text(row, SYNCED, synced, sizeof(synced));
	/* A slot that is in the making there is temporary, too. */
	if (wr->was_standby && *synced == 't') {
		wr->refused = true;
		return err_set(err, ERR_IO,
		    "slot \"%s\" is the standby's copy of the primary's, to be "
		    "used once this server is promoted",
		    slot);
	}
	if (check_kind(wr, row, err) == -1)
		return -1;
	if (*temporary == 't')
		return err_set(err, wr->was_ready ? ERR_IO : ERR_CONFIG,
		    "slot \"%s\" is a temporary slot of the session with PID "
		    "%s: choose another name",
		    slot, pid);
	if (wr->config->temporary)
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" is a permanent "
		    "slot; use --temporary false, or another name",
		    slot);
	if (strcmp(status, "lost") == 0)
		return err_set(err, ERR_LOST,
		    "slot \"%s\" is invalid: the "
		    "server has removed WAL it needed. Drop it (walstream "
		    "delete %s), copy the tables anew, and start again",
		    slot, slot);
	return 0;
}

int
walslot_row(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	char lsn[32];

	if (check(wr, row, err) == -1)
		return -1;
	wire_row_text(row, CONFIRMED, lsn, sizeof(lsn));
	if (lsn_parse(lsn, &wr->slot_confirmed) == -1)
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" is still being "
		    "created, or has no position",
		    wr->config->slot);
	wr->found = true;
	return 0;
}

/* Is this the address that the last COPY was of? */
static bool
is_same(const struct walreceiver *wr)
{
	return strcmp(wr->copied_from, pgdial_address(&wr->pg.dial)->text) == 0;
}

static int
vanished(struct walreceiver *wr, struct err *err)
{
	const char *slot = wr->config->slot;
	lsn_t confirmed = wr->quorum->confirmed;

	if (wr->was_standby && (*wr->promotable == '\0' || !is_same(wr))) {
		wr->refused = true;
		return err_set(err, ERR_IO,
		    "slot \"%s\" is not on this server, a standby", slot);
	}
	if (walslot_elsewhere(wr))
		return err_set(err, ERR_LOST,
		    "slot \"%s\" is not on this server, which was promoted: it "
		    "had not been synchronized before (walstream create "
		    "--failover, PostgreSQL 17). Changes since " LSN_FMT
		    " may be lost. It is not made anew by itself: restart "
		    "walstream to do so",
		    slot, LSN_ARG(confirmed));
	return err_set(err, ERR_LOST,
	    "slot \"%s\" has vanished: changes since " LSN_FMT " may be lost. "
	    "It is not made anew by itself: restart walstream to do so",
	    slot, LSN_ARG(confirmed));
}

/*
 * Was it the server at hand that the last COPY was of, a standby then? It goes
 * on streaming when it is promoted, so what it sent is of its own timeline. It
 * may have been restarted since, but then only a slot that has been read past
 * the promotion says so.
 */
static bool
promoted_under_us(const struct walreceiver *wr)
{
	return *wr->promotable != '\0' &&
	    (strcmp(wr->promotable, wr->started) == 0 ||
		(is_same(wr) && wr->found &&
		    wr->slot_confirmed > wr->ours.left_lsn));
}

/* Positions above this are of WAL that the server does not have. */
static void
cut(struct walreceiver *wr, lsn_t lsn)
{
	wr->cut_lsn = lsn;
	wr->received = lsn_min(wr->received, lsn);
	wr->publish->complete_lsn = lsn_min(wr->publish->complete_lsn, lsn);
	wr->rewind = true;
	if (wr->quorum->confirmed > lsn)
		quorum_reset(wr->quorum, lsn);
}

/*
 * Onto the server's timeline. WAL up to where it left ours is common to both;
 * what we know of above that, it never had, and uses the positions again.
 */
static void
change_timeline(struct walreceiver *wr)
{
	struct quorum *q = wr->quorum;
	uint32_t old = wr->timeline;

	wr->timeline = wr->server_timeline;
	wr->began_lsn = wr->server_began_lsn;
	if (old == 0 || old == wr->timeline)
		return;
	if (promoted_under_us(wr)) {
		log_warn("pg.timeline",
		    "the server was promoted: timeline %u, which left timeline "
		    "%u at " LSN_FMT,
		    wr->timeline, old, LSN_ARG(wr->ours.left_lsn));
		return;
	}
	log_warn("pg.timeline",
	    "the server is on timeline %u, which left timeline %u at " LSN_FMT
	    "; confirmed here " LSN_FMT ", by the slot " LSN_FMT,
	    wr->timeline, old, LSN_ARG(wr->ours.left_lsn),
	    LSN_ARG(q->confirmed), LSN_ARG(wr->slot_confirmed));
	cut(wr, wr->ours.left_lsn);
}

static lsn_t
delivered(const struct walreceiver *wr)
{
	return lsn_max(quorum_high(wr->quorum),
	    wr->publish->ring->last.commit_lsn);
}

/* A standby has to have what was delivered: if it were promoted without it,
 * nobody would notice. */
static int
check_standby(struct walreceiver *wr, struct err *err)
{
	lsn_t high = delivered(wr);

	if (!wr->was_standby || wr->server_lsn >= high)
		return 0;
	wr->refused = true;
	return err_set(err, ERR_IO,
	    "the standby has WAL up to " LSN_FMT ", and " LSN_FMT
	    " was delivered: it lags",
	    LSN_ARG(wr->server_lsn), LSN_ARG(high));
}

/* A server that has less than it has sent was set back, to a snapshot of its
 * disk say, and uses positions again. */
static void
check_short(struct walreceiver *wr)
{
	lsn_t high = delivered(wr);

	if (!wr->was_ready || wr->cut_lsn != 0 || wr->server_lsn >= high)
		return;
	log_warn("pg.timeline",
	    "the server's WAL ends at " LSN_FMT ", and " LSN_FMT
	    " was delivered: it was set back",
	    LSN_ARG(wr->server_lsn), LSN_ARG(high));
	cut(wr, wr->server_lsn);
}

/* There is no such slot: may it be made? */
static int
no_slot(struct walreceiver *wr, struct err *err)
{
	bool temporary = wr->config->temporary;

	if (wr->was_ready && !temporary)
		return vanished(wr, err);
	if (!temporary && !wr->config->create_slot)
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" does not exist; "
		    "make it with walstream create",
		    wr->config->slot);
	change_timeline(wr);
	return WR_CREATE;
}

/* Does the slot stand where we left it? */
static void
check_moved(struct walreceiver *wr)
{
	struct quorum *q = wr->quorum;

	if (wr->was_ready && wr->slot_confirmed > q->confirmed)
		err_set(&wr->broken, ERR_LOST,
		    "slot \"%s\" was moved from " LSN_FMT " to " LSN_FMT
		    " by somebody else: changes between "
		    "them were not delivered here",
		    wr->config->slot, LSN_ARG(q->confirmed),
		    LSN_ARG(wr->slot_confirmed));
	if (wr->broken.kind != ERR_NONE) {
		wr->rewind = true;
		wr->for_all = false; /* who was not in place missed nothing */
	}
}

int
walslot_done(struct walreceiver *wr, struct err *err)
{
	int next = wr->state == WR_RECHECK ? WR_TYPES : WR_READY;
	struct quorum *q = wr->quorum;

	if (!wr->found)
		return no_slot(wr, err);
	if (wr->was_ready && check_standby(wr, err) == -1)
		return -1;
	change_timeline(wr);
	if (wr->was_ready && wr->server_lsn < q->confirmed) {
		err_set(&wr->broken, ERR_LOST,
		    "the server's WAL ends at " LSN_FMT ", before " LSN_FMT
		    ", which was confirmed: it was set back",
		    LSN_ARG(wr->server_lsn), LSN_ARG(q->confirmed));
		wr->set_back = wr->rewind = true;
		wr->for_all = false;
		quorum_reset(q, wr->slot_confirmed);
		return next;
	}
	check_short(wr);
	check_moved(wr);
	/* After a crash PostgreSQL may remember less than it was told, and a
	 * standby's copy of a slot may be behind. */
	quorum_reset(q, lsn_max(q->confirmed, wr->slot_confirmed));
	return next;
}

/*
 * Nobody is attached: is the slot still there, and whose is it? Another
 * walstream's clients read it while this one stands by.
 */
int
walslot_row_watch(struct walreceiver *wr, const struct wire_row *row,
    struct err *err)
{
	bool was = wr->busy;
	char pid[16];

	if (check(wr, row, err) == -1)
		return -1;
	wire_row_text(row, PID, pid, sizeof(pid));
	wr->found = true;
	wr->busy = *pid != '\0';
	if (wr->busy && !was)
		log_info("slot.busy", "slot \"%s\" is in use by PID %s",
		    wr->config->slot, pid);
	else if (was && !wr->busy)
		log_info("slot.free", "slot \"%s\" is free", wr->config->slot);
	if (wr->busy)
		err_set(&wr->last, ERR_IO, "slot \"%s\" is in use by PID %s",
		    wr->config->slot, pid);
	return 0;
}

int
walslot_done_watch(struct walreceiver *wr, struct err *err)
{
	return wr->found ? WR_READY : vanished(wr, err);
}
