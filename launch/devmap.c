/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "launch/backends.h"
#include "launch/devmap.h"

/* --- reading --- */

static bool get_text(const json_t *o, const char *key, char *to, size_t size, bool may_be_null)
{
	const json_t *v = json_object_get(o, key);

	to[0] = 0;
	if (may_be_null && json_is_null(v))
		return true;
	if (!json_is_string(v))
		return false;
	text_copy(to, size, json_string_value(v));
	text_clean(to);
	return true;
}

static bool get_bytes(const json_t *o, const char *key, uint64_t *v)
{
	const json_t *n = json_object_get(o, key);

	*v = (uint64_t)json_integer_value(n);
	return json_is_integer(n) && json_integer_value(n) >= 0;
}

static bool get_device(const json_t *o, struct devmap_device *d)
{
	return get_text(o, "name", d->name, sizeof(d->name), false) &&
	       get_text(o, "description", d->description, sizeof(d->description), false) &&
	       get_text(o, "backend", d->backend, sizeof(d->backend), false) &&
	       get_text(o, "device_id", d->pci, sizeof(d->pci), true) &&
	       get_text(o, "type", d->type, sizeof(d->type), false) &&
	       get_bytes(o, "total_bytes", &d->total_bytes) &&
	       get_bytes(o, "free_bytes", &d->free_bytes);
}

int devmap_from_json(struct devmap *m, const json_t *o, struct err *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const json_t *list = json_object_get(o, "devices");

	memset(m, 0, sizeof(*m));
	if (!schema || strcmp(schema, "berth.devices/1") != 0 || !json_is_array(list) ||
	    json_array_size(list) > DEVMAP_MAX)
		return err_set(e, -EBADMSG, "the core's list of devices is not berth.devices/1");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!get_device(json_array_get(list, i), &m->devices[m->n++]))
			return err_set(e, -EBADMSG,
				       "the core's list of devices has a bad entry (number %zu)",
				       i);
	return 0;
}

/* --- choosing --- */

static bool is_gpu(const struct devmap_device *d)
{
	return strcmp(d->type, "gpu") == 0 || strcmp(d->type, "igpu") == 0;
}

/* It works in the host's memory. */
static bool is_integrated(const struct devmap_device *d)
{
	return strcmp(d->type, "igpu") == 0;
}

/* The engine's device at this address, by the best backend; NULL: it has none. */
static const struct devmap_device *at_address(const struct devmap *m, const char *pci)
{
	const struct devmap_device *best = NULL;

	for (uint32_t i = 0; i < m->n; i++) {
		const struct devmap_device *d = &m->devices[i];

		if (is_gpu(d) && d->pci[0] && strcasecmp(d->pci, pci) == 0 &&
		    (!best || launch_backend_rank(d->backend) < launch_backend_rank(best->backend)))
			best = d;
	}
	return best;
}

static const struct devmap_device *by_name(const struct devmap *m, const char *name)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (is_gpu(&m->devices[i]) && strcasecmp(m->devices[i].name, name) == 0)
			return &m->devices[i];
	return NULL;
}

/* The backends the engine has here: "vulkan, cuda", or "none but the CPU's". */
static void backends_present(const struct devmap *m, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	for (const struct launch_backend *b = launch_backends; b->name; b++)
		for (uint32_t i = 0; i < m->n; i++)
			if (strcmp(m->devices[i].backend, b->name) == 0) {
				text_add(&t, "%s%s", t.len ? ", " : "", b->name);
				break;
			}
	if (t.len == 0)
		text_add(&t, "no GPU backend that found a device");
}

static void undriven(char *buf, size_t size, const struct devmap *m, const struct place *p)
{
	char have[96];
	struct text t;

	backends_present(m, have, sizeof(have));
	text_init(&t, buf, size);
	text_add(&t, "%s %s: the engine cannot drive it (it has %s)", p->pci, p->name, have);
	text_add(&t, "; `make deps` fetches the backends that this machine can use");
}

static void set_aside(char *buf, size_t size, const struct place *p)
{
	struct text t;

	text_init(&t, buf, size);
	text_add(&t, "%s %s: an integrated GPU beside a discrete one; name it with --device",
		 p->pci, p->name);
}

static int64_t free_or_none(const struct place *p)
{
	return fact_known(&p->free_bytes) ? p->free_bytes.v : -1;
}

/* Let the engine's device complete what the probe knows of a place. */
static void complete(struct place *p, const struct devmap_device *d)
{
	text_copy(p->backend, sizeof(p->backend), d->backend);
	text_copy(p->engine_name, sizeof(p->engine_name), d->name);
	if (!fact_known(&p->total_bytes) && d->total_bytes)
		p->total_bytes = fact_of((int64_t)d->total_bytes, SRC_ENGINE);
	if (!fact_known(&p->free_bytes) && d->total_bytes)
		p->free_bytes = fact_of((int64_t)d->free_bytes, SRC_ENGINE);
}

static int room(const struct devmap_choice *c, struct err *e)
{
	if (c->n < PLAN_DEVICES_MAX)
		return 0;
	return err_set(e, -EINVAL, "at most %d devices at once", PLAN_DEVICES_MAX);
}

