/* SPDX-License-Identifier: MIT */
/*
 * Facts are compared in their JSON form, so that a new subject of the report needs a row here and no
 * code: each object becomes a list of "bars.2.size_bytes" and its value, and a row says which count.
 */
#include "probe/diff.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/lines_priv.h"
#include "probe/probe_priv.h"

/* Patterns of fnmatch(3) over keys of `gpus[]` that stay what they are until somebody changes them. */
static const char *const gpu_keys[] = {
	"vendor",
	"device",
	"subvendor",
	"subdevice",
	"class",
	"revision",
	"name",
	"board",
	"kind",
	"vbios",
	"arch",
	"driver",
	"driver_version",
	"driver_override",
	"boot_vga",
	"removable",
	"partition",
	"vfs",
	"vfs_total",
	"bars.*.size_bytes",
	"bars.*.unassigned",
	"bars.*.resizable",
	"numa_node",
	"cpus",
	"iommu_group",
	"drm_card",
	"drm_render",
	"accel",
	"vfio",
	"kfd_node",
	"vram_total_bytes",
	"gtt_total_bytes",
	"power_cap_mw",
	"index.nvml",
	"index.cuda",
	"index.hip",
	"index.level_zero",
	"link.bottleneck",
	"link.cause",
	"links.*.kind",
	"links.*.max_speed_mts",
	"links.*.max_width",
	"memory.pools.*.total_bytes",
	"nvidia.ecc",
	"nvidia.mig_on",
	"tunnel.tunnelled",
	"tunnel.external",
	"tunnel.router",
	"tunnel.pcie_bytes_per_s",
	"place.isolation",
	"place.group_type",
	"place.reset_methods",
	"place.d3cold_allowed",
};

static const char *const machine_keys[] = {
	"kernel",
	"cpu.name",
	"cpu.cores",
	"cpu.threads",
	"cpu.packages",
	"cpu.numa_nodes",
	"cpu.ram_total_bytes",
	"usb4.domains.*.security",
	"usb4.domains.*.iommu_dma_protection",
	"usb4.routers.*.name",
	"usb4.routers.*.authorized",
	"usb4.routers.*.nvm_version",
	"usb4.routers.*.generation",
	"usb4.routers.*.rx_lanes",
	"usb4.routers.*.tx_lanes",
	"other_devices.*.path",
	"other_devices.*.driver",
};

struct keys {
	const char *const *rows;
	size_t n;
	bool live; /* every key counts */
};

static bool counts(const struct keys *k, const char *key)
{
	for (size_t i = 0; i < k->n; i++)
		if (fnmatch(k->rows[i], key, 0) == 0)
			return true;
	return k->live;
}

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* Every value below v, as "a.2.b": value in the flat object; the reasons and sources of facts too. */
static void flatten(json_t *flat, const char *prefix, json_t *v)
{
	char key[160];
	const char *name;
	json_t *child;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach(v, name, child)
		{
			snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "." : "", name);
			flatten(flat, key, child);
		}
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, child)
		{
			/* A BAR's own number, not its place in the list. */
			json_t *index = json_object_get(child, "index");

			snprintf(key, sizeof(key), "%s.%lld", prefix,
				 json_is_integer(index) ? (long long)json_integer_value(index)
							: (long long)i);
			flatten(flat, key, child);
		}
	} else {
		json_object_set(flat, prefix, v);
	}
}

/* Whether nobody could look, or nobody did: no change of the thing itself. */
static bool not_looked(const json_t *flat, const char *key)
{
	static const enum why reasons[] = { WHY_NONE,       WHY_ASLEEP,     WHY_TIMEOUT,
					    WHY_NEEDS_ROOT, WHY_NO_LIBRARY, WHY_GARBLED };
	char why_key[192];

	if (!json_is_null(json_object_get(flat, key)))
		return false;
	snprintf(why_key, sizeof(why_key), "%s_why", key);
	const char *why = json_string_value(json_object_get(flat, why_key));

	for (size_t i = 0; why && i < ARRAY_LEN(reasons); i++)
		if (strcmp(why, why_name(reasons[i])) == 0)
			return true;
	return false;
}

/* What can be there or not, so that its absence says something. */
static bool may_be_absent(const char *key)
{
	return strncmp(key, "bars.", 5) == 0 || strncmp(key, "usb4.", 5) == 0 ||
	       strncmp(key, "links.", 6) == 0 || strncmp(key, "memory.pools.", 13) == 0 ||
	       strncmp(key, "other_devices.", 14) == 0;
}

