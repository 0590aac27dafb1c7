/* SPDX-License-Identifier: MIT */
#include "device/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "device/guard.h"
#include "device/persist.h"
#include "device/tb.h"
#include "device/verb.h"

static const char *const kind_names[HOLD_KIND_COUNT] = {
	[HOLD_PROCESS] = "process",
	[HOLD_MAP] = "registers",
	[HOLD_VM] = "virtual machine",
	[HOLD_BRIDGE] = "bridge",
	[HOLD_RUN] = "run",
	[HOLD_MOUNT] = "mount",
	[HOLD_SWAP] = "swap",
	[HOLD_STACK] = "block device",
	[HOLD_NET] = "network",
	[HOLD_DISPLAY] = "display",
	[HOLD_VFS] = "virtual functions",
};

/* --- collecting -------------------------------------------------------------------------------------------- */

uint32_t list_users(const struct scene *s, const struct func *f, uint32_t *holds, uint32_t max)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n = scene_slot(s, f, slot, SCENE_SLOT_MAX);

	return guard_users(s, slot, n, holds, max);
}

/* The address between the two in a file's name, of which nothing is here. */
static bool is_lone(const struct scene *s, const char *name, const char *before, const char *after,
		    char pci[24])
{
	size_t n = strlen(name), head = strlen(before), tail = strlen(after);

	if (n <= head + tail || n - head - tail >= 24 || strncmp(name, before, head) != 0 ||
	    strcmp(name + n - tail, after) != 0)
		return false;
	memcpy(pci, name + head, n - head - tail);
	pci[n - head - tail] = '\0';
	return addr_ok(pci) && !scene_func(s, pci);
}

uint32_t list_lone_settings(const struct scene *s, struct lone_setting *v, uint32_t max)
{
	static const struct {
		const char *folder, *before, *after;
		bool driver;
	} kinds[] = {
		{ "etc/driverctl.d", "pci-", "", true },
		{ "etc/udev/rules.d", "85-berth-sleep-", ".rules", false },
	};
	uint32_t n = 0;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		own_free char **names = NULL;
		int count = machine_list(s->m, kinds[k].folder, &names);

		for (int i = 0; i < count && n < max; i++) {
			struct lone_setting *l = &v[n];

			*l = (struct lone_setting) { 0 };
			if (!is_lone(s, names[i], kinds[k].before, kinds[k].after, l->pci) ||
			    (kinds[k].driver &&
			     !persist_read(s->m, l->pci, l->driver, sizeof(l->driver))))
				continue;
			snprintf(l->file, sizeof(l->file), "/%s/%s%s%s", kinds[k].folder,
				 kinds[k].before, l->pci, kinds[k].after);
			n++;
		}
	}
	return n;
}

/* --- JSON ----------------------------------------------------------------------------------------------------- */

