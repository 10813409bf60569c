#include "server/walquery.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pg/replication.h"

#define STATUS_MAX SECONDS(10)

/*
 * One function each for what is asked, for a row of the answer, and for its
 * end.
 */

static void
ask_identify(const struct walreceiver *wr, struct buf *sql)
{
	(void)wr;
	buf_put_str(sql, "IDENTIFY_SYSTEM");
}

static int
row_identify(struct walreceiver *wr, const struct wire_row *row,
    struct err *err)
{
	char id[32], timeline[16], lsn[32];
	uint32_t tli;

	wire_row_text(row, 0, id, sizeof(id));
	wire_row_text(row, 1, timeline, sizeof(timeline));
	wire_row_text(row, 2, lsn, sizeof(lsn));
	tli = (uint32_t)strtoul(timeline, NULL, 10);
	if (lsn_parse(lsn, &wr->server_lsn) == -1 || *id == '\0' || tli == 0)
		return err_set(err, ERR_PROTO,
		    "IDENTIFY_SYSTEM returned no position");
	if (*wr->system_identifier == '\0')
		memcpy(wr->system_identifier, id, sizeof(id));
	if (strcmp(wr->system_identifier, id) != 0)
		return err_set(err, ERR_LOST,
		    "this is another cluster: its "
		    "system identifier is %s, not %s. Restart walstream to "
		    "stream from it",
		    id, wr->system_identifier);
	wr->server_timeline = tli;
	return 0;
}

/* Is the server on another timeline than positions are? */
static bool
is_elsewhere(const struct walreceiver *wr)
{
	return wr->timeline != 0 && wr->server_timeline != wr->timeline;
}

static int
done_identify(struct walreceiver *wr, struct err *err)
{
	wr->server_began_lsn = 0;
	wr->ours = (struct timeline){ 0, 0 };
	if (wr->server_timeline >= wr->timeline)
		return wr->server_timeline > 1 ? WR_HISTORY : WR_SETTINGS;
	wr->refused = true;
	return err_set(err, ERR_IO,
	    "the server is on timeline %u, and positions are of timeline %u: "
	    "it is an old primary, or a standby that does not follow yet",
	    wr->server_timeline, wr->timeline);
}

static void
ask_history(const struct walreceiver *wr, struct buf *sql)
{
	buf_putf(sql, "TIMELINE_HISTORY %u", wr->server_timeline);
}

static int
row_history(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	const char *text = row->n > 1 ? row->col[1].p : NULL;
	struct timeline t;

	if (text == NULL)
		return 0;
	if (timeline_read(&t, text, row->col[1].len, wr->server_timeline,
		err) == -1)
		return -1;
	wr->server_began_lsn = t.began_lsn;
	return timeline_read(&wr->ours, text, row->col[1].len, wr->timeline,
	    err);
}

/* Two servers can call their timelines by the same number. */
static int
done_history(struct walreceiver *wr, struct err *err)
{
	bool other = wr->began_lsn != 0 && wr->ours.began_lsn != 0 &&
	    wr->began_lsn != wr->ours.began_lsn;

	if (!other && (!is_elsewhere(wr) || wr->ours.left_lsn != 0))
		return WR_SETTINGS;
	return err_set(err, ERR_LOST,
	    "the server's timeline %u does not come from timeline %u, which "
	    "positions are of: it is another branch of this cluster. Restart "
	    "walstream to stream from it",
	    wr->server_timeline, wr->timeline);
}

static void
ask_settings(const struct walreceiver *wr, struct buf *sql)
{
	(void)wr;
	buf_put_str(sql,
	    "SELECT pg_catalog.current_setting('wal_level'), "
	    "pg_catalog.current_setting('server_version_num'), setting, "
	    "pg_catalog.pg_postmaster_start_time() FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'");
}

static int
row_settings(struct walreceiver *wr, const struct wire_row *row,
    struct err *err)
{
	char wal_level[32], version[16], timeout[16];
	int64_t third;

