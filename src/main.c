#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"

static const struct command commands[] = {
	{ "start", "--publication NAME --slot NAME [OPTION...]",
	    "Stream the changes of a publication to gRPC clients.", cmd_start },
	{ "check", "[--publication NAME] [--slot NAME] [OPTION...]",
	    "See whether the server is ready for start.", cmd_check },
	{ "create", "--slot NAME [OPTION...]",
	    "Make a permanent replication slot.", cmd_create },
	{ "list", "[OPTION...]", "List the server's replication slots.",
	    cmd_list },
	{ "delete", "--slot NAME [OPTION...]", "Delete a replication slot.",
	    cmd_delete },
	{ "tail", "[HOST:PORT] [OPTION...]",
	    "Connect to a walstream server and print its events.", cmd_tail },
	{ "health", "[HOST:PORT] [OPTION...]",
	    "Ask a walstream server whether it can serve.", cmd_health },
	{ "completion", "bash|zsh", "Print a completion script for a shell.",
	    cmd_completion },
	{ NULL, NULL, NULL, NULL },
};

static void
quit(int sig)
{
	_exit(128 + sig);
}

/* A process with the PID 1, as in a container, ignores a signal that it has no
 * handler for. Commands that end in a better way set their own. */
static void
obey_signals(void)
{
	if (getpid() == 1) {
		signal(SIGINT, quit);
		signal(SIGTERM, quit);
	}
}

int
main(int argc, char **argv)
{
	enum log_level level;
	struct options o;
	struct err err;

	obey_signals();
	/* No core file and no debugger gets at passwords. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (options_parse(&o, commands, argc, argv, &err) == -1)
		return cmd_fail(&err);
	if (o.value[OPT_HELP] != NULL) {
		options_help(&o, stdout);
		return EXIT_DONE;
	}
	if (o.value[OPT_VERSION] != NULL) {
		puts("walstream " VERSION);
		return EXIT_DONE;
	}
	if (log_parse_level(o.value[OPT_LOG_LEVEL], &level) == -1) {
		err_set(&err, ERR_USAGE,
		    "--log-level must be error, warn, "
		    "info or debug, not \"%.100s\"",
		    o.value[OPT_LOG_LEVEL]);
		return cmd_fail(&err);
	}
	log_set_level(level);
	return o.command->run(&o);
}
