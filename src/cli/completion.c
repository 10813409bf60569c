#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

/*
 * walstream completion: scripts in which shells look up what may come next,
 * made from the tables of commands and options.
 */

static bool
has_choices(const struct option *opt)
{
	return opt->arg != NULL && strchr(opt->arg, '|') != NULL;
}

/* "this|that" as words. */
static void
put_choices(const struct option *opt)
{
	for (const char *p = opt->arg; *p != '\0'; p++)
		putchar(*p == '|' ? ' ' : *p);
}

/* The patterns of an option's name behind the command it belongs to. */
static void
put_patterns(const struct option *opt)
{
	const char *command = opt->command == NULL ? "*" : opt->command;

	printf("\t%s:--%s", command, opt->name);
	if (opt->letter != 0)
		printf(" | %s:-%c", command, opt->letter);
	puts(")");
}

/* What may follow an option that takes a value. */
static void
bash_values(const struct command *c)
{
	const struct option *opt = NULL;

	while ((opt = options_next(c, opt)) != NULL) {
		if (opt->arg == NULL || (c != NULL && opt->command == NULL))
			continue;
		put_patterns(opt);
		fputs("\t\twords='", stdout);
		if (has_choices(opt))
			put_choices(opt);
		puts("' ;;");
	}
}

static void
bash_words(const struct command *c)
{
	const struct option *opt = NULL;

	while ((opt = options_next(c, opt)) != NULL) {
		if (opt->position != 0 && has_choices(opt))
			put_choices(opt);
		else
			printf("--%s", opt->name);
		putchar(' ');
	}
}

/* The words of the whole program that a value follows. */
static void
bash_skip(void)
{
	const struct option *opt = NULL;
	const char *bar = "";

	while ((opt = options_next(NULL, opt)) != NULL) {
		if (opt->arg == NULL)
			continue;
		printf("%s--%s", bar, opt->name);
		bar = " | ";
		if (opt->letter != 0)
			printf("%s-%c", bar, opt->letter);
	}
}

static void
bash(const struct command *commands)
{
	const struct command *c;

	puts("# bash completion for walstream:"
	     " source <(walstream completion bash)\n"
	     "_walstream()\n"
	     "{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]}"
	     " prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	     "\tlocal command='' words i\n\n"
	     "\t# --option=value comes as three words\n"
	     "\tif [[ $cur == = ]]; then\n"
	     "\t\tcur=''\n"
	     "\telif [[ $prev == = ]]; then\n"
	     "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	     "\tfi\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in");
	fputs("\t\t", stdout);
	bash_skip();
	puts(")\n"
	     "\t\t\t[[ ${COMP_WORDS[i+1]} != = ]] || ((i++))\n"
	     "\t\t\t((i++)) ;;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*)\tcommand=${COMP_WORDS[i]}\n"
	     "\t\t\tbreak ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase $command:$prev in");
	bash_values(NULL);
	for (c = commands; c->name != NULL; c++)
		bash_values(c);
	for (c = commands; c->name != NULL; c++) {
		printf("\t%s:*)\n\t\twords='", c->name);
		bash_words(c);
		puts("' ;;");
	}
	fputs("\t:*)\n\t\twords='", stdout);
	for (c = commands; c->name != NULL; c++)
		printf("%s ", c->name);
	bash_words(NULL);
	puts("' ;;\n"
	     "\t*)\twords='' ;;\n"
	     "\tesac\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	     "}\n"
	     "complete -F _walstream walstream");
}

/* Text in a single-quoted word, inside brackets. */
static void
zsh_text(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			fputs("'\\'", stdout);
		else if (strchr("[]\\:", *s) != NULL)
			putchar('\\');
		putchar(*s);
	}
}

/* One argument of _arguments. */
static void
zsh_option(const struct option *opt)
{
	bool many = opt->kind == REPEATED || opt->kind == AT_LEAST_ONE;

	if (opt->letter != 0)
		printf("\t\t'(-%c --%s)'{-%c+,--%s=}'[", opt->letter, opt->name,
		    opt->letter, opt->name);
	else
		printf("\t\t'%s--%s%s[", many ? "*" : "", opt->name,
		    opt->arg == NULL ? "" : "=");
	zsh_text(opt->help);
	putchar(']');
	if (opt->arg != NULL) {
		putchar(':');
		zsh_text(has_choices(opt) ? opt->name : opt->arg);
		putchar(':');
		if (has_choices(opt)) {
			putchar('(');
			put_choices(opt);
			putchar(')');
		}
	}
	puts("' \\");
}

static void
zsh_command(const struct command *c)
{
	const struct option *opt = NULL;

	printf("\t%s)\n\t\t_arguments -s \\\n", c->name);
	while ((opt = options_next(c, opt)) != NULL) {
		if (opt->position != 0 && has_choices(opt)) {
			printf("\t\t':%s:(", opt->name);
			put_choices(opt);
			puts(")' \\");
		} else {
			zsh_option(opt);
		}
	}
	puts("\t\t&& return ;;");
}

static void
zsh(const struct command *commands)
{
	const struct option *opt = NULL;
	const struct command *c;

	puts("#compdef walstream\n"
	     "# zsh completion for walstream, for a directory of $fpath, or:\n"
	     "# source <(walstream completion zsh)\n"
	     "_walstream()\n"
	     "{\n"
	     "\tlocal curcontext=$curcontext state line\n"
	     "\tlocal -a commands\n\n"
	     "\tcommands=(");
	for (c = commands; c->name != NULL; c++) {
		printf("\t\t'%s:", c->name);
		zsh_text(c->summary);
		puts("'");
	}
	puts("\t)\n"
	     "\t_arguments -C -s \\");
	while ((opt = options_next(NULL, opt)) != NULL)
		zsh_option(opt);
	puts("\t\t'1:command:->command' '*::argument:->argument' && return\n"
	     "\t[[ $state != command ]] ||"
	     " { _describe command commands; return }\n"
	     "\tcase $words[1] in");
	for (c = commands; c->name != NULL; c++)
		zsh_command(c);
	puts("\tesac\n"
	     "}\n"
	     "if [[ $funcstack[1] == _walstream ]]; then\n"
	     "\t_walstream \"$@\"\n"
	     "else\n"
	     "\tcompdef _walstream walstream\n"
	     "fi");
}

int
cmd_completion(const struct options *o)
{
	const char *shell = o->value[OPT_SHELL];
	struct err err;

	if (strcmp(shell, "bash") == 0) {
		bash(o->commands);
	} else if (strcmp(shell, "zsh") == 0) {
		zsh(o->commands);
	} else {
		err_set(&err, ERR_USAGE,
		    "there is completion for bash and zsh, not for \"%.100s\"",
		    shell);
		return cmd_fail(&err);
	}
	return EXIT_DONE;
}
