#include <stdio.h>

#include "cli/check.h"
#include "pg/replication.h"

/*
 * The slot, and what others cost.
 */

/* Where the WAL ends, and what a slot keeps of it. */
#define END_LSN                                                        \
	"CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() " \
	"ELSE pg_current_wal_lsn() END"
#define HELD "pg_wal_lsn_diff(" END_LSN ", restart_lsn)"

enum {
	TYPE,
	PLUGIN,
	DATABASE,
	HERE,
	TEMPORARY,
	PID,
	STATUS,
	REASON,
	SYNCED,
	KEEPS,
	UNCONFIRMED,
	LEFT,
	CONFIRMED,
	TWO_PHASE,
	FAILOVER,
};

static int
ask_slot(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "SELECT slot_type, plugin, database, database = current_database(),"
	    " temporary, active_pid, wal_status, "
	    "coalesce(to_jsonb(s)->>'invalidation_reason', "
	    "to_jsonb(s)->>'conflicting'), "
	    "pg_is_in_recovery() AND to_jsonb(s)->>'synced' = 'true', "
	    "pg_size_pretty(" HELD "), "
	    "pg_size_pretty(pg_wal_lsn_diff(" END_LSN ", confirmed_flush_lsn))"
	    ", pg_size_pretty(safe_wal_size), confirmed_flush_lsn, two_phase, "
	    "to_jsonb(s)->>'failover' "
	    "FROM pg_replication_slots s WHERE slot_name = ");
	repl_quote_literal(&c->sql, c->slot);
	return check_row(c, "", err);
}

static bool
is_invalid(const struct check *c)
{
	return check_is(c, STATUS, "lost") ||
	    (c->col[REASON] != NULL && !check_is(c, REASON, "false"));
}

/* Is it the kind that walstream reads? */
static bool
is_fit(struct check *c)
{
	const char *slot = c->slot;

	if (!check_is(c, TYPE, "logical"))
		check_fail(c, "%s is a %s slot", slot, check_text(c, TYPE));
	else if (!check_is(c, PLUGIN, "pgoutput"))
		check_fail(c, "%s uses the output plugin %s", slot,
		    check_text(c, PLUGIN));
	else if (!check_true(c, HERE))
		check_fail(c, "%s belongs to database %s", slot,
		    check_text(c, DATABASE));
	else if (check_true(c, TEMPORARY))
		check_fail(c,
		    "%s is a temporary slot of the session with PID "
		    "%s",
		    slot, check_text(c, PID));
	else if (check_true(c, TWO_PHASE))
		check_fail(c,
		    "%s was made with two_phase, and sends what walstream "
		    "does not read",
		    slot);
	else if (c->col[CONFIRMED] == NULL && !is_invalid(c))
		check_fail(c,
		    "%s has no position: it is still being made, and waits "
		    "for open transactions",
		    slot);
	else
		return true;
	check_todo(c, "Choose another name");
	return false;
}

static void
invalid(struct check *c)
{
	bool named = !check_is(c, REASON, "") && !check_is(c, REASON, "true");

	check_fail(c, "%s is invalid%s%s: changes are lost", c->slot,
	    named ? ", " : "", named ? check_text(c, REASON) : "");
	check_todo(c,
	    "walstream delete %s, copy the tables anew, and start "
	    "again",
	    c->slot);
}

static void
describe(struct check *c)
{
	char what[256];

	snprintf(what, sizeof(what),
	    "holds back %.40s of WAL (%.20s), %.40s is not confirmed",
	    check_text(c, KEEPS), check_text(c, STATUS),
	    check_text(c, UNCONFIRMED));
	if (check_is(c, STATUS, "unreserved")) {
		check_warn(c,
		    "%s %s, and will be invalidated at the next "
		    "checkpoint",
		    c->slot, what);
		check_todo(c,
		    "Let its clients catch up now, or raise "
		    "max_slot_wal_keep_size");
	} else if (check_is(c, STATUS, "extended")) {
		check_warn(c, "%s %s: more than max_wal_size", c->slot, what);
		check_todo(c,
		    "See which client does not acknowledge "
		    "(session.unacked in walstream's log)");
	} else if (!check_is(c, PID, "")) {
		check_ok(c,
		    "%s %s; PID %s reads it: another walstream waits "
		    "for it",
		    c->slot, what, check_text(c, PID));
	} else {
		check_ok(c, "%s, a permanent slot%s, %s%s%s", c->slot,
		    check_is(c, FAILOVER, "true") ? " with failover" : "", what,
		    c->col[LEFT] == NULL ? "" : "; room for ",
		    check_text(c, LEFT));
	}
}

/* None is there yet. A standby makes one with the primary's help. */
static void
missing(struct check *c)
{
	check_ok(c,
	    "%s does not exist: start makes it, a permanent one with "
	    "--temporary false",
	    c->slot);
	if (c->standby)
		report_text(c->report,
		    ", once the primary has run SELECT "
		    "pg_log_standby_snapshot()");
}

int
check_slot(struct check *c, struct err *err)
{
	int got;

	if (c->slot == NULL) {
		check_ok(c, "none was named (--slot)");
		return 0;
	}
	if ((got = ask_slot(c, err)) == -1)
		return -1;
	if (got == 0)
		missing(c);
	else if (!is_fit(c))
		return 0;
	else if (is_invalid(c))
		invalid(c);
	else if (check_true(c, SYNCED)) {
		check_fail(c,
		    "%s is kept in step with the primary's, and "
		    "cannot be read here",
		    c->slot);
		check_todo(c,
		    "Connect to the primary; after a promotion it "
		    "can");
	} else
		describe(c);
	return 0;
}

/* Whoever forgets a slot fills the disk that this one's WAL is on, too. Less
 * than a segment costs nothing, and the slots that a standby keeps in step are
 * read by nobody. */
int
check_other_slots(struct check *c, struct err *err)
{
	bool none = true;
	int got;

	buf_put_str(&c->sql,
	    "SELECT quote_ident(slot_name), pg_size_pretty(" HELD "), "
	    "slot_type FROM pg_replication_slots s WHERE NOT active AND " HELD
	    " > pg_size_bytes(current_setting('wal_segment_size')) "
	    "AND wal_status <> 'lost' AND NOT (pg_is_in_recovery() AND "
	    "coalesce((to_jsonb(s)->>'synced')::bool, false)) "
	    "AND slot_name <> ");
	repl_quote_literal(&c->sql, c->slot == NULL ? "" : c->slot);
	if (check_ask(c, " ORDER BY " HELD " DESC LIMIT 10", err) == -1)
		return -1;
	while ((got = check_next(c, err)) == 1) {
		none = false;
		check_warn(c,
		    "the %s slot %s, which nobody reads, holds back "
		    "%s of WAL",
		    check_text(c, 2), check_text(c, 0), check_text(c, 1));
		check_todo(c, "Delete it if nobody will: walstream delete %s",
		    check_text(c, 0));
	}
	if (got == 0 && none)
		check_ok(c, "no idle slot holds WAL back");
	return got;
}
