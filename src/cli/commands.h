#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "base/err.h"
#include "cli/options.h"
#include "pg/conninfo.h"

/* One function a command: does it and returns the exit status. */
int cmd_start(const struct options *o);
int cmd_check(const struct options *o);
int cmd_list(const struct options *o);
int cmd_create(const struct options *o);
int cmd_delete(const struct options *o);
int cmd_tail(const struct options *o);
int cmd_health(const struct options *o);
int cmd_completion(const struct options *o);

/* Exit status of the process. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_ASKED_WRONGLY = 2 };

/* Prints "walstream: <text>" to stderr; returns the exit status for it. */
int cmd_fail(const struct err *err);

/* Reads --connection over the environment. Returns 0, or -1 with err. */
int cmd_conninfo(struct conninfo *ci, const struct options *o, struct err *err);

#endif