	wire_row_text(row, 0, wal_level, sizeof(wal_level));
	wire_row_text(row, 1, version, sizeof(version));
	wire_row_text(row, 2, timeout, sizeof(timeout));
	wire_row_text(row, 3, wr->started, sizeof(wr->started));
	wr->version = atoi(version);
	if (wr->version < 140000)
		return err_set(err, ERR_CONFIG,
		    "the server's version is %d; "
		    "walstream needs PostgreSQL 14 or later",
		    wr->version);
	if (strcmp(wal_level, "logical") != 0)
		return err_set(err, ERR_CONFIG,
		    "the server has wal_level=%s; "
		    "set wal_level=logical in postgresql.conf and restart it",
		    wal_level);
	if (wr->pg.standby && wr->version < 160000) {
		wr->refused = wr->was_ready; /* it may be promoted */
		return err_set(err, wr->was_ready ? ERR_IO : ERR_CONFIG,
		    "the server is a standby of version %d; decoding from a "
		    "standby needs PostgreSQL 16 or later: connect to the "
		    "primary (target_session_attrs=primary)",
		    wr->version);
	}
	third = MS(atoll(timeout)) / 3;
	wr->status_interval_us =
	    third > 0 && third < STATUS_MAX ? third : STATUS_MAX;
	return 0;
}

static int
done_settings(struct walreceiver *wr, struct err *err)
{
	(void)err;
	(void)wr;
	return WR_PUBLICATION;
}

/* Which of them are not there? */
static void
ask_publication(const struct walreceiver *wr, struct buf *sql)
{
	const struct walreceiver_config *c = wr->config;

	buf_put_str(sql, "SELECT name FROM (VALUES ");
	for (size_t i = 0; i < c->publications; i++) {
		buf_put_str(sql, i == 0 ? "(" : ", (");
		repl_quote_literal(sql, c->publication[i]);
		buf_put_u8(sql, ')');
	}
	buf_put_str(sql,
	    ") v(name) WHERE name NOT IN "
	    "(SELECT pubname FROM pg_catalog.pg_publication)");
}

static int
row_publication(struct walreceiver *wr, const struct wire_row *row,
    struct err *err)
{
	(void)err;
	wire_row_text(row, 0, wr->missing, sizeof(wr->missing));
	wr->found = true;
	return 0;
}

static int
done_publication(struct walreceiver *wr, struct err *err)
{
	if (wr->found)
		return err_set(err, ERR_CONFIG,
		    "publication \"%s\" does not "
		    "exist in database \"%s\"; make it with CREATE PUBLICATION",
		    wr->missing, wr->config->conninfo->text[CI_DBNAME]);
	return WR_SLOT;
}

static void
ask_types(const struct walreceiver *wr, struct buf *sql)
{
	typecat_ask(&wr->publish->types, sql);
}

static int
row_types(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	return typecat_row(&wr->publish->types, row, err);
}

static int
done_types(struct walreceiver *wr, struct err *err)
{
	return typecat_done(&wr->publish->types, err) == 0 ? WR_START : -1;
}

static void
ask_slot(const struct walreceiver *wr, struct buf *sql)
{
	buf_put_str(sql,
	    "SELECT slot_type, plugin, database, "
	    "database = pg_catalog.current_database(), temporary, active_pid, "
	    "confirmed_flush_lsn, wal_status, ");
	buf_put_str(sql, wr->version < 170000 ? "false" : "synced");
	buf_put_str(sql,
	    " FROM pg_catalog.pg_replication_slots WHERE slot_name = ");
	repl_quote_literal(sql, wr->config->slot);
}

/* Is the slot that was found the kind that was asked for? */
static int
check_slot(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	const char *slot = wr->config->slot;
	char type[16], plugin[64], database[64], here[2], temporary[2];
	char pid[16], wal_status[16], synced[2];

	wire_row_text(row, 0, type, sizeof(type));
	wire_row_text(row, 1, plugin, sizeof(plugin));
	wire_row_text(row, 2, database, sizeof(database));
	wire_row_text(row, 3, here, sizeof(here));
	wire_row_text(row, 4, temporary, sizeof(temporary));
	wire_row_text(row, 5, pid, sizeof(pid));
	wire_row_text(row, 7, wal_status, sizeof(wal_status));
	wire_row_text(row, 8, synced, sizeof(synced));
	/* A slot that is in the making there is temporary, too. */
	if (wr->pg.standby && *synced == 't') {
		wr->refused = true;
		return err_set(err, ERR_IO,
		    "slot \"%s\" is the standby's copy of the primary's, to be "
		    "used once this server is promoted",
		    slot);
	}
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
	if (strcmp(wal_status, "lost") == 0)
		return err_set(err, ERR_LOST,
		    "slot \"%s\" is invalid: the "
		    "server has removed WAL it needed. Drop it (walstream "
		    "delete %s), copy the tables anew, and start again",
		    slot, slot);
	return 0;
}

