#ifndef CLI_OUTSIDE_H
#define CLI_OUTSIDE_H

#include "pg/conninfo.h"

/* What connection settings take from outside the connection string: the
 * environment, the user, files. */
extern struct conninfo_system outside;

/* Finds out who and where we are; before `outside` is used. */
void outside_init(void);

/* Overwrites what the command line or the environment has of a secret, so that
 * nobody reads it in /proc. */
void outside_hide(const char *secret);

#endif
