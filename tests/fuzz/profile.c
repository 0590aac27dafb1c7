/* SPDX-License-Identifier: MIT */
/* A profile: any bytes end in options within their bounds, or in one sentence. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "launch/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct opts {
	bool on;
	int loud;
	uint32_t ctx;
	uint64_t margin;
	int accept;
	const char *device;
	struct opt_list lora;
};

static const char *const accepts[] = { "gpu", "spill", NULL };
static const char *const barred[] = { "loud", NULL };

#define ROW(m) offsetof(struct opts, m)

static const struct opt rows[] = {
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(on) },
	{ .name = "loud", .kind = OPT_COUNT, .offset = ROW(loud) },
	{ .name = "ctx", .kind = OPT_U32, .arg = "N", .offset = ROW(ctx), .min = 1, .max = 99 },
	{ .name = "margin", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(margin) },
	{ .name = "accept",
	  .kind = OPT_ENUM,
	  .arg = "A",
	  .offset = ROW(accept),
	  .choices = accepts },
	{ .name = "device", .kind = OPT_TEXT, .arg = "SEL", .offset = ROW(device) },
	{ .name = "lora", .kind = OPT_LIST, .arg = "FILE", .offset = ROW(lora) },
};

static const struct cmd command = { .name = "x", .opts = rows, .n_opts = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct opts o = { .accept = -1 };
	struct err e = { 0 };
	char *text = malloc(size + 1);
	struct profile p = { .text = text };

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (profile_parse(&p, size, "/home/me", &command, barred, &o, &e)) {
		assert(e.text[0] && !strchr(e.text, '\n') && !strchr(e.text, '\033'));
	} else {
		assert(o.ctx <= 99 && o.accept < 2 && o.loud == 0 && o.lora.n <= OPT_LIST_MAX);
		assert(!o.device || o.device[0]);
		assert(!p.model || p.model[0]);
	}
	profile_free(&p);
	return 0;
}
