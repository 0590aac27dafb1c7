/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/cmd_priv.h"
#include "base/own.h"
#include "base/text.h"
#include "tests/unit/harness.h"

struct opts {
	bool json;
	int verbose;
	const char *device;
	uint32_t ctx;
	uint64_t margin;
	int accept;
	struct opt_list lora;
};

static const char *const accepts[] = { "gpu", "spill", "cpu", NULL };

static const struct opt rows[] = {
	{ "json", 0, OPT_FLAG, NULL, offsetof(struct opts, json), "Print JSON.", NULL, 0, 0 },
	{ "verbose", 'v', OPT_COUNT, NULL, offsetof(struct opts, verbose), "Say more.", NULL, 0,
	  0 },
	{ "device", 'd', OPT_TEXT, "SEL", offsetof(struct opts, device), "Which.", NULL, 0, 0 },
	{ "ctx", 'c', OPT_U32, "TOKENS", offsetof(struct opts, ctx), "Context.", NULL, 1, 1048576 },
	{ "margin", 0, OPT_SIZE, "SIZE", offsetof(struct opts, margin), "Leave.", NULL, 0, 0 },
	{ "accept", 0, OPT_ENUM, "HOW", offsetof(struct opts, accept), "What will do.", accepts, 0,
	  0 },
	{ "lora", 0, OPT_LIST, "FILE", offsetof(struct opts, lora), "Adapters.", NULL, 0, 0 },
};

static const struct alias aliases[] = {
	{ "-cm", "margin" }, { "-ot", "lora" }, { "--context", "ctx" }, { NULL, NULL }
};

static const struct example examples[] = { { "berth test -c 8", "Tries.\n" }, { NULL, NULL } };

static const struct cmd test_cmd = {
	.name = "test",
	.summary = "try the parser",
	.operands = "FILE",
	.description = "First.\n\nSecond 'x'.",
	.opts = rows,
	.n_opts = COUNT(rows),
	.aliases = aliases,
	.examples = examples,
};

/* stderr of the call goes to *said, stdout to nowhere. */
static enum cmd_go parse(struct opts *o, int *first, char ***argv_out, char said[512],
			 const char *line)
{
	static char words[16][64];
	static char *argv[17];
	int argc = 1;
	char copy[512], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	argv[0] = words[0];
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		snprintf(words[argc], sizeof(words[0]), "%s", w);
		argv[argc] = words[argc];
		argc++;
	}
	argv[argc] = NULL;
	*o = (struct opts) { 0 };
	FILE *err = tmpfile();
	int saved_err = dup(STDERR_FILENO), saved_out = dup(STDOUT_FILENO);

	fflush(stdout);
	dup2(fileno(err), STDERR_FILENO);
	own_file FILE *null = fopen("/dev/null", "we");

	dup2(fileno(null), STDOUT_FILENO);
	enum cmd_go go = cmd_parse(&test_cmd, argc, argv, o, first);

	fflush(stdout);
	dup2(saved_err, STDERR_FILENO);
	dup2(saved_out, STDOUT_FILENO);
	close(saved_err);
	close(saved_out);
	rewind(err);
	said[fread(said, 1, 511, err)] = '\0';
	fclose(err);
	*argv_out = argv;
	return go;
}

static void reads_every_kind(void **state)
{
	struct opts o;
	int first;
	char **argv, said[512];

	(void)state;
	assert_int_equal(
		parse(&o, &first, &argv, said,
		      "a --json -vv -d 0000:01:00.0 b --ctx=4096 --margin 1GiB --accept spill -- -c"),
		CMD_RUN);
	assert_true(o.json);
	assert_int_equal(o.verbose, 2);
	assert_string_equal(o.device, "0000:01:00.0");
	assert_int_equal(o.ctx, 4096);
	assert_int_equal(o.margin, 1 << 30);
	assert_int_equal(o.accept, 1);
	assert_string_equal(argv[first], "a");
	assert_string_equal(argv[first + 1], "b");
	assert_string_equal(argv[first + 2], "-c");
	assert_string_equal(said, "");
	assert_int_equal(parse(&o, &first, &argv, said, "-vc8"), CMD_RUN);
	assert_int_equal(o.ctx, 8);
}

static void an_alias_is_the_option(void **state)
{
	struct opts o;
	int first;
	char **argv, said[512];

	(void)state;
	assert_int_equal(parse(&o, &first, &argv, said, "-cm 1KiB -ot a -ot=b --context=7"),
			 CMD_RUN);
	assert_int_equal(o.margin, 1024);
	assert_int_equal(o.lora.n, 2);
	assert_string_equal(o.lora.v[1], "b");
	assert_int_equal(o.ctx, 7);
	/* Only the whole word is one. */
	assert_int_equal(parse(&o, &first, &argv, said, "-cmx"), CMD_USAGE);
	assert_int_equal(parse(&o, &first, &argv, said, "-cm"), CMD_USAGE);
	assert_string_equal(said,
			    "berth test: -cm needs an argument: SIZE; see 'berth test --help'\n");
}