static json_t *users_json(const struct scene *s, const struct func *f)
{
	own_free uint32_t *holds = calloc(s->n_holds + 1, sizeof(*holds));
	uint32_t n = holds ? list_users(s, f, holds, s->n_holds) : 0;
	json_t *a = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct hold *h = &s->holds[holds[i]];
		json_t *o = json_object();
		char buf[256];
		struct text t;

		text_init(&t, buf, sizeof(buf));
		hold_words(&t, h);
		json_put_text(o, "kind", kind_names[h->kind]);
		json_put_text(o, "pci", s->funcs[h->func].pci);
		if (h->pid)
			json_put_int(o, "pid", h->pid);
		else
			json_put_null(o, "pid");
		json_put_text(o, "who", h->who);
		json_put_text_or_null(o, "what", h->what);
		json_put_text(o, "words", buf);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *asks_json(const struct scene *s, const struct func *f)
{
	json_t *all = json_object();

	for (const struct ask_row *r = asks; r->verb; r++) {
		char buf[512];
		struct text t;

		text_init(&t, buf, sizeof(buf));
		r->words(&t, s, f);
		json_put_text_or_null(all, r->verb, buf);
	}
	return all;
}

static json_t *card_json(const struct scene *s, const struct func *f)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n = scene_slot(s, f, slot, SCENE_SLOT_MAX);
	json_t *a = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *o = json_object();

		if (slot[i] == f) {
			json_decref(o);
			continue;
		}
		json_put_text(o, "pci", slot[i]->pci);
		json_put_text(o, "kind", class_words(slot[i]->class));
		json_put_text_or_null(o, "driver", slot[i]->driver);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *device_json(const struct scene *s, const struct func *f)
{
	static const char *const awake[] = { "unknown", "yes", "no" };
	const struct gpu *g = scene_gpu(s, f);
	json_t *o = json_object();
	char saved[40];

	persist_read(s->m, f->pci, saved, sizeof(saved));
	json_put_text(o, "pci", f->pci);
	json_put_text_or_null(o, "name", g && fact_text_known(&g->name) ? g->name.v : "");
	json_put_text(o, "kind", class_words(f->class));
	json_put_text_or_null(o, "driver", f->driver);
	if (f->stuck)
		json_put_null(o, "driver_override");
	else
		json_put_text_or_null(o, "driver_override", f->override);
	json_put_bool(o, "locked", f->stuck);
	json_put_text_or_null(o, "at_start", saved);
	if (f->iommu_group >= 0)
		json_put_int(o, "iommu_group", f->iommu_group);
	else
		json_put_null(o, "iommu_group");
	json_put_text(o, "awake", awake[f->awake]);
	json_put_text_or_null(o, "removable", f->removable);
	json_object_set_new(o, "card", card_json(s, f));
	json_object_set_new(o, "used_by", users_json(s, f));
	json_object_set_new(o, "asks", asks_json(s, f));
	return o;
}

/* Boxes have verbs, too, and those that nobody let in show no function. */
static json_t *boxes_json(const struct scene *s)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < s->report->usb4.n_routers; i++) {
		const struct tb_router *r = &s->report->usb4.routers[i];
		json_t *o;
		char buf[256];
		struct text t;

		if (r->host)
			continue;
		o = json_object();
		text_init(&t, buf, sizeof(buf));
		tb_words(s, i, &t);
		json_put_text(o, "name", r->name);
		json_put_fact(o, "authorized", &r->authorized);
		json_put_text(o, "words", buf);
		json_array_append_new(a, o);
	}
	return a;
}

json_t *list_json(const struct scene *s, const struct func *const *set, uint32_t n)
{
	json_t *o = json_answer("berth.device.list/1"), *devices = json_array(),
	       *lone = json_array();
	struct lone_setting settings[SETTINGS_MAX];
	uint32_t k = list_lone_settings(s, settings, SETTINGS_MAX);

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(devices, device_json(s, set[i]));
	for (uint32_t i = 0; i < k; i++) {
		json_t *one = json_object();

		json_put_text(one, "pci", settings[i].pci);
		json_put_text_or_null(one, "driver", settings[i].driver);
		json_put_text(one, "file", settings[i].file);
		json_array_append_new(lone, one);
	}
	json_object_set_new(o, "devices", devices);
	json_object_set_new(o, "boxes", boxes_json(s));
	json_object_set_new(o, "settings_without_device", lone);
	json_put_fact(o, "processes_unseen", &s->unseen);
	return o;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static void print_row(const char *key, const char *words)
{
	printf("  %-8s  %s\n", key, words);
}

static void print_driver(const struct scene *s, const struct func *f)
{
	char buf[256], saved[40];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_add(&t, "%s", f->driver[0] ? f->driver : "none");
	if (f->stuck)
		text_add(&t, ", locked by the kernel: it lets go, or hangs");
	else if (f->override[0])
		text_add(&t, ", only %s may have it", f->override);
	if (persist_read(s->m, f->pci, saved, sizeof(saved)))
		text_add(&t, ", at every start %s", saved);
	if (f->iommu_group >= 0)
		text_add(&t, ", IOMMU group %d", f->iommu_group);
	if (f->awake == AWAKE_NO)
		text_add(&t, ", asleep");
	print_row("driver", buf);
}

static void print_card(const struct scene *s, const struct func *f)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n = scene_slot(s, f, slot, SCENE_SLOT_MAX);
	char buf[512];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	for (uint32_t i = 0; i < n; i++)
		if (slot[i] != f)
			text_add(&t, "%s%s (%s, %s)", t.len ? ", " : "", slot[i]->pci,
				 class_words(slot[i]->class),
				 slot[i]->driver[0] ? slot[i]->driver : "no driver");
	if (t.len)
		print_row("card", buf);
}

