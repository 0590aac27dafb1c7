/* SPDX-License-Identifier: MIT */
/* Findings as text, as JSON, and the list of all checks as docs/doctor.md. */
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"
#include "probe/lines_priv.h"

static uint32_t count(const struct findings *f, enum severity s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n; i++)
		n += f->list[i].severity == s;
	return n;
}

/* --- text --- */

static void print_evidence(FILE *to, const struct finding *f)
{
	struct line l;

	line_init(&l);
	text_add(&l.t, "%s: %s", f->where, f->value);
	if (f->times > 1)
		text_add(&l.t, " (%u times)", f->times);
	line_print(to, "saw", l.buf);
}

static void print_remedy(FILE *to, const struct finding *f)
{
	struct line l;

	if (!f->remedy[0])
		return;
	line_init(&l);
	if (f->kind != REMEDY_NONE)
		text_add(&l.t, "(%s) ", remedy_name(f->kind));
	text_add(&l.t, "%s", f->remedy);
	line_print(to, "remedy", l.buf);
	if (f->undo[0])
		line_print(to, "undo", f->undo);
}

static void print_finding(FILE *to, const struct finding *f, bool verbose)
{
	char head[160];
	struct line l;

	snprintf(head, sizeof(head), "%s: %s%s%s", severity_name(f->severity), f->check->id,
		 f->device[0] ? "  " : "", f->device);
	fprintf(to, "%s\n", head);
	line_init(&l);
	text_add(&l.t, "%s.%s%s", f->check->symptom, f->detail[0] ? " " : "", f->detail);
	if (f->confidence != CONF_CERTAIN)
		text_add(&l.t, " (%s)", confidence_name(f->confidence));
	line_print(to, "", l.buf);
	print_evidence(to, f);
	print_remedy(to, f);
	if (verbose) {
		line_init(&l);
		text_add(&l.t, "check %d of docs/doctor.md; source: %s", f->check->number,
			 f->check->source);
		line_print(to, "known by", l.buf);
	}
	fputc('\n', to);
}

/* Checks that read nothing but the kernel log. */
static void count_checks(uint32_t *all, uint32_t *by_log)
{
	*all = *by_log = 0;
	for (const struct subject *s = subjects; s->name; s++)
		for (const struct doctor_check *c = s->checks; c->id; c++) {
			*all += !c->absent;
			*by_log += !c->absent && c->log[0] &&
				   strncmp(c->looks_at, "kernel log", 10) == 0;
		}
}

static void print_summary(FILE *to, const struct evidence *ev, const struct findings *f)
{
	static const char *const many[SEV_COUNT] = { "notes", "warnings", "errors" };
	uint32_t all, by_log;
	char buf[200];
	struct text t;

	count_checks(&all, &by_log);
	text_init(&t, buf, sizeof(buf));
	for (int s = SEV_COUNT - 1; s >= 0; s--) {
		uint32_t n = count(f, (enum severity)s);

		if (n)
			text_add(&t, "%s%u %s", t.len ? ", " : "", n,
				 n == 1 ? severity_name((enum severity)s) : many[s]);
	}
	if (!ev->log.read)
		fprintf(to,
			"The kernel log was not read (%s): %u of %u checks were not made. Run it as root, or\n"
			"give --kmsg a file that 'journalctl -k -b' or 'dmesg' wrote.\n",
			why_name(ev->log.why), by_log, all);
	if (f->n_left_out)
		fprintf(to, "%u more findings are not shown.\n", f->n_left_out);
	if (ev->r->n_left_out)
		fprintf(to,
			"%u more display functions were not looked at: berth counts up to %d.\n",
			ev->r->n_left_out, PROBE_GPUS_MAX);
	if (!t.len)
		fprintf(to, "Nothing is wrong as far as %u checks of %u GPU%s can see.\n",
			ev->log.read ? all : all - by_log, ev->r->n_gpus,
			ev->r->n_gpus == 1 ? "" : "s");
	else if (count(f, SEV_NOTE) == f->n)
		fprintf(to, "%s; nothing is wrong.\n", buf);
	else
		fprintf(to, "%s. Change one thing at a time, then look again.\n", buf);
}

void doctor_text(FILE *to, const struct evidence *ev, const struct findings *f, bool verbose)
{
	for (uint32_t i = 0; i < f->n; i++)
		print_finding(to, &f->list[i], verbose);
	print_summary(to, ev, f);
}

/* --- JSON --- */