static void compare_key(json_t *out, const char *key, json_t *a, json_t *b, const struct keys *k)
{
	json_t *va = json_object_get(a, key), *vb = json_object_get(b, key);

	if (json_equal(va, vb) || ends_in(key, "_why") || ends_in(key, "_src") || !counts(k, key))
		return;
	/* Else a key that only one of them has was written by another version of berth. */
	if ((!va || !vb) && !may_be_absent(key) && !k->live)
		return;
	if (!k->live && (not_looked(a, key) || not_looked(b, key)))
		return;
	json_t *o = json_object();

	json_put_text(o, "key", key);
	json_object_set_new(o, "from", va ? json_incref(va) : json_null());
	json_object_set_new(o, "to", vb ? json_incref(vb) : json_null());
	json_array_append_new(out, o);
}

/* Both objects belong to the caller, who drops them. */
static json_t *compare(json_t *a, json_t *b, const struct keys *k)
{
	json_t *fa = json_object(), *fb = json_object(), *out = json_array();
	const char *key;
	json_t *v;

	flatten(fa, "", a);
	flatten(fb, "", b);
	json_object_foreach(fa, key, v) compare_key(out, key, fa, fb, k);
	json_object_foreach(fb, key, v)
	{
		if (!json_object_get(fa, key))
			compare_key(out, key, fa, fb, k);
	}
	json_decref(fa);
	json_decref(fb);
	return out;
}

json_t *diff_gpu(const struct report *ra, const struct gpu *a, const struct report *rb,
		 const struct gpu *b, bool live)
{
	static const char *const identity[] = { "pci", "uuid", "serial" };
	const struct keys keys = { gpu_keys, ARRAY_LEN(gpu_keys), live };
	json_t *ja = gpu_to_json(ra, a), *jb = gpu_to_json(rb, b);

	/* That it moved is said apart; who it is was decided, and a capture's numbers are made up. */
	for (size_t i = 0; i < ARRAY_LEN(identity); i++) {
		json_object_del(ja, identity[i]);
		json_object_del(jb, identity[i]);
	}
	json_t *out = compare(ja, jb, &keys);

	json_decref(ja);
	json_decref(jb);
	return out;
}

/* The report without its GPUs. */
static json_t *machine_json(const struct report *r)
{
	json_t *o = probe_to_json(r);

	json_object_del(o, "gpus");
	json_object_del(o, "host"); /* a capture's is scrubbed */
	return o;
}

/* --- who is who --- */

struct match {
	const struct report *a, *b;
	bool taken_a[PROBE_GPUS_MAX], taken_b[PROBE_GPUS_MAX];
	struct diff *d;
	bool live;
};

/* A capture's UUIDs are made up by address: no identity. */
static bool same_uuid(const struct gpu *a, const struct gpu *b)
{
	static const char scrubbed[] = "GPU-00000000-0000-0000";

	return fact_text_known(&a->uuid) && fact_text_known(&b->uuid) &&
	       strncmp(a->uuid.v, scrubbed, strlen(scrubbed)) != 0 &&
	       strcmp(a->uuid.v, b->uuid.v) == 0;
}

static bool same_ids(const struct gpu *a, const struct gpu *b)
{
	return a->vendor == b->vendor && a->device == b->device && a->subvendor == b->subvendor &&
	       a->subdevice == b->subdevice;
}

static bool same_place(const struct gpu *a, const struct gpu *b)
{
	return addr_compare(a->pci, b->pci) == 0 && same_ids(a, b);
}

static void add_change(struct match *m, uint32_t i, uint32_t k)
{
	const struct gpu *a = &m->a->gpus[i], *b = &m->b->gpus[k];
	json_t *changes = diff_gpu(m->a, a, m->b, b, m->live);

	if (json_array_size(changes)) {
		json_t *o = json_object();

		json_put_text(o, "pci", b->pci);
		json_put_text_or_null(o, "name", fact_text_known(&b->name) ? b->name.v : "");
		json_object_set(o, "changes", changes);
		json_array_append_new(m->d->changed, o);
	}
	json_decref(changes);
}

/* Pair what is alike and not paired yet, in address order. */
static void pair(struct match *m, bool (*alike)(const struct gpu *, const struct gpu *))
{
	for (uint32_t i = 0; i < m->a->n_gpus; i++) {
		for (uint32_t k = 0; k < m->b->n_gpus && !m->taken_a[i]; k++) {
			const struct gpu *a = &m->a->gpus[i], *b = &m->b->gpus[k];

			if (m->taken_b[k] || !alike(a, b))
				continue;
			m->taken_a[i] = m->taken_b[k] = true;
			if (addr_compare(a->pci, b->pci) != 0)
				m->d->moved[m->d->n_moved++] = (struct moved) { i, k };
			add_change(m, i, k);
		}
	}
}

