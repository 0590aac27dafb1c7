/* SPDX-License-Identifier: MIT */
/* A telemetry page is hostile: whatever passes the check must be safe to judge, show and print. */
#include <stdlib.h>
#include <string.h>

#include "base/telem.h"
#include "tui/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What is printed is sound text without commands to the terminal. */
static void look(const struct snapshot *s, uint32_t cols, bool utf8)
{
	char row[4 * VIEW_COLS_MAX + 1];
	struct view v;

	view_init(&v, cols, utf8);
	view_make(&v, &(struct frame) { .snap = s });
	for (uint32_t i = 0; i < v.n_rows; i++)
		for (const char *c = view_text(&v, i, row); *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f || (!utf8 && *c & 0x80))
				abort();
	view_fini(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct run_seen *r = &s->runs[0];
	char *json;
	json_t *o;

	memcpy(&r->page, bytes, size < sizeof(r->page) ? size : sizeof(r->page));
	r->rc = telem_check(&r->page, size, NULL);
	r->life = size ? (enum telem_life)(bytes[size - 1] % 3) : TELEM_DEAD;
	strcpy(r->note, "not a page");
	s->n_runs = 1;
	s->now_ns = UINT64_C(1) << 40;
	look(s, 1 + (size ? bytes[size / 2] : 0), size & 1);
	look(s, 80, false);
	o = snapshot_to_json(s);
	json = json_dumps(o, 0);
	if (!json)
		abort();
	free(json);
	json_decref(o);
	free(s);
	return 0;
}
