/* SPDX-License-Identifier: MIT */
/* A telemetry page is hostile: whatever passes the check must be safe to judge, show and print. */
#include <stdlib.h>
#include <string.h>

#include "base/telem.h"
#include "base/text.h"
#include "tui/picture.h"

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

/* All about the bridge, after two moments, as a screen has it. */
static void detail(struct snapshot *s)
{
	struct history *h = calloc(1, sizeof(*h));
	struct picture *p = calloc(1, sizeof(*p));
	struct ui ui = { .page = PAGE_BRIDGE };
	struct prefs prefs;
	const struct frame f = { .snap = s, .history = h, .prefs = &prefs, .ui = &ui };

	prefs_default(&prefs);
	text_copy(ui.subject, sizeof(ui.subject), s->bridges[0].key);
	history_add(h, s);
	s->now_ns += UINT64_C(1000000000);
	history_add(h, s);
	picture_init(p);
	picture_make(p, &f, 80, 60, true);
	picture_fini(p);
	free(p);
	free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct run_seen *r = &s->runs[0];
	struct bridge_seen *b = &s->bridges[0];
	char *json;
	json_t *o;

	memcpy(&r->page, bytes, size < sizeof(r->page) ? size : sizeof(r->page));
	r->rc = telem_check(&r->page, size, NULL);
	r->life = size ? (enum telem_life)(bytes[size - 1] % 3) : TELEM_DEAD;
	strcpy(r->note, "not a page");
	s->n_runs = 1;
	if (!r->rc && r->page.header.kind == TELEM_BRIDGE) {
		*b = (struct bridge_seen) { .life = r->life, .page = r->page.bridge };
		text_copy(b->key, sizeof(b->key), b->page.pci);
		s->n_bridges = 1;
		s->n_runs = 0;
		detail(s);
	}
	s->now_ns = UINT64_C(1) << 40;
	look(s, 1 + (size ? bytes[size / 2] : 0), size & 1);
	look(s, 80, false);
	o = frame_to_json(&(struct frame) { .snap = s });
	json = json_dumps(o, 0);
	if (!json)
		abort();
	free(json);
	json_decref(o);
	free(s);
	return 0;
}