static int
row_slot(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	char lsn[32];

	if (check_slot(wr, row, err) == -1)
		return -1;
	wire_row_text(row, 6, lsn, sizeof(lsn));
	if (lsn_parse(lsn, &wr->slot_confirmed) == -1)
		return err_set(err, ERR_CONFIG,
		    "slot \"%s\" is still being "
		    "created, or has no position",
		    wr->config->slot);
	wr->found = true;
	return 0;
}

static int
slot_vanished(struct walreceiver *wr, struct err *err)
{
	const char *slot = wr->config->slot;
	lsn_t confirmed = wr->quorum->confirmed;

	if (wr->pg.standby && *wr->promotable == '\0') {
		wr->refused = true;
		return err_set(err, ERR_IO,
		    "slot \"%s\" is not on this server, a standby", slot);
	}
	if (is_elsewhere(wr))
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
		(wr->found && wr->slot_confirmed > wr->ours.left_lsn));
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
	wr->cut_lsn = wr->ours.left_lsn;
	wr->received = lsn_min(wr->received, wr->cut_lsn);
	wr->publish->complete_lsn =
	    lsn_min(wr->publish->complete_lsn, wr->cut_lsn);
	wr->rewind = true;
	if (q->confirmed > wr->cut_lsn)
		quorum_reset(q, wr->cut_lsn);
}

/* A standby has to have what was delivered: if it were promoted without it,
 * nobody would notice. */
static int
check_standby(struct walreceiver *wr, struct err *err)
{
	lsn_t high = lsn_max(quorum_high(wr->quorum),
	    wr->publish->ring->last.commit_lsn);

	if (!wr->pg.standby || wr->server_lsn >= high)
		return 0;
	wr->refused = true;
	return err_set(err, ERR_IO,
	    "the standby has WAL up to " LSN_FMT ", and " LSN_FMT
	    " was delivered: it lags",
	    LSN_ARG(wr->server_lsn), LSN_ARG(high));
}

