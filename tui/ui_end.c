/* SPDX-License-Identifier: MIT */
/* The key that ends what holds memory: a run by its supervisor, anything else by its process. Asks first. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/ui_priv.h"

static struct action ask_first(const struct ask *a, struct action asked, struct action now,
			       const char *what)
{
	struct text t;

	a->ui->asked = asked;
	a->ui->asking = true;
	text_init(&t, a->ui->ask_text, sizeof(a->ui->ask_text));
	/* What to press first: a narrow screen cuts the end. */
	text_add(&t, "y: %s? Any other key: no", what);
	return now;
}

static struct action ask_end(const struct ask *a, int32_t pid, const char *name)
{
	char what[112];
	struct text t;

	text_init(&t, what, sizeof(what));
	text_add(&t, "End process %" PRId32 " (%s)", pid, name);
	return ask_first(a, just(DO_END), (struct action) { .kind = DO_HOLD, .pid = pid }, what);
}

static struct action on_kill_run(const struct ask *a, const struct run_seen *r)
{
	struct action stop = { .kind = DO_STOP };
	char what[112];

	if (r->supervised) {
		text_copy(stop.name, sizeof(stop.name), r->name);
		snprintf(what, sizeof(what), "Stop the run %s", r->name);
		return ask_first(a, stop, just(DO_NOTHING), what);
	}
	if (judge_run_lives(r))
		return ask_end(a, r->page.header.writer_pid, r->page.run.model);
	text_copy(a->ui->notice, sizeof(a->ui->notice), "This run has ended.");
	return just(DO_NOTHING);
}

struct action ui_on_kill(const struct ask *a)
{
	const struct listing *l = ui_list(a);
	const struct item *i = &l->items[ui_item(a)];
	bool on = l->n && listing_find(l, a->ui->at[a->ui->focus]) < l->n && !is_text_page(a->ui);
	bool here = a->f->snap->origin == ORIGIN_LIVE;

	if (!here)
		text_copy(a->ui->notice, sizeof(a->ui->notice),
			  "Only processes of this machine can be ended, now.");
	else if (on && a->ui->focus == PANE_RUNS)
		return on_kill_run(a, &a->f->snap->runs[i->index]);
	else if (on && a->ui->focus == PANE_PROCESSES)
		return ask_end(a, (int32_t)item_proc(a->f, i)->pid, item_proc(a->f, i)->name);
	else
		text_copy(a->ui->notice, sizeof(a->ui->notice),
			  "Put the cursor on a run or a process first: Tab, then Up and Down.");
	return just(DO_NOTHING);
}
