/* SPDX-License-Identifier: MIT */
/*
 * The front: a table of commands that become programs in libexec/berth. It links no foreign library,
 * so that one command's dependencies are never another's.
 */
#include <dirent.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/self.h"
#include "base/cmd_priv.h"
#include "base/own.h"

#define PATH_SIZE 1024

struct front {
	char root[PATH_SIZE]; /* the folder that holds bin/ and libexec/ */
};

struct command {
	const char *name;
	const char *operands;
	const char *summary;
	/* NULL: a program in libexec/berth */
	int (*run)(const struct front *f, int argc, char **argv);
};

static int run_help(const struct front *f, int argc, char **argv);
static int run_schema(const struct front *f, int argc, char **argv);
static int run_completion(const struct front *f, int argc, char **argv);

static const struct command commands[] = {
	{ "probe", "", "show the GPUs of this machine and how they are attached", NULL },
	{ "plan", "MODEL.gguf", "tell whether a model fits, and where it would go", NULL },
	{ "pull", "URL", "fetch a model, going on where an earlier try ended", NULL },
	{ "launch", "MODEL|PROFILE", "run a model exactly as planned, and prove the placement",
	  NULL },
	{ "ps", "", "list the runs that serve, and how they do", NULL },
	{ "stop", "NAME...", "end runs, and wait until they have ended", NULL },
	{ "restart", "NAME", "plan and start a run again as it was first asked for", NULL },
	{ "logs", "NAME", "show what a run and its engine said", NULL },
	{ "unit", "PROFILE", "write the systemd unit of a profile", NULL },
	{ "doctor", "[link|bar DEV]", "tell what is wrong with the GPUs here, and what helps",
	  NULL },
	{ "device", "VERB [DEV...]", "manage the hardware: every change kept in a journal, to undo",
	  NULL },
	{ "bridge", "VERB [DEV]", "give a GPU to a virtual machine", NULL },
	{ "top", "", "watch devices and runs: memory, tokens per second, power", NULL },
	{ "schema", "[NAME]", "print the JSON Schema of an answer", run_schema },
	{ "completion", "bash|zsh|fish", "print shell completions", run_completion },
	{ "help", "[COMMAND]", "show help on berth or on a command", run_help },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[N_COMMANDS];

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	const char *near = cmd_nearest(name, names, N_COMMANDS);

	fprintf(stderr, "berth: there is no command '%s'", name);
	if (near)
		fprintf(stderr, "; did you mean '%s'?", near);
	fprintf(stderr, "%s\n", near ? "" : "; see 'berth --help'");
	return EXIT_USAGE;
}

/* argv[0] becomes the program's path; does not return when the program could be started. */
static int exec_program(const struct front *f, const char *name, char **argv)
{
	char path[PATH_SIZE + 64];

	snprintf(path, sizeof(path), "%s/libexec/berth/%s", f->root, name);
	argv[0] = path;
	execv(path, argv);
	fprintf(stderr,
		"berth: cannot start %s: %s; 'make' says which library it was built without\n",
		path, strerror(errno));
	return EXIT_ENV;
}

static void usage(FILE *to)
{
	fputs("usage: berth COMMAND [OPTION...] [OPERAND...]\n\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-11s %-14s %s\n", commands[i].name, commands[i].operands,
			commands[i].summary);
	fputs("\n'berth COMMAND --help' tells what a command does. Answers also come as JSON (--json).\n"
	      "Exit status: 0 yes, 1 no, 2 usage, 3 cannot tell, 4 bad input, 5 the environment refuses,\n"
	      "6 device lost, 7 placed elsewhere than planned, 8 the engine failed, 10 warnings only.\n",
	      to);
}

static void man_page(void)
{
	printf(".TH BERTH 1 \"\" \"berth %s\" \"berth manual\"\n.SH NAME\nberth \\- GPUs, models that fit "
	       "them, and runs that stay where they were planned\n.SH SYNOPSIS\n.B berth\n\\fICOMMAND\\fR "
	       "[\\fIOPTION\\fR...] [\\fIOPERAND\\fR...]\n.SH COMMANDS\n",
	       berth_version);
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf(".TP\n.B %s %s\n%s\n", commands[i].name, commands[i].operands,
		       commands[i].summary);
	fputs(".SH FILES\n.TP\n.I $BERTH_RUNTIME_DIR, $XDG_RUNTIME_DIR/berth, /run/berth\nTelemetry pages of "
	      "runs and bridges; the first that is set is written, all three are read.\n.SH SEE ALSO\n",
	      stdout);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!commands[i].run)
			printf(".BR berth\\-%s (1)\n", commands[i].name);
}

static int run_help(const struct front *f, int argc, char **argv)
{
	static char option[] = "--help";

	if (argc < 2) {
		usage(stdout);
		return EXIT_YES;
	}
	const struct command *c = find_command(argv[1]);

	if (!c)
		return unknown_command(argv[1]);
	if (c->run) {
		printf("usage: berth %s %s\n\n%s\n", c->name, c->operands, c->summary);
		return EXIT_YES;
	}
	return exec_program(f, c->name, (char *[]) { NULL, option, NULL });
}

static int is_schema(const struct dirent *de)
{
	const char *dot = strrchr(de->d_name, '.');

	return dot && strcmp(dot, ".json") == 0;
}

