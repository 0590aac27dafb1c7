/* SPDX-License-Identifier: MIT */
#include "bar-forward/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/ask.h"
#include "bar-forward/collect.h"
#include "bar-forward/guest.h"
#include "bar-forward/ready.h"
#include "base/own.h"

/* --- collecting --- */

/* The entries of `berth device list`: of one device, or of all that may be bridged. */
static int ask_list(const struct ask *a, const char *dev, json_t **answer, struct err *e)
{
	const struct options *o = a->o;
	/* what begins with a hyphen is no option there, either */
	const struct ask_words w = { { "list", "--json", o->any ? "--any" : NULL,
				       o->machine ? "--machine" : NULL, o->machine,
				       dev ? "--" : NULL, dev } };

	return ask_device(&w, answer, e);
}

static int facts_of(const struct ask *a, const json_t *device, struct bridge_facts *f,
		    struct err *e)
{
	int rc = collect_facts(a->m, device, f, e);

	if (!rc && a->o->memory)
		f->guest_bytes = fact_of((int64_t)a->o->memory, SRC_USER);
	return rc;
}

int judge_one(const struct ask *a, const char *dev, struct bridge_facts *f, struct readiness *r,
	      struct err *e)
{
	json_t *answer = NULL;
	int rc = ask_list(a, dev, &answer, e);

	if (rc)
		return rc;
	rc = facts_of(a, json_array_get(json_object_get(answer, "devices"), 0), f, e);
	json_decref(answer);
	if (!rc)
		ready_judge(f, r);
	return rc;
}

/* --- what of it is told --- */

static const char *state_words(const struct readiness *r)
{
	switch (r->state) {
	case VERDICT_ATTACH:
		return "can be bridged, once it is attached";
	case VERDICT_FORCE:
		return "can be bridged, once it is attached by force";
	case VERDICT_NO:
		return ready_refusal_of_guest(r) ? "cannot be bridged" : "has a bridge already";
	default:
		return "can be bridged";
	}
}

static void print_one(const struct bridge_facts *f, const struct readiness *r)
{
	printf("%s%s%s (%s)\n  %s\n", f->pci, f->name[0] ? "  " : "", f->name, f->kind,
	       state_words(r));
	for (uint32_t i = 0; i < r->n; i++) {
		const struct finding *w = &r->list[i];

		printf("  %-10s  %-6s  %s\n", w->check, ready_verdict_name(w->verdict), w->words);
		if (w->fix[0])
			printf("  %-10s  %-6s  -> %s\n", "", "", w->fix);
	}
}

static json_t *one_json(const struct bridge_facts *f, const struct readiness *r)
{
	json_t *o = json_object(), *list = json_array(), *card = json_array();

	json_put_text(o, "pci", f->pci);
	json_put_text_or_null(o, "name", f->name);
	json_put_text(o, "kind", f->kind);
	json_put_text_or_null(o, "driver", f->driver);
	if (f->group >= 0)
		json_put_int(o, "iommu_group", f->group);
	else
		json_put_null(o, "iommu_group");
	json_put_text(o, "state", r->state == VERDICT_YES ? "ready" : ready_verdict_name(r->state));
	for (uint32_t i = 0; i < f->n_mates; i++)
		if (f->mates[i].in_slot)
			json_array_append_new(card, json_string(f->mates[i].pci));
	json_object_set_new(o, "card", card);
	for (uint32_t i = 0; i < r->n; i++) {
		json_t *one = json_object();

		json_put_text(one, "check", r->list[i].check);
		json_put_text(one, "verdict", ready_verdict_name(r->list[i].verdict));
		json_put_text(one, "words", r->list[i].words);
		json_put_text_or_null(one, "fix", r->list[i].fix);
		json_array_append_new(list, one);
	}
	json_object_set_new(o, "checks", list);
	return o;
}

/* --- list --- */