void diff_reports(struct diff *d, const struct report *a, const struct report *b, bool live)
{
	const struct keys keys = { machine_keys, ARRAY_LEN(machine_keys), live };
	struct match m = { .a = a, .b = b, .d = d, .live = live };

	*d = (struct diff) { .changed = json_array() };
	/* A UUID is the thing itself; else the same thing at the same place; else the same kind of thing. */
	pair(&m, same_uuid);
	pair(&m, same_place);
	pair(&m, same_ids);
	for (uint32_t i = 0; i < a->n_gpus; i++)
		if (!m.taken_a[i])
			d->vanished[d->n_vanished++] = i;
	for (uint32_t k = 0; k < b->n_gpus; k++)
		if (!m.taken_b[k])
			d->appeared[d->n_appeared++] = k;
	json_t *ja = machine_json(a), *jb = machine_json(b);

	d->machine = compare(ja, jb, &keys);
	json_decref(ja);
	json_decref(jb);
	d->any = d->n_vanished || d->n_appeared || d->n_moved || json_array_size(d->changed) ||
		 json_array_size(d->machine);
}

void diff_fini(struct diff *d)
{
	json_decref(d->machine);
	json_decref(d->changed);
	*d = (struct diff) { 0 };
}

/* --- as JSON --- */

static json_t *gpu_ref(const struct gpu *g)
{
	json_t *o = json_object();

	json_put_text(o, "pci", g->pci);
	json_put_text_or_null(o, "name", fact_text_known(&g->name) ? g->name.v : "");
	return o;
}

static json_t *gpu_refs(const struct report *r, const uint32_t *index, uint32_t n)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(a, gpu_ref(&r->gpus[index[i]]));
	return a;
}

json_t *diff_to_json(const struct diff *d, const struct report *a, const struct report *b,
		     const char *from, const char *to)
{
	json_t *o = json_answer("berth.probe.diff/1"), *moved = json_array();

	json_put_text(o, "from", from);
	json_put_text(o, "to", to);
	json_object_set_new(o, "vanished", gpu_refs(a, d->vanished, d->n_vanished));
	json_object_set_new(o, "appeared", gpu_refs(b, d->appeared, d->n_appeared));
	for (uint32_t i = 0; i < d->n_moved; i++) {
		json_t *ref = gpu_ref(&b->gpus[d->moved[i].to]);

		json_put_text(ref, "from", a->gpus[d->moved[i].from].pci);
		json_array_append_new(moved, ref);
	}
	json_object_set_new(o, "moved", moved);
	json_object_set(o, "changed", d->changed);
	json_object_set(o, "machine", d->machine);
	return o;
}

/* --- as text --- */

static void value_text(struct text *t, const char *key, const json_t *v)
{
	char size[TEXT_SIZE_MAX];
	own_free char *other = NULL;

	if (json_is_null(v))
		text_add(t, "%s", may_be_absent(key) ? "none" : "unknown");
	else if (json_is_string(v))
		text_add(t, "%s", json_string_value(v));
	else if (json_is_integer(v) && ends_in(key, "_bytes") && json_integer_value(v) >= 0)
		text_add(t, "%s", text_size(size, (uint64_t)json_integer_value(v)));
	else if ((other = json_dumps(v, JSON_ENCODE_ANY)))
		text_add(t, "%s", other);
}

void diff_change_text(struct text *t, const json_t *change)
{
	const char *key = json_string_value(json_object_get(change, "key"));

	text_add(t, "%s: ", key);
	value_text(t, key, json_object_get(change, "from"));
	text_add(t, " -> ");
	value_text(t, key, json_object_get(change, "to"));
}

static void print_changes(FILE *f, json_t *changes)
{
	json_t *change;
	size_t i;

	json_array_foreach(changes, i, change)
	{
		struct line l;

		line_init(&l);
		diff_change_text(&l.t, change);
		line_print(f, "", l.buf);
	}
}

static void print_gpu(FILE *f, const char *what, const struct gpu *g)
{
	char title[200];
	struct text t;

	text_init(&t, title, sizeof(title));
	gpu_title(&t, g);
	fprintf(f, "%-9s %.*s\n", what, (int)line_fitting(title, LINE_COLUMNS - 10), title);
}

void diff_print(FILE *f, const struct diff *d, const struct report *a, const struct report *b)
{
	json_t *o;
	size_t i;

	for (i = 0; i < d->n_vanished; i++)
		print_gpu(f, "vanished", &a->gpus[d->vanished[i]]);
	for (i = 0; i < d->n_appeared; i++)
		print_gpu(f, "appeared", &b->gpus[d->appeared[i]]);
	for (i = 0; i < d->n_moved; i++) {
		print_gpu(f, "moved", &b->gpus[d->moved[i].to]);
		fprintf(f, "%-9s from %s\n", "", a->gpus[d->moved[i].from].pci);
	}
	json_array_foreach(d->changed, i, o)
	{
		print_gpu(f, "changed",
			  report_gpu(b, json_string_value(json_object_get(o, "pci"))));
		print_changes(f, json_object_get(o, "changes"));
	}
	if (json_array_size(d->machine))
		fprintf(f, "changed   the machine\n");
	print_changes(f, d->machine);
	if (!d->any)
		fprintf(f, "no difference\n");
}
