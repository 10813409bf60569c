#ifndef PG_CONNINFO_CHECK_H
#define PG_CONNINFO_CHECK_H

#include "pg/conninfo.h"

/*
 * The second half of conninfo_parse: with every text in place, fills value[],
 * host[] and auth_allowed, and refuses what makes no sense or is not
 * supported. Returns 0, or -1 with ERR_USAGE, ERR_IO or ERR_NOMEM.
 */
int conninfo_check(struct conninfo *ci, struct err *err);

/* Puts a copy of value in the place of *m, which is wiped. Returns 0, or -1
 * with ERR_NOMEM. */
int conninfo_put(char **m, const char *value, struct err *err);
/* Wipes and frees *m. */
void conninfo_drop(char **m);

#endif