/* There is no such slot: may it be made? */
static int
done_no_slot(struct walreceiver *wr, struct err *err)
{
	bool temporary = wr->config->temporary;

	if (wr->was_ready && !temporary)
		return slot_vanished(wr, err);
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

static int
done_slot(struct walreceiver *wr, struct err *err)
{
	int next = wr->state == WR_RECHECK ? WR_TYPES : WR_READY;
	struct quorum *q = wr->quorum;

	if (!wr->found)
		return done_no_slot(wr, err);
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
	check_moved(wr);
	/* After a crash PostgreSQL may remember less than it was told, and a
	 * standby's copy of a slot may be behind. */
	quorum_reset(q, lsn_max(q->confirmed, wr->slot_confirmed));
	return next;
}

static void
ask_create(const struct walreceiver *wr, struct buf *sql)
{
	repl_create_slot(sql, wr->config->slot, wr->config->temporary, false,
	    wr->version);
}

static int
row_create(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	char lsn[32];

	wire_row_text(row, 1, lsn, sizeof(lsn));
	if (lsn_parse(lsn, &wr->slot_confirmed) == -1)
		return err_set(err, ERR_PROTO,
		    "CREATE_REPLICATION_SLOT returned no position");
	return 0;
}

static int
done_create(struct walreceiver *wr, struct err *err)
{
	(void)err;
	log_info("slot.created", "created %s slot \"%s\" at " LSN_FMT,
	    wr->config->temporary ? "temporary" : "permanent", wr->config->slot,
	    LSN_ARG(wr->slot_confirmed));
	quorum_reset(wr->quorum, wr->slot_confirmed);
	return WR_READY;
}

/* A temporary slot streams from now on. */
static int
done_locate(struct walreceiver *wr, struct err *err)
{
	struct quorum *q = wr->quorum;

	if (typecat_forget(&wr->publish->types) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	/* On the same connection: a standby that had all there was. */
	if (is_elsewhere(wr))
		wr->began_lsn = wr->server_began_lsn = 0;
	wr->timeline = wr->server_timeline;
	if (wr->config->temporary)
		quorum_reset(q, lsn_max(q->confirmed, wr->server_lsn));
	return wr->config->temporary ? WR_TYPES : WR_RECHECK;
}

static void
ask_start(const struct walreceiver *wr, struct buf *sql)
{
	const struct walreceiver_config *c = wr->config;

	repl_start(sql, c->slot, wr->quorum->confirmed, c->publication,
	    c->publications, c->messages);
}

/*
 * START_REPLICATION and the COPY after it have been ended by both sides. The
 * walsender does not forget that (StartLogicalReplication leaves
 * streamingDoneSending set): the next COPY needs a connection of its own.
 */
static int
done_copy(struct walreceiver *wr, struct err *err)
{
	(void)err;
	log_info("replication.stopped",
	    "replication stopped, confirmed " LSN_FMT, LSN_ARG(wr->reported));
	return wr->config->temporary && !wr->closing ? WR_DROP : WR_OFFLINE;
}

static void
ask_drop(const struct walreceiver *wr, struct buf *sql)
{
	repl_drop_slot(sql, wr->config->slot);
}

static int
done_drop(struct walreceiver *wr, struct err *err)
{
	(void)wr;
	(void)err;
	return WR_OFFLINE;
}

static void
ask_advance(const struct walreceiver *wr, struct buf *sql)
{
	buf_put_str(sql, "SELECT pg_catalog.pg_replication_slot_advance(");
	repl_quote_literal(sql, wr->config->slot);
	buf_put_str(sql,
	    ", CASE WHEN pg_catalog.pg_is_in_recovery() "
	    "THEN pg_catalog.pg_last_wal_replay_lsn() "
	    "ELSE pg_catalog.pg_current_wal_lsn() END)");
}

static int
done_advance(struct walreceiver *wr, struct err *err)
{
	(void)wr;
	(void)err;
	return WR_READY;
}

/*
 * Nobody is attached: is the slot still there, and whose is it? Another
 * walstream's clients read it while this one stands by.
 */
static int
row_watch(struct walreceiver *wr, const struct wire_row *row, struct err *err)
{
	bool was = wr->busy;
	char pid[16];

	if (check_slot(wr, row, err) == -1)
		return -1;
	wire_row_text(row, 5, pid, sizeof(pid));
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

static int
done_watch(struct walreceiver *wr, struct err *err)
{
	return wr->found ? WR_READY : slot_vanished(wr, err);
}

const struct walquery walquery[WR_STATES] = {
	[WR_IDENTIFY] = { ask_identify, row_identify, done_identify },
	[WR_HISTORY] = { ask_history, row_history, done_history },
	[WR_SETTINGS] = { ask_settings, row_settings, done_settings },
	[WR_PUBLICATION] = { ask_publication, row_publication,
	    done_publication },
	[WR_TYPES] = { ask_types, row_types, done_types },
	[WR_SLOT] = { ask_slot, row_slot, done_slot },
	[WR_CREATE] = { ask_create, row_create, done_create },
	[WR_LOCATE] = { ask_identify, row_identify, done_locate },
	/* Another walstream may have had it while we waited. */
	[WR_RECHECK] = { ask_slot, row_slot, done_slot },
	[WR_START] = { ask_start, NULL, done_copy },
	[WR_STREAMING] = { NULL, NULL, done_copy },
	[WR_STOPPING] = { NULL, NULL, done_copy },
	[WR_DROP] = { ask_drop, NULL, done_drop },
	[WR_ADVANCE] = { ask_advance, NULL, done_advance },
	[WR_WATCH] = { ask_slot, row_watch, done_watch },
};
