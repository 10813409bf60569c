#include "server/walquery.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pg/replication.h"
#include "server/walslot.h"

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
	if (wr->state == WR_IDENTIFY)
		wr->was_standby = wr->pg.standby;
	return 0;
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

	if (!other && (!walslot_elsewhere(wr) || wr->ours.left_lsn != 0))
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
	    "pg_catalog.pg_postmaster_start_time() "
	    "FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'");
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
	/* Promoted on this connection: what that means, its history tells. */
	if (walslot_elsewhere(wr) && !wr->config->temporary) {
		wr->refused = true;
		return err_set(err, ERR_IO,
		    "the server was promoted meanwhile: asking it anew");
	}
	if (walslot_elsewhere(wr))
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

const struct walquery walquery[WR_STATES] = {
	[WR_IDENTIFY] = { ask_identify, row_identify, done_identify },
	[WR_HISTORY] = { ask_history, row_history, done_history },
	[WR_SETTINGS] = { ask_settings, row_settings, done_settings },
	[WR_PUBLICATION] = { ask_publication, row_publication,
	    done_publication },
	[WR_TYPES] = { ask_types, row_types, done_types },
	[WR_SLOT] = { walslot_ask, walslot_row, walslot_done },
	[WR_CREATE] = { ask_create, row_create, done_create },
	[WR_LOCATE] = { ask_identify, row_identify, done_locate },
	/* Another walstream may have had it while we waited. */
	[WR_RECHECK] = { walslot_ask, walslot_row, walslot_done },
	[WR_START] = { ask_start, NULL, done_copy },
	[WR_STREAMING] = { NULL, NULL, done_copy },
	[WR_STOPPING] = { NULL, NULL, done_copy },
	[WR_DROP] = { ask_drop, NULL, done_drop },
	[WR_ADVANCE] = { ask_advance, NULL, done_advance },
	[WR_WATCH] = { walslot_ask, walslot_row_watch, walslot_done_watch },
};
