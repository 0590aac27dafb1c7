/* SPDX-License-Identifier: MIT */
/* A plan in words, at most 100 columns wide where names allow. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/plan.h"

#define NAME_WIDTH  36
#define LABEL_WIDTH 13
#define COLUMNS     100

static void add_row(struct text *t, const char *name, uint32_t layers, const struct plan_buffers *b,
		    const struct fact *free_bytes, int64_t left)
{
	const uint64_t parts[] = { b->weights_bytes, b->kv_bytes, b->compute_bytes,
				   b->overhead_bytes };
	char size[TEXT_SIZE_MAX];

	text_add(t, "%-*.*s %6" PRIu32, NAME_WIDTH, NAME_WIDTH, name, layers);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		text_add(t, " %9s", text_size(size, parts[i]));
	if (fact_known(free_bytes))
		text_add(t, " %9s\n",
			 left < 0 ? text_size_signed(size, left) : text_size(size, (uint64_t)left));
	else
		text_add(t, " %9s\n", "unknown");
}

static void add_table(struct text *t, const struct plan *p)
{
	char name[160];

	text_add(t, "%-*s %6s %9s %9s %9s %9s %9s\n", NAME_WIDTH, "device", "layers", "weights",
		 "cache", "compute", "overhead", "left");
	for (uint32_t i = 0; i < p->n_devices; i++) {
		const struct plan_device *d = &p->devices[i];

		snprintf(name, sizeof(name), "%s%s%s", d->pci, d->pci[0] ? " " : "",
			 d->name[0] ? d->name : d->engine_name);
		add_row(t, name, d->layers, &d->buffers, &d->free_bytes, d->left_bytes);
	}
	add_row(t, "host", p->host.layers, &p->host.buffers, &p->host.free_bytes,
		p->host.left_bytes);
}

/* A sentence after a label, broken between words so that it stays within the columns. */
static void add_note(struct text *t, const char *label, int indent, const char *s)
{
	size_t width = COLUMNS - (size_t)indent;

	text_add(t, "%-*s", indent, label);
	while (strlen(s) > width) {
		size_t n = width;

		while (n > 0 && s[n] != ' ')
			n--;
		if (n == 0)
			break;
		text_add(t, "%.*s\n%*s", (int)n, s, indent, "");
		s += n + 1;
	}
	text_add(t, "%s\n", s);
}

/* Where a line of at most `width` ends before a blank outside quotes; 0: nowhere. */
static size_t command_break(const char *s, size_t width)
{
	size_t last = 0;
	bool quoted = false;

	for (size_t i = 0; s[i] && i <= width; i++) {
		if (s[i] == '\'')
			quoted = !quoted;
		if (s[i] == ' ' && !quoted)
			last = i;
	}
	return last;
}

/* A command as it can be pasted: lines that go on end in a backslash. */
static void add_command(struct text *t, const char *label, const char *s)
{
	size_t width = COLUMNS - LABEL_WIDTH - 2, n;

	text_add(t, "%-*s", LABEL_WIDTH, label);
	while (strlen(s) > width && (n = command_break(s, width)) > 0) {
		text_add(t, "%.*s \\\n%*s", (int)n, s, LABEL_WIDTH, "");
		s += n + 1;
	}
	text_add(t, "%s\n", s);
}

static void add_nearest(struct text *t, const struct plan *p, const struct plan_nearest *n,
			const char *command, bool first)
{
	const char *model = n->model[0] ? n->model : p->model_path,
		   *quote = strpbrk(model, " '\"\\$&;()<>|*?") ? "'" : "";
	char line[12288]; /* the command may have many paths */

	snprintf(line, sizeof(line), "%s %s%s%s%s%s", command, n->options, n->options[0] ? " " : "",
		 quote, model, quote);
	add_command(t, first ? "nearest yes" : "", line);
	snprintf(line, sizeof(line), "%s; it costs %s", verdict_name(n->verdict), n->loss);
	add_note(t, "", LABEL_WIDTH + 2, line);
}

void plan_explain(struct text *t, const struct plan *p, const char *command)
{
	char verdict[16];

	snprintf(verdict, sizeof(verdict), "%s: ", verdict_name(p->verdict));
	add_note(t, verdict, (int)strlen(verdict), p->decided_by);
	text_add(t, "model        %s (%s", p->model_name, p->arch);
	if (p->n_layer)
		text_add(t, ", %" PRIu32 " layers", p->n_layer);
	text_add(t, ")\n");
	if (p->flags.n_ctx)
		text_add(t, "context      %" PRIu32 " tokens, cache %s/%s, batch %" PRIu32 "\n",
			 p->flags.n_ctx, p->flags.type_k, p->flags.type_v, p->flags.n_ubatch);
	if (p->flags.n_cpu_moe && p->n_devices)
		text_add(t, "experts      of the first %" PRIu32 " layers are in host memory\n",
			 p->flags.n_cpu_moe);
	if (p->n_devices || p->host.layers)
		add_table(t, p);
	for (uint32_t i = 0; i < p->n_overrides; i++)
		add_note(t, "by hand", LABEL_WIDTH, p->overrides[i]);
	for (uint32_t i = 0; i < p->n_assumed; i++)
		add_note(t, "assumed", LABEL_WIDTH, p->assumed[i]);
	for (uint32_t i = 0; i < p->n_nearest; i++)
		add_nearest(t, p, &p->nearest[i], command, i == 0);
}
