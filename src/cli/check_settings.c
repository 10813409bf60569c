#include <stdlib.h>

#include "cli/check.h"
#include "pg/replication.h"

/*
 * Settings of the server that decide what happens on a bad day.
 */

/* Shorter than this, and a busy machine breaks connections. */
#define SHORT_MS 10000

int
check_sender_timeout(struct check *c, struct err *err)
{
	long ms;

	if (check_row(c,
		"SELECT setting, current_setting('wal_sender_timeout') "
		"FROM pg_settings WHERE name = 'wal_sender_timeout'",
		err) == -1)
		return -1;
	ms = atol(check_text(c, 0));
	if (ms == 0) {
		check_warn(c,
		    "off: when a machine with a walstream on it "
		    "vanishes, its slot stays in use");
		check_todo(c,
		    "ALTER SYSTEM SET wal_sender_timeout = '60s'; "
		    "SELECT pg_reload_conf()");
	} else if (ms < SHORT_MS) {
		check_warn(c,
		    "%s: a network that stalls for so long ends the "
		    "connection",
		    check_text(c, 1));
		check_todo(c,
		    "ALTER SYSTEM SET wal_sender_timeout = '60s'; "
		    "SELECT pg_reload_conf()");
	} else {
		check_ok(c, "%s", check_text(c, 1));
	}
	return 0;
}

int
check_keep_size(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT setting, current_setting('max_slot_wal_keep_size') "
		"FROM pg_settings WHERE name = 'max_slot_wal_keep_size'",
		err) == -1)
		return -1;
	if (!check_is(c, 0, "-1")) {
		check_ok(c, "%s: a slot that is further behind is invalidated",
		    check_text(c, 1));
		return 0;
	}
	check_warn(c, "no limit: a consumer that stays away fills the disk");
	check_todo(c,
	    "ALTER SYSTEM SET max_slot_wal_keep_size to what the "
	    "disk can spare: beyond it the slot is lost, and the "
	    "database lives; SELECT pg_reload_conf()");
	return 0;
}

int
check_idle_timeout(struct check *c, struct err *err)
{
	if (check_row(c,
		"SELECT setting, "
		"current_setting('idle_replication_slot_timeout') "
		"FROM pg_settings WHERE name = "
		"'idle_replication_slot_timeout'",
		err) == -1)
		return -1;
	if (check_is(c, 0, "0")) {
		check_ok(c, "off");
		return 0;
	}
	check_warn(c,
	    "%s: a slot that no client reads for so long is "
	    "invalidated",
	    check_text(c, 1));
	check_todo(c,
	    "Let it be longer than walstream, or its clients, may "
	    "be away");
	return 0;
}

/* What a standby needs to keep slots in step (PostgreSQL, "Replication Slot
 * Synchronization"). */
static int
failover_on_standby(struct check *c, struct err *err)
{
	static const char *const needs[] = { "", "hot_standby_feedback = on",
		"primary_slot_name = a physical slot of the primary",
		"a dbname in primary_conninfo" };
	const char *sep = "";
	bool missing = false;

	/* Who may not see primary_conninfo has no row of it. */
	if (check_row(c,
		"SELECT current_setting('sync_replication_slots') = 'on', "
		"current_setting('hot_standby_feedback') = 'on', "
		"current_setting('primary_slot_name') <> '', "
		"(SELECT setting ~ '\\mdbname\\s*=|^postgres(ql)?://[^/?]*/[^?]' "
		"FROM pg_settings WHERE name = 'primary_conninfo')",
		err) == -1)
		return -1;
	if (!check_true(c, 0)) {
		check_ok(c, "this standby does not keep slots in step");
		return 0;
	}
	for (int i = 1; i < 4; i++)
		missing |= check_is(c, i, "f");
	if (missing) {
		check_warn(c, "sync_replication_slots is on, to no effect yet");
		check_todo(c, "Set on this standby");
	} else if (c->col[3] != NULL) {
		check_ok(c, "slots made with --failover are kept in step");
	} else {
		check_warn(c, "this role may not see primary_conninfo");
		check_todo(c, "See that it has a dbname");
	}
	for (int i = 1; i < 4; i++) {
		if (!check_is(c, i, "f"))
			continue;
		check_todo(c, "%s %s", sep, needs[i]);
		sep = ",";
	}
	return 0;
}

/* A slot that survives: is nobody ahead of the standbys, and are those there
 * that are waited for? */
static void
failover_slot(struct check *c)
{
	if (check_is(c, 1, "")) {
		check_warn(c,
		    "clients can be ahead of the standby, and have "
		    "seen what a failover undoes");
		check_todo(c,
		    "ALTER SYSTEM SET synchronized_standby_slots = "
		    "the standby's physical slot; SELECT "
		    "pg_reload_conf()");
	} else if (c->col[3] != NULL) {
		check_fail(c,
		    "%s waits for what synchronized_standby_slots names, and "
		    "nobody reads %s",
		    c->slot, check_text(c, 3));
		check_todo(c,
		    "Start the standby, or take its slot out: ALTER SYSTEM "
		    "SET synchronized_standby_slots = ...; SELECT "
		    "pg_reload_conf()");
	} else {
		check_ok(c,
		    "%s is kept on standbys, which no client is ahead "
		    "of",
		    c->slot);
	}
}

static int
failover_on_primary(struct check *c, struct err *err)
{
	buf_put_str(&c->sql,
	    "SELECT EXISTS (SELECT FROM pg_replication_slots "
	    "WHERE slot_type = 'physical'), "
	    "current_setting('synchronized_standby_slots'), "
	    "(SELECT (to_jsonb(s)->>'failover')::bool "
	    "FROM pg_replication_slots s WHERE slot_name = ");
	repl_quote_literal(&c->sql, c->slot == NULL ? "" : c->slot);
	if (check_row(c,
		"), (SELECT string_agg(name, ', ') FROM unnest("
		"string_to_array(current_setting("
		"'synchronized_standby_slots'), ',')) x, "
		"btrim(x, E' \t\n\"') name WHERE NOT EXISTS (SELECT FROM "
		"pg_replication_slots WHERE slot_name = name AND active))",
		err) == -1)
		return -1;
	if (check_true(c, 2) && (check_true(c, 0) || !check_is(c, 1, ""))) {
		failover_slot(c);
	} else if (!check_true(c, 0)) {
		check_ok(c, "no standby has a slot here");
	} else if (check_is(c, 2, "f")) {
		check_warn(c,
		    "%s is not kept on standbys: a failover loses "
		    "it",
		    c->slot);
		check_todo(c,
		    "While nobody reads it: psql 'replication=database' -c "
		    "'ALTER_REPLICATION_SLOT %s (FAILOVER true)'",
		    c->slot);
	} else {
		check_ok(c,
		    "there are standbys: make the slot with walstream "
		    "create --failover if it is to survive");
	}
	return 0;
}

int
check_failover(struct check *c, struct err *err)
{
	return c->standby ? failover_on_standby(c, err)
			  : failover_on_primary(c, err);
}