static void a_list_grows_up_to_its_bound(void **state)
{
	static char words[OPT_LIST_MAX + 1][16];
	char *argv[OPT_LIST_MAX + 2] = { (char *)"test" };
	struct opts o = { 0 };
	int first;

	(void)state;
	for (int i = 0; i <= OPT_LIST_MAX; i++) {
		snprintf(words[i], sizeof(words[i]), "--lora=%d", i);
		argv[i + 1] = words[i];
	}
	assert_int_equal(cmd_parse(&test_cmd, OPT_LIST_MAX + 1, argv, &o, &first), CMD_RUN);
	assert_int_equal(o.lora.n, OPT_LIST_MAX);
	assert_string_equal(o.lora.v[2], "2");
	o.lora.n = 0;
	assert_int_equal(cmd_parse(&test_cmd, OPT_LIST_MAX + 2, argv, &o, &first), CMD_USAGE);
	assert_int_equal(o.lora.n, OPT_LIST_MAX);
}

static void usage_errors_are_one_sentence(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "--jsn", "berth test: there is no option --jsn; did you mean --json?; see" },
		{ "--wholly-else", "berth test: there is no option --wholly-else; see" },
		{ "-x", "berth test: there is no option -x; see" },
		{ "--json=1", "berth test: --json takes no argument; see" },
		{ "--ctx", "berth test: --ctx needs an argument: TOKENS; see" },
		{ "--ctx many", "berth test: --ctx takes a whole number, not 'many'; see" },
		{ "--ctx 0", "berth test: --ctx takes 1 to 1048576, not 0; see" },
		{ "--ctx 99999999999999999999",
		  "berth test: --ctx: 99999999999999999999 is too large; see" },
		{ "--margin 1Q",
		  "berth test: --margin takes a size such as 512MiB, not '1Q'; see" },
		{ "--accept tpu",
		  "berth test: --accept takes one of gpu, spill, cpu, not 'tpu'; see" },
		{ "--help=html",
		  "berth test: --help takes man, bash, zsh or fish, not 'html'; see" },
	};
	struct opts o;
	int first;
	char **argv, said[512];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse(&o, &first, &argv, said, cases[i].line), CMD_USAGE);
		assert_memory_equal(said, cases[i].says, strlen(cases[i].says));
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
}

static void help_and_version_are_done(void **state)
{
	struct opts o;
	int first;
	char **argv, said[512];

	(void)state;
	assert_int_equal(parse(&o, &first, &argv, said, "--help"), CMD_DONE);
	assert_int_equal(parse(&o, &first, &argv, said, "-h"), CMD_DONE);
	assert_int_equal(parse(&o, &first, &argv, said, "--version"), CMD_DONE);
	assert_int_equal(parse(&o, &first, &argv, said, "--help=fish"), CMD_DONE);
}

static void every_page_names_every_option(void **state)
{
	static const char *const pages[] = { "man", "bash", "zsh", "fish" };

	(void)state;
	for (size_t i = 0; i < COUNT(pages); i++) {
		own_free char *text = NULL;
		size_t size;
		FILE *to = open_memstream(&text, &size);

		assert_int_equal(cmd_doc(&test_cmd, pages[i], to), 0);
		fclose(to);
		for (size_t k = 0; k < COUNT(rows); k++)
			assert_non_null(strstr(text, rows[k].name));
	}
}

/* Given back to the parser the words make the same options. */
static void given_options_become_words_again(void **state)
{
	static const struct opts none = { .accept = -1, .ctx = 512 };
	static const char *const but[] = { "lora", NULL };
	struct opts o = none, again = none;
	char words[200], said[512];
	struct text t;
	char **argv;
	int first;

	(void)state;
	text_init(&t, words, sizeof(words));
	cmd_words(&t, &test_cmd, &o, &none, NULL);
	assert_string_equal(words, "");
	o = (struct opts) { .json = true,
			    .verbose = 2,
			    .device = "-x",
			    .ctx = 1,
			    .margin = 1 << 20,
			    .accept = 2,
			    .lora = { .n = 2, .v = { "a b", "it's" } } };
	cmd_words(&t, &test_cmd, &o, &none, NULL);
	assert_string_equal(words, " --json --verbose --verbose --device -x --ctx 1 --margin "
				   "1048576 --accept cpu --lora 'a b' --lora 'it'\\''s'");
	text_init(&t, words, sizeof(words));
	cmd_words(&t, &test_cmd, &o, &none, but);
	assert_int_equal(parse(&again, &first, &argv, said, words + 1), CMD_RUN);
	assert_true(again.json && again.verbose == 2 && again.ctx == 1 && again.accept == 2);
	assert_string_equal(again.device, "-x");
	assert_int_equal(again.margin, 1 << 20);
}

static void words_are_safe_in_a_shell(void **state)
{
	static const struct {
		const char *word, *quoted;
	} cases[] = {
		{ "plain-1.gguf", "plain-1.gguf" },
		{ "", "''" },
		{ "$(x)", "'$(x)'" },
		{ "a\nb", "'a\nb'" },
		{ "'", "''\\'''" },
		{ "~", "'~'" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char buf[64];
		struct text t;

		text_init(&t, buf, sizeof(buf));
		text_add_word(&t, cases[i].word);
		assert_string_equal(buf, cases[i].quoted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_kind),
		cmocka_unit_test(an_alias_is_the_option),
		cmocka_unit_test(a_list_grows_up_to_its_bound),
		cmocka_unit_test(usage_errors_are_one_sentence),
		cmocka_unit_test(help_and_version_are_done),
		cmocka_unit_test(every_page_names_every_option),
		cmocka_unit_test(given_options_become_words_again),
		cmocka_unit_test(words_are_safe_in_a_shell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
