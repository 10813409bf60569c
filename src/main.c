#include <fcntl.h>
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

/* Who has closed one of the first three gets nothing there; but no socket or
 * file may take its number, and be given what is printed. */
static void
keep_standard_files(void)
{
	int unused[2];

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			continue;
		/* Not for writing: that fails, as it would have. */
		if (open("/dev/null", O_RDONLY) == -1 && pipe(unused) == 0 &&
		    unused[1] > STDERR_FILENO)
			close(unused[1]);
	}
}

static int
set_log(const struct options *o, struct err *err)
{
	enum log_format format;
	enum log_level level;

	if (log_parse_level(o->value[OPT_LOG_LEVEL], &level) == -1)
		return err_set(err, ERR_USAGE,
		    "--log-level must be error, warn, "
		    "info or debug, not \"%.100s\"",
		    o->value[OPT_LOG_LEVEL]);
	if (log_parse_format(o->value[OPT_LOG_FORMAT], &format) == -1)
		return err_set(err, ERR_USAGE,
		    "--log-format must be text or json, not \"%.100s\"",
		    o->value[OPT_LOG_FORMAT]);
	log_set_level(level);
	log_set_format(format);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct err err;

	keep_standard_files();
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
	if (set_log(&o, &err) == -1)
		return cmd_fail(&err);
	return o.command->run(&o);
}
