/* SPDX-License-Identifier: MIT */
/* Running the checks. Pure: evidence in, findings out. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/bartree.h"
#include "probe/doctor_priv.h"

const struct subject subjects[] = {
	{ "Thunderbolt and USB4", checks_tb },
	{ "PCI resources", checks_pci },
	{ "Link", checks_link },
	{ "Power and suspend", checks_power },
	{ "IOMMU and passthrough", checks_iommu },
	{ "NVIDIA", checks_nvidia },
	{ "AMD and Intel", checks_amd_intel },
	{ "Desktop", checks_desktop },
	{ "Process", checks_process },
	{ "Compute stack", checks_stack },
	{ "berth_vfio", checks_vfio },
	{ NULL, NULL },
};

const char *severity_name(enum severity s)
{
	static const char *const names[SEV_COUNT] = { "note", "warning", "error" };

	return names[s];
}

const char *confidence_name(enum confidence c)
{
	static const char *const names[CONF_COUNT] = { "possible", "likely", "certain" };

	return names[c];
}

const char *remedy_name(enum remedy_kind k)
{
	static const char *const names[REMEDY_COUNT] = { "none",     "command", "reboot",
							 "firmware", "cable",   "power-cycle",
							 "none" };

	return names[k];
}

/* --- what tests call --- */

/* The template with its {dev} and {arg} filled in. */
static void fill(char *buf, size_t size, const char *template, const char *dev, const char *arg)
{
	struct text t;

	text_init(&t, buf, size);
	for (const char *s = template ? template : ""; *s;) {
		size_t n = strcspn(s, "{");

		text_add(&t, "%.*s", (int)n, s);
		s += n;
		if (strncmp(s, "{dev}", 5) == 0) {
			text_add(&t, "%s", dev);
			s += 5;
		} else if (strncmp(s, "{arg}", 5) == 0) {
			text_add(&t, "%s", arg ? arg : "");
			s += 5;
		} else if (*s) {
			text_add(&t, "{");
			s++;
		}
	}
}

void finding_remedy(struct finding *f, enum remedy_kind kind, const char *remedy, const char *undo,
		    unsigned advice)
{
	f->kind = kind;
	f->advice = advice;
	fill(f->remedy, sizeof(f->remedy), remedy, f->device, NULL);
	fill(f->undo, sizeof(f->undo), undo, f->device, NULL);
}

struct finding *found(const struct exam *x, const char *device, const char *where,
		      const char *value, const char *arg)
{
	struct findings *all = x->out;
	bool full = all->n == FINDINGS_MAX;
	struct finding *f = &all->list[full ? FINDINGS_MAX - 1 : all->n++];
	const struct doctor_check *c = x->c;

	/* The last place is written over: a count of what is missing stays true. */
	all->n_left_out += full;
	*f = (struct finding) { .check = c,
				.severity = c->severity,
				.confidence = c->confidence,
				.times = 1,
				.kind = c->kind,
				.advice = c->advice };
	text_copy(f->device, sizeof(f->device), device);
	bool path = where[0] && where[0] != '/' && !strchr(where, ' ');
	struct text t;

	text_init(&t, f->where, sizeof(f->where));
	text_add(&t, "%s%s", path ? "/" : "", where);
	text_init(&t, f->value, sizeof(f->value));
	text_add(&t, "%s", value ? value : "(absent)");
	for (char *nl = f->value; (nl = strpbrk(nl, "\n\t"));)
		*nl = ' ';
	text_clean(f->value);
	fill(f->remedy, sizeof(f->remedy), c->remedy, f->device, arg);
	fill(f->undo, sizeof(f->undo), c->undo, f->device, arg);
	return f;
}

struct finding *found_line(const struct exam *x, const char *device, const struct kline *l)
{
	return found(x, device, "kernel log", l->text, NULL);
}

void finding_detail(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
	text_clean(f->detail);
}

const char *function_file(char path[PATH_SIZE], const char *pci, const char *name)
{
	snprintf(path, PATH_SIZE, "/sys/bus/pci/devices/%s/%s", pci, name);
	return path;
}

static bool has_word(const struct doctor_check *c, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(c->log) && c->log[i]; i++)
		if (strstr(text, c->log[i]))
			return true;
	return false;
}

bool checks_name_line(const char *text)
{
	for (const struct subject *s = subjects; s->name; s++)
		for (const struct doctor_check *c = s->checks; c->id; c++)
			if (has_word(c, text))
				return true;
	return false;
}

void test_log(const struct exam *x, bool (*also)(const struct exam *x, const struct kline *l))
{
	const struct kmsg *k = &x->ev->log;
	uint32_t first = x->out->n;

	for (uint32_t i = 0; i < k->n; i++) {
		const struct kline *l = &k->lines[i];
		struct finding *same = NULL;
		char pci[24];

		if (!has_word(x->c, l->text) || (also && !also(x, l)))
			continue;
		kline_pci(l->text, pci);
		for (uint32_t j = first; j < x->out->n && !same; j++)
			if (strcmp(x->out->list[j].device, pci) == 0)
				same = &x->out->list[j];
		if (same)
			same->times++;
		else
			found_line(x, pci, l);
	}
}

bool gpu_is_external(const struct gpu *g)
{
	return g->tunnel.external || g->tunnel.tunnelled || g->kind == GPU_EXTERNAL;
}

bool gpu_is_card(const struct gpu *g)
{
	return g->kind == GPU_DISCRETE || g->kind == GPU_EXTERNAL || gpu_is_external(g);
}

/* --- the whole --- */

static void examine_one(const struct exam *x)
{
	if (x->c->absent)
		return;
	if (x->c->test)
		x->c->test(x);
	else
		test_log(x, NULL);
}

/* The worst first; within that as the tables and addresses have it. */
static int by_severity(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->severity != y->severity)
		return x->severity < y->severity ? 1 : -1;
	if (x->check->number != y->check->number)
		return x->check->number < y->check->number ? -1 : 1;
	int rc = strcmp(x->check->id, y->check->id);

	return rc ? rc : strcmp(x->device, y->device);
}

struct findings *doctor_examine(const struct evidence *ev)
{
	struct findings *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	for (const struct subject *s = subjects; s->name; s++)
		for (const struct doctor_check *c = s->checks; c->id; c++) {
			const struct exam x = { .ev = ev, .r = ev->r, .c = c, .out = all };

			examine_one(&x);
		}
	for (uint32_t i = 0; i < all->n; i++)
		if (all->list[i].kind == REMEDY_TREE)
			bartree_advise(ev, &all->list[i]);
	qsort(all->list, all->n, sizeof(*all->list), by_severity);
	findings_reconcile(all);
	return all;
}

enum exit_code doctor_exit(const struct evidence *ev, const struct findings *f)
{
	enum severity worst = SEV_NOTE;

	for (uint32_t i = 0; i < f->n; i++)
		if (f->list[i].severity > worst)
			worst = f->list[i].severity;
	if (worst != SEV_NOTE)
		return worst == SEV_ERROR ? EXIT_NO : EXIT_WARNINGS;
	return ev->r->n_gpus || ev->r->usb4.n_domains || ev->log.read ? EXIT_YES : EXIT_UNKNOWN;
}
