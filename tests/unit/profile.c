/* SPDX-License-Identifier: MIT */
/* Profiles: their names and places, and what a file of options may say. */
#include <stdlib.h>
#include <string.h>

#include "launch/profile.h"
#include "tests/unit/harness.h"

struct opts {
	bool swa;
	int quiet;
	uint32_t ctx;
	uint64_t margin;
	int accept;
	const char *device;
	struct opt_list lora;
};

static const char *const accepts[] = { "gpu", "spill", "cpu", NULL };
static const char *const barred[] = { "json", NULL };

#define ROW(m) offsetof(struct opts, m)

static const struct opt rows[] = {
	{ .name = "swa-full", .kind = OPT_FLAG, .offset = ROW(swa) },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(swa) },
	{ .name = "quiet", .kind = OPT_COUNT, .offset = ROW(quiet) },
	{ .name = "ctx", .kind = OPT_U32, .arg = "N", .offset = ROW(ctx), .min = 1, .max = 65536 },
	{ .name = "margin", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(margin) },
	{ .name = "accept",
	  .kind = OPT_ENUM,
	  .arg = "A",
	  .offset = ROW(accept),
	  .choices = accepts },
	{ .name = "device", .kind = OPT_TEXT, .arg = "SEL", .offset = ROW(device) },
	{ .name = "lora", .kind = OPT_LIST, .arg = "FILE", .offset = ROW(lora) },
};

static const struct cmd command = { .name = "launch", .opts = rows, .n_opts = COUNT(rows) };

static struct profile read; /* options point into it until the next */
static const char *home = "/home/me";

static int read_text(const char *text, struct opts *o, const char **model, struct err *e)
{
	static char copy[4096];

	*o = (struct opts) { .accept = -1 };
	*e = (struct err) { 0 };
	strcpy(copy, text);
	free(read.home);
	read.text = copy;
	int rc = profile_parse(&read, strlen(copy), home, &command, barred, o, e);

	*model = read.model;
	return rc;
}

static void good(void **state)
{
	struct opts o;
	struct err e;
	const char *model;

	(void)state;
	assert_int_equal(read_text("# a comment\n\n  ; another\n"
				   "model = llama3.2:3b\r\n"
				   "\tctx\t=\t32768  \n"
				   "margin=512MiB\naccept = spill\nswa-full = yes\nquiet = no\n"
				   "device = \" a=b # c \"\nlora = one.gguf\nlora = two.gguf",
				   &o, &model, &e),
			 0);
	assert_string_equal(model, "llama3.2:3b");
	assert_int_equal(o.ctx, 32768);
	assert_int_equal(o.margin, 512u << 20);
	assert_int_equal(o.accept, 1);
	assert_true(o.swa);
	assert_int_equal(o.quiet, 0);
	assert_string_equal(o.device, " a=b # c ");
	assert_int_equal(o.lora.n, 2);
	assert_string_equal(o.lora.v[1], "two.gguf");
	assert_int_equal(read_text("", &o, &model, &e), 0);
	assert_null(model);
}

static void bad(void **state)
{
	static const struct {
		const char *text, *says;
	} all[] = {
		{ "\n\nctxx = 1", "line 3: there is no option 'ctxx'; did you mean 'ctx'?" },
		{ "zork = 1", "line 1: there is no option 'zork'" },
		{ "ctx = 0", "line 1: --ctx takes 1 to 65536, not 0" },
		{ "ctx = many", "line 1: --ctx takes a whole number, not 'many'" },
		{ "margin = 3 apples", "line 1: --margin takes a size" },
		{ "accept = all", "line 1: --accept takes one of gpu, spill, cpu, not 'all'" },
		{ "swa-full = 1", "line 1: 'swa-full' is yes or no, not '1'" },
		{ "ctx = 1\nctx = 2", "line 2: 'ctx' is given twice" },
		{ "model = a\nmodel = b", "line 2: 'model' is given twice" },
		{ "json = yes", "line 1: 'json' has no place in a profile" },
		{ "[chat]\nctx = 1", "line 1: a profile has no sections" },
		{ "ctx 1", "line 1: 'ctx 1' is not of the form option = value" },
		{ "= 1", "is not of the form" },
		{ "device =", "line 1: 'device' has no value" },
		{ "device = \"\"", "line 1: 'device' has no value" },
		{ "device = \033[2J", "it is not text in UTF-8" },
		{ "device = \xff", "it is not text in UTF-8" },
	};
	struct opts o;
	struct err e;
	const char *model;

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		assert_int_equal(read_text(all[i].text, &o, &model, &e), -EBADMSG);
		if (!strstr(e.text, all[i].says))
			fail_msg("'%s', not '%s'", e.text, all[i].says);
	}
	char nul[] = "ctx = 1\0\n";

	struct profile p = { .text = nul };

	assert_int_equal(profile_parse(&p, sizeof(nul) - 1, home, &command, barred, &o, &e),
			 -EBADMSG);
	free(p.home);
}

static void at_home(void **state)
{
	struct opts o;
	struct err e;
	const char *model;

	(void)state;
	assert_int_equal(read_text("model = ~/m.gguf\nlora = ~/a=0.5\nlora = x~/b\ndevice = ~", &o,
				   &model, &e),
			 0);
	assert_string_equal(model, "/home/me/m.gguf");
	assert_string_equal(o.lora.v[0], "/home/me/a=0.5");
	assert_string_equal(o.lora.v[1], "x~/b");
	assert_string_equal(o.device, "~");
	home = NULL;
	assert_int_equal(read_text("model = ~/m.gguf", &o, &model, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "HOME is not set"));
	home = "/home/me";
	free(read.home);
	read.home = NULL;
}

static void places(void **state)
{
	char p[PROFILE_PLACES][PATH_MAX];

	(void)state;
	profile_places(p, "chat", "/x", "/home/me");
	assert_string_equal(p[0], "/x/berth/profiles.d/chat.conf");
	assert_string_equal(p[1], "/etc/berth/profiles.d/chat.conf");
	profile_places(p, "chat", "relative", "/home/me");
	assert_string_equal(p[0], "/home/me/.config/berth/profiles.d/chat.conf");
	profile_places(p, "chat", NULL, NULL);
	assert_string_equal(p[0], "");
	assert_true(profile_is_name("chat-2.5_b"));
	assert_false(profile_is_name(""));
	assert_false(profile_is_name("."));
	assert_false(profile_is_name("../chat"));
	assert_false(profile_is_name("a/b"));
	assert_false(profile_is_name("llama3.2:3b"));
	assert_false(profile_is_name("-x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(at_home),
		cmocka_unit_test(places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