static json_t *finding_json(const struct finding *f)
{
	json_t *o = json_object(), *evidence = json_object(), *remedy = json_object();

	json_put_text(o, "id", f->check->id);
	json_put_int(o, "number", f->check->number);
	json_put_text(o, "severity", severity_name(f->severity));
	json_put_text(o, "confidence", confidence_name(f->confidence));
	json_put_text(o, "symptom", f->check->symptom);
	json_put_text_or_null(o, "detail", f->detail);
	json_put_text_or_null(o, "device", f->device);
	json_put_text(evidence, "where", f->where);
	json_put_text(evidence, "value", f->value);
	json_put_int(evidence, "times", f->times);
	json_object_set_new(o, "evidence", evidence);
	json_put_text(remedy, "kind", remedy_name(f->kind));
	json_put_text_or_null(remedy, "text", f->remedy);
	json_put_text_or_null(remedy, "undo", f->undo);
	json_object_set_new(remedy, "advice", advice_json(f->advice));
	json_object_set_new(o, "remedy", remedy);
	json_put_text(o, "source", f->check->source);
	return o;
}

json_t *doctor_json(const struct evidence *ev, const struct findings *f)
{
	json_t *o = json_answer("berth.doctor/1"), *list = json_array();
	uint32_t all, by_log;

	count_checks(&all, &by_log);
	json_put_fact_text(o, "kernel", &ev->r->kernel);
	json_put_int(o, "gpus", ev->r->n_gpus);
	json_put_bool(o, "kernel_log", ev->log.read);
	if (!ev->log.read)
		json_put_text(o, "kernel_log_why", why_name(ev->log.why));
	json_put_int(o, "checks", all);
	json_put_int(o, "checks_not_made", ev->log.read ? 0 : by_log);
	json_put_int(o, "errors", count(f, SEV_ERROR));
	json_put_int(o, "warnings", count(f, SEV_WARNING));
	json_put_int(o, "notes", count(f, SEV_NOTE));
	json_put_int(o, "findings_left_out", f->n_left_out);
	for (uint32_t i = 0; i < f->n; i++)
		json_array_append_new(list, finding_json(&f->list[i]));
	json_object_set_new(o, "findings", list);
	return o;
}

/* --- docs/doctor.md --- */

/* A '|' would end the cell. */
static void cell(FILE *to, const char *s)
{
	for (; *s; s++)
		fprintf(to, *s == '|' ? "\\|" : "%c", *s);
}

static void list_check(FILE *to, const struct doctor_check *c)
{
	fprintf(to, "| %d | ", c->number);
	if (c->absent)
		fprintf(to, "— | ");
	else
		fprintf(to, "`%s` | ", c->id);
	cell(to, c->symptom);
	fprintf(to, " | ");
	cell(to, c->absent ? c->absent : c->looks_at);
	if (c->absent)
		fprintf(to, " | not made | | ");
	else
		fprintf(to, " | %s, %s | %s | ", severity_name(c->severity),
			confidence_name(c->confidence),
			c->kind == REMEDY_TREE ? "BAR tree" : remedy_name(c->kind));
	cell(to, c->source);
	fprintf(to, " |\n");
}

void doctor_list(FILE *to)
{
	uint32_t all, by_log;

	count_checks(&all, &by_log);
	fputs("# What berth doctor looks for\n\n"
	      "Written by `berth doctor --list` from the tables in probe/checks_*.c; do not edit.\n\n",
	      to);
	fprintf(to,
		"%u checks are made, %u of them by the kernel log alone. A check reads nothing that wakes a device. "
		"Those not made say why.\n\n"
		"Sources: TBR and TBA are the kernel's admin guide and ABI of Thunderbolt; A is a field study of an "
		"RTX 5060 in a Thunderbolt 4 box\n(iecxiv/aorus-5060-egpu), K one of a Thunderbolt 5 box "
		"(keefeere/bazzite-th5p4-nvidia-egpu), R a reference on PCIe hot-plug and BAR\nallocation of 2026-09; "
		"others are named.\n",
		all, by_log);
	for (const struct subject *s = subjects; s->name; s++) {
		fprintf(to,
			"\n## %s\n\n| # | id | what is wrong | what it looks at | says | remedy | source |\n"
			"|---|---|---|---|---|---|---|\n",
			s->name);
		for (const struct doctor_check *c = s->checks; c->id; c++)
			list_check(to, c);
	}
}