static int show(const struct ask *a, const json_t *devices, struct err *e)
{
	json_t *out = json_answer("berth.bridge.list/1"), *list = json_array();
	int rc = 0;

	json_object_set_new(out, "devices", list);
	if (a->o->memory)
		json_put_int(out, "guest_memory_bytes", (int64_t)a->o->memory);
	else
		json_put_null(out, "guest_memory_bytes");
	for (size_t i = 0; i < json_array_size(devices) && !rc; i++) {
		struct bridge_facts f;
		struct readiness r;

		rc = facts_of(a, json_array_get(devices, i), &f, e);
		if (rc)
			break;
		ready_judge(&f, &r);
		if (a->o->json)
			json_array_append_new(list, one_json(&f, &r));
		else
			print_one(&f, &r);
	}
	if (!rc && a->o->json)
		rc = json_print(out, stdout);
	json_decref(out);
	return rc;
}

int list_verb(const struct ask *a, struct err *e)
{
	json_t *answer = NULL;
	int rc = ask_list(a, a->n_words ? a->words[0] : NULL, &answer, e);

	if (rc)
		return rc;
	const json_t *devices = json_object_get(answer, "devices");

	rc = show(a, devices, e);
	if (!rc && !json_array_size(devices))
		log_note(a->log, "no GPU or accelerator is here; --any lists every device");
	json_decref(answer);
	return rc;
}

/* --- what a virtual machine has to be told --- */

/* The device may be attached later, or be a guest's now; what never works is refused by the check's own words. */
static int guest_of(const struct ask *a, struct bridge_facts *f, struct guest *g, struct err *e)
{
	const struct finding *no;
	struct readiness r;
	int rc;

	if (!a->o->sockets.n)
		return err_set(e, VERB_USAGE, "give --socket PATH, where the device is served");
	*g = (struct guest) { .socket = a->o->sockets.v[0],
			      .qmp = a->o->qmp,
			      .memory = a->o->memory };
	rc = guest_check(g, e);
	if (!rc)
		rc = judge_one(a, a->words[0], f, &r, e);
	if (rc)
		return rc;
	no = ready_refusal_of_guest(&r);
	if (no)
		return err_set(e, -EPERM, "%s cannot be bridged: %s: %s%s%s", f->pci, no->check,
			       no->words, no->fix[0] ? "; " : "", no->fix);
	if (r.state == VERDICT_ATTACH || r.state == VERDICT_FORCE)
		log_note(a->log, "it works once it is attached (berth bridge attach %s%s)", f->pci,
			 r.state == VERDICT_FORCE ? " --force" : "");
	g->pci = f->pci;
	return 0;
}

static int print_words(const struct ask *a, const struct guest_words *w)
{
	json_t *o, *list;
	int rc;

	if (!a->o->json)
		return guest_print(w, stdout);
	o = json_answer("berth.bridge.args/1");
	list = json_array();
	for (uint32_t i = 0; i < w->n; i++)
		json_array_append_new(list, json_string(w->v[i]));
	json_object_set_new(o, "args", list);
	rc = json_print(o, stdout);
	json_decref(o);
	return rc;
}

int qemu_args_verb(const struct ask *a, struct err *e)
{
	own_free struct guest_words *w = calloc(1, sizeof(*w));
	struct bridge_facts f;
	struct guest g;
	int rc = w ? guest_of(a, &f, &g, e) : err_set(e, -ENOMEM, "out of memory");

	if (rc)
		return rc;
	guest_qemu(&g, w);
	return print_words(a, w);
}

int libvirt_xml_verb(const struct ask *a, struct err *e)
{
	struct bridge_facts f;
	struct guest g;
	int rc;

	if (!a->o->memory)
		return err_set(e, VERB_USAGE, "give --memory SIZE, which the domain gets");
	rc = guest_of(a, &f, &g, e);
	return rc ? rc : guest_libvirt(&g, stdout);
}