static void print_users(const struct scene *s, const struct func *f)
{
	own_free uint32_t *holds = calloc(s->n_holds + 1, sizeof(*holds));
	uint32_t n = holds ? list_users(s, f, holds, s->n_holds) : 0;

	for (uint32_t i = 0; i < n; i++) {
		char buf[256];
		struct text t;

		text_init(&t, buf, sizeof(buf));
		hold_words(&t, &s->holds[holds[i]]);
		print_row(i ? "" : "used by", buf);
	}
}

static void print_asks(const struct scene *s, const struct func *f)
{
	for (const struct ask_row *r = asks; r->verb; r++) {
		char buf[512];
		struct text t;

		text_init(&t, buf, sizeof(buf));
		r->words(&t, s, f);
		if (t.len)
			print_row(r->verb, buf);
	}
}

static void print_device(const struct scene *s, const struct func *f)
{
	char title[160];
	struct text t;

	text_init(&t, title, sizeof(title));
	func_title(&t, s, f);
	printf("%s\n", title);
	print_driver(s, f);
	print_card(s, f);
	print_users(s, f);
	print_asks(s, f);
}

static void print_boxes(const struct scene *s)
{
	for (uint32_t i = 0; i < s->report->usb4.n_routers; i++) {
		char title[160], words[256];
		struct text t;

		if (s->report->usb4.routers[i].host)
			continue;
		text_init(&t, title, sizeof(title));
		tb_title(&t, s, i);
		text_init(&t, words, sizeof(words));
		tb_words(s, i, &t);
		printf("%s\n", title);
		print_row("box", words);
	}
}

static void print_settings(const struct scene *s)
{
	struct lone_setting v[SETTINGS_MAX];
	uint32_t n = list_lone_settings(s, v, SETTINGS_MAX);

	for (uint32_t i = 0; i < n; i++) {
		char words[192];

		snprintf(words, sizeof(words), "%.40s at every start, by %s; it is not here",
			 v[i].driver[0] ? v[i].driver : "set", v[i].file);
		printf("%s\n", v[i].pci);
		print_row(v[i].driver[0] ? "driver" : "sleep", words);
	}
}

/* --- the verb -------------------------------------------------------------------------------------------------------- */

/* A GPU's sound is told with its card. */
static bool is_listed(const struct func *f, bool any)
{
	return f->shown || (any && f->class >> 16 != 0x06);
}

static int choose(const struct scene *s, const struct ask *a, const struct func **set, uint32_t *n,
		  struct err *e)
{
	*n = 0;
	if (a->n_words) {
		*n = 1;
		return scene_select(s, a->words[0], set, e);
	}
	for (uint32_t i = 0; i < s->n_funcs; i++)
		if (is_listed(&s->funcs[i], a->o.any))
			set[(*n)++] = &s->funcs[i];
	return 0;
}

int list_answer(const struct machine *m, const struct scene *s, const struct ask *a,
		const struct log *log, struct err *e)
{
	own_free const struct func **set = calloc(s->n_funcs + 1, sizeof(*set));
	uint32_t n;

	(void)m;
	if (!set)
		return err_set(e, -ENOMEM, "out of memory");
	int rc = choose(s, a, set, &n, e);

	if (rc)
		return rc;
	if (a->o.json) {
		json_t *o = list_json(s, set, n);

		rc = json_print(o, stdout);
		json_decref(o);
		return rc;
	}
	for (uint32_t i = 0; i < n; i++)
		print_device(s, set[i]);
	if (!a->n_words) {
		print_boxes(s);
		print_settings(s);
	}
	if (!n && !a->n_words)
		log_note(log, "no GPU or accelerator is here; --any lists every device");
	return 0;
}