__attribute__((format(printf, 2, 3))) static void assume(struct devmap_choice *c, const char *fmt,
							 ...)
{
	va_list ap;

	if (c->n_assumed == DEVMAP_NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(c->assumed[c->n_assumed++], sizeof(c->assumed[0]), fmt, ap);
	va_end(ap);
}

/* A device without an address: all we know of it is what the engine says. */
static int add_software(struct devmap_choice *c, const struct devmap_device *d, struct err *e)
{
	int rc = room(c, e);
	struct place *p = &c->places[c->n];

	if (rc)
		return rc;
	memset(p, 0, sizeof(*p));
	c->n++;
	text_copy(p->name, sizeof(p->name), d->description);
	complete(p, d);
	assume(c, "%s (%.60s) has no PCI address; its free memory is what the engine says", d->name,
	       d->description);
	return 0;
}

/* Someone named a GPU that no compute engine can use: say which. */
static int undrivable(const struct report *r, const uint32_t *index, uint32_t n, struct err *e)
{
	uint32_t i = 0;

	while (i + 1 < n && gpu_can_compute(&r->gpus[index[i]]))
		i++;
	return err_set(e, -ENODEV,
		       "%s has no driver that a compute engine can use; 'berth probe' says more",
		       r->gpus[index[i]].pci);
}

/* Whether one of these places is a GPU with memory of its own. */
static bool any_discrete(const struct devmap *m, const struct place *places, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct devmap_device *d = at_address(m, places[i].pci);

		if (d && !is_integrated(d))
			return true;
	}
	return false;
}

static int add_gpu(struct devmap_choice *c, struct place *p, const struct devmap_device *d,
		   struct err *e)
{
	int rc = room(c, e);

	if (rc)
		return rc;
	complete(p, d);
	c->places[c->n++] = *p;
	if (is_integrated(d))
		assume(c, "%s (%.60s) works in the host's memory; each is judged by itself", p->pci,
		       p->name);
	return 0;
}

/* GPUs that the user named: one that cannot be driven is an error. */
static int add_named_gpus(struct devmap_choice *c, const struct devmap *m, const struct report *r,
			  const uint32_t *index, uint32_t n, struct err *e)
{
	struct place found[PROBE_GPUS_MAX];
	int rc = 0;

	if (places_from_report(r, index, n, found, &c->host) < n)
		return undrivable(r, index, n, e);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct devmap_device *d = at_address(m, found[i].pci);
		char why[240];

		if (!d) {
			undriven(why, sizeof(why), m, &found[i]);
			return err_set(e, -ENODEV, "%s", why);
		}
		rc = add_gpu(c, &found[i], d, e);
	}
	return rc;
}

/*
 * Every GPU the engine can drive. An integrated one only where there is no other, as the engine itself
 * chooses: by free memory alone it would win, with the host's.
 */
static int add_all_gpus(struct devmap_choice *c, const struct devmap *m, const struct report *r,
			struct err *e)
{
	struct place found[PROBE_GPUS_MAX];
	uint32_t n = places_from_report(r, NULL, 0, found, &c->host);
	bool discrete = any_discrete(m, found, n);
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct devmap_device *d = at_address(m, found[i].pci);
		char why[240];

		if (d && !(discrete && is_integrated(d))) {
			rc = add_gpu(c, &found[i], d, e);
			continue;
		}
		if (d)
			set_aside(why, sizeof(why), &found[i]);
		else
			undriven(why, sizeof(why), m, &found[i]);
		if (c->n_notes < DEVMAP_NOTES_MAX)
			text_copy(c->notes[c->n_notes++], sizeof(c->notes[0]), why);
	}
	return rc;
}

static int add_named(struct devmap_choice *c, const struct devmap *m, const struct report *r,
		     const char *item, struct err *e)
{
	const struct devmap_device *d = by_name(m, item);
	uint32_t index[PROBE_GPUS_MAX];
	int n;

	if (d && !d->pci[0])
		return add_software(c, d, e);
	n = probe_select(r, d ? d->pci : item, index, e);
	return n < 0 ? n : add_named_gpus(c, m, r, index, (uint32_t)n, e);
}

static int no_doubles(const struct devmap_choice *c, struct err *e)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct place *p = &c->places[i];

		for (uint32_t k = i + 1; k < c->n; k++)
			if (strcmp(p->pci, c->places[k].pci) == 0 &&
			    strcmp(p->engine_name, c->places[k].engine_name) == 0)
				return err_set(e, -EINVAL, "%s is named twice",
					       p->pci[0] ? p->pci : p->engine_name);
	}
	return 0;
}

static int add_selected(struct devmap_choice *c, const struct devmap *m, const struct report *r,
			const char *selector, struct err *e)
{
	char list[1024], *save = NULL;

	if (!text_copy(list, sizeof(list), selector))
		return err_set(e, -EINVAL, "the list of devices is too long");
	for (char *item = strtok_r(list, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		int rc = add_named(c, m, r, item, e);

		if (rc)
			return rc;
	}
	return c->n ? no_doubles(c, e) : err_set(e, -EINVAL, "the list of devices is empty");
}

/* Most free first, now that the engine has filled in what the probe did not know. Stable. */
static void sort_by_free(struct devmap_choice *c)
{
	for (uint32_t i = 1; i < c->n; i++) {
		struct place p = c->places[i];
		uint32_t at = i;

		for (; at > 0 && free_or_none(&c->places[at - 1]) < free_or_none(&p); at--)
			c->places[at] = c->places[at - 1];
		c->places[at] = p;
	}
}

int devmap_choose(struct devmap_choice *c, const struct devmap *m, const struct report *r,
		  const char *selector, struct err *e)
{
	int rc;

	memset(c, 0, sizeof(*c));
	c->host.free_bytes = r->cpu.ram_available;
	if (selector && strcasecmp(selector, "cpu") == 0)
		return 0;
	if (selector)
		return add_selected(c, m, r, selector, e);
	rc = add_all_gpus(c, m, r, e);
	sort_by_free(c);
	return rc;
}
