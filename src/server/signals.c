#include "server/signals.h"

#include <stddef.h>

volatile sig_atomic_t signals_stop, signals_reload, signals_dump;

static void
on_signal(int sig)
{
	if (sig == SIGHUP)
		signals_reload = 1;
	else if (sig == SIGUSR1)
		signals_dump = 1;
	else
		signals_stop++;
}

void
signals_ignore(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGXFSZ, &sa, NULL);
}

void
signals_catch(sigset_t *during_poll)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t caught;

	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&caught);
	sigaddset(&caught, SIGTERM);
	sigaddset(&caught, SIGINT);
	sigaddset(&caught, SIGHUP);
	sigaddset(&caught, SIGUSR1);
	sigprocmask(SIG_BLOCK, &caught, during_poll);
	/* Whoever started us may have blocked them. */
	sigdelset(during_poll, SIGTERM);
	sigdelset(during_poll, SIGINT);
	sigdelset(during_poll, SIGHUP);
	sigdelset(during_poll, SIGUSR1);
}