static int list_schemas(const char *dir)
{
	struct dirent **found;
	int n = scandir(dir, &found, is_schema, alphasort);

	if (n < 0) {
		fprintf(stderr, "berth schema: cannot open %s: %s\n", dir, strerror(errno));
		return EXIT_ENV;
	}
	for (int i = 0; i < n; i++) {
		printf("%.*s\n", (int)(strlen(found[i]->d_name) - strlen(".json")),
		       found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return EXIT_YES;
}

static int run_schema(const struct front *f, int argc, char **argv)
{
	char path[PATH_SIZE + 128], buf[4096];
	size_t n;

	snprintf(path, sizeof(path), "%s/share/berth/schema", f->root);
	if (argc < 2)
		return list_schemas(path);
	if (strchr(argv[1], '/') || strlen(argv[1]) > 64) {
		fprintf(stderr, "berth schema: give one of the names that 'berth schema' lists\n");
		return EXIT_USAGE;
	}
	snprintf(path, sizeof(path), "%s/share/berth/schema/%s.json", f->root, argv[1]);
	own_file FILE *in = fopen(path, "re");

	if (!in) {
		fprintf(stderr,
			"berth schema: there is no schema '%s'; 'berth schema' lists them\n",
			argv[1]);
		return EXIT_NO;
	}
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		fwrite(buf, 1, n, stdout);
	return EXIT_YES;
}

/* --- completion: ours, then what each program says of itself --- */

static const struct shell {
	const char *name;
	const char *head, *tail; /* around the names of the commands */
} shells[] = {
	{ "bash",
	  "_berth() {\n\tlocal i cmd=\n\tfor ((i = 1; i < COMP_CWORD; i++)); do cmd=${COMP_WORDS[i]}; break; done\n"
	  "\tif [ -n \"$cmd\" ]; then\n"
	  "\t\tif declare -F \"_berth_$cmd\" >/dev/null; then \"_berth_$cmd\"; fi\n\t\treturn\n\tfi\n"
	  "\tCOMPREPLY=($(compgen -W \"",
	  "\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -F _berth berth\n" },
	{ "zsh",
	  "#compdef berth\n_berth() {\n\tif (( CURRENT > 2 )); then\n\t\tlocal cmd=$words[2]\n\t\tshift words\n"
	  "\t\t(( CURRENT-- ))\n\t\t(( $+functions[_berth_$cmd] )) && _berth_$cmd\n\t\treturn\n\tfi\n"
	  "\tcompadd ",
	  "\n}\n" },
	{ "fish", "complete -c berth -f -n __fish_use_subcommand -a '", "'\n" },
};

/* Let a program print its own part. What is not installed is left out. */
static void program_completion(const struct front *f, const char *name, const char *shell)
{
	char path[PATH_SIZE + 64], option[32];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/libexec/berth/%s", f->root, name);
	snprintf(option, sizeof(option), "--help=%s", shell);
	if (access(path, X_OK) < 0)
		return;
	char *argv[] = { path, option, NULL };

	if (posix_spawn(&pid, path, NULL, NULL, argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

static int run_completion(const struct front *f, int argc, char **argv)
{
	const struct shell *s = NULL;

	for (size_t i = 0; argc == 2 && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (strcmp(shells[i].name, argv[1]) == 0)
			s = &shells[i];
	if (!s) {
		fprintf(stderr, "berth completion: give bash, zsh or fish\n");
		return EXIT_USAGE;
	}
	fputs(s->head, stdout);
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("%s%s", i ? " " : "", commands[i].name);
	fputs(s->tail, stdout);
	fflush(stdout);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!commands[i].run)
			program_completion(f, commands[i].name, s->name);
	if (strcmp(s->name, "zsh") == 0)
		fputs("_berth \"$@\"\n", stdout);
	return EXIT_YES;
}

/* What all commands of the front have in common: --help, one word at most, and a full disk. */
static int run_ours(const struct front *f, const struct command *c, int argc, char **argv)
{
	bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);

	if (argc > 2) {
		fprintf(stderr, "berth %s: '%s' is one word too many; see 'berth %s --help'\n",
			c->name, argv[2], c->name);
		return EXIT_USAGE;
	}
	int rc = help ? run_help(f, 2, (char *[]) { NULL, argv[0], NULL }) : c->run(f, argc, argv);

	if (fflush(stdout) == 0 && !ferror(stdout))
		return rc;
	fprintf(stderr, "berth %s: cannot write to standard output\n", c->name);
	return EXIT_ENV;
}

int main(int argc, char **argv)
{
	struct front f;
	struct err e = { 0 };

	if (self_path(f.root, sizeof(f.root), "", &e)) {
		fprintf(stderr, "berth: %s\n", e.text);
		return EXIT_ENV;
	}
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return EXIT_YES;
	}
	if (strcmp(argv[1], "--help=man") == 0) {
		man_page();
		return EXIT_YES;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("berth %s\n", berth_version);
		return EXIT_YES;
	}
	const struct command *c = find_command(argv[1]);

	if (!c)
		return unknown_command(argv[1]);
	return c->run ? run_ours(&f, c, argc - 1, argv + 1) : exec_program(&f, c->name, argv + 1);
}
