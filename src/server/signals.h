#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <signal.h>

/* What signals ask for: how many to stop have come; whether to read anew and
 * to tell the state, which whoever does it resets. */
extern volatile sig_atomic_t signals_stop, signals_reload, signals_dump;

/* Those that end other programs and not this one: to write to a peer or a
 * reader of the log that is gone, or to a log that may not grow, is an error
 * and no more. */
void signals_ignore(void);
/* Catches SIGTERM, SIGINT, SIGHUP and SIGUSR1, in ppoll with this mask only, so
 * that none is missed. */
void signals_catch(sigset_t *during_poll);

#endif
