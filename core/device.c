/* SPDX-License-Identifier: MIT */
/* Matches the devices of a plan with those of the engine. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "core/device.h"

/* "0000:c1:00.0": groups of hex digits with these separators. */
static size_t pci_length(const char *s)
{
	static const char separators[] = "::.";
	size_t n = 0;

	for (int group = 0; group < 4; group++) {
		size_t start = n;

		while (isxdigit((unsigned char)s[n]))
			n++;
		if (n == start || n - start > 8)
			return 0;
		if (group < 3 && s[n++] != separators[group])
			return 0;
	}
	return n;
}

void device_pci(char pci[24], const char *id)
{
	size_t n = pci_length(id);

	pci[0] = 0;
	if (n == 0 || n >= 24 || (id[n] != 0 && id[n] != '-'))
		return;
	for (size_t i = 0; i < n; i++)
		pci[i] = (char)tolower((unsigned char)id[i]);
	pci[n] = 0;
}

static bool same(const struct plan_device *want, const struct engine_device *have)
{
	if (want->pci[0] == 0)
		return want->engine_name[0] != 0 && strcasecmp(want->engine_name, have->name) == 0;
	return strcasecmp(want->pci, have->pci) == 0 &&
	       (want->backend[0] == 0 || strcasecmp(want->backend, have->backend) == 0);
}

static const char *title(const struct plan_device *d)
{
	return d->pci[0]           ? d->pci
	       : d->engine_name[0] ? d->engine_name
				   : "a device without address or name";
}

static int absent(const struct plan_device *want, const struct engine_device *devices, uint32_t n,
		  struct err *e)
{
	char list[256];
	struct text t;

	text_init(&t, list, sizeof(list));
	for (uint32_t i = 0; i < n; i++)
		text_add(&t, "%s%s%s%s", i ? ", " : "", devices[i].name,
			 devices[i].pci[0] ? " at " : "", devices[i].pci);
	return err_set(e, -ENODEV, "the plan wants %s%s%s, but the engine has %s", title(want),
		       want->backend[0] ? " through " : "", want->backend,
		       n ? list : "no device at all");
}

int device_match(const struct plan *p, const struct engine_device *devices, uint32_t n,
		 uint32_t index[PLAN_DEVICES_MAX], struct err *e)
{
	for (uint32_t d = 0; d < p->n_devices; d++) {
		const struct plan_device *want = &p->devices[d];
		uint32_t i = 0;

		while (i < n && !same(want, &devices[i]))
			i++;
		if (i == n)
			return absent(want, devices, n, e);
		for (uint32_t before = 0; before < d; before++)
			if (index[before] == i)
				return err_set(e, -ENODEV, "the plan names %s twice", title(want));
		index[d] = i;
	}
	return 0;
}

int plan_runnable(const struct plan *p, struct err *e)
{
	const struct plan_flags *f = &p->flags;
	uint64_t layers = 0;

	if (p->verdict != VERDICT_FITS && p->verdict != VERDICT_SPILLS)
		return err_set(e, -EBADMSG,
			       "the plan's verdict is \"%s\": there is nothing to carry out",
			       verdict_name(p->verdict));
	if (f->n_ctx == 0 || f->n_batch == 0 || f->n_ubatch == 0 || f->n_seq_max == 0)
		return err_set(e, -EBADMSG,
			       "the plan's n_ctx, n_batch, n_ubatch and n_seq_max must not be 0");
	for (uint32_t i = 0; i < p->n_devices; i++)
		layers += p->devices[i].layers;
	if (layers != f->n_gpu_layers)
		return err_set(e, -EBADMSG,
			       "the plan's devices hold %llu layers, but n_gpu_layers is %u",
			       (unsigned long long)layers, f->n_gpu_layers);
	return 0;
}

static json_t *device_to_json(const struct engine_device *d)
{
	json_t *o = json_object();

	json_put_text(o, "name", d->name);
	json_put_text(o, "description", d->description);
	json_put_text(o, "backend", d->backend);
	json_put_text_or_null(o, "device_id", d->pci);
	json_put_text(o, "type", d->type);
	json_put_int(o, "total_bytes", (int64_t)d->total_bytes);
	json_put_int(o, "free_bytes", (int64_t)d->free_bytes);
	return o;
}

json_t *devices_to_json(const char *engine, const struct engine_device *devices, uint32_t n)
{
	json_t *o = json_answer("berth.devices/1"), *list = json_array();

	json_put_text(o, "engine", engine);
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, device_to_json(&devices[i]));
	json_object_set_new(o, "devices", list);
	return o;
}

void plan_of_draft(struct plan *draft, const struct plan *p)
{
	const struct plan_draft *d = &p->draft;

	*draft = (struct plan) { .verdict = VERDICT_SPILLS,
				 .accept = ACCEPT_CPU,
				 .n_layer = d->n_layer,
				 .flags = d->flags,
				 .host = { .layers = d->n_layer + 1 } };
	text_copy(draft->model_path, sizeof(draft->model_path), d->path);
	text_copy(draft->model_name, sizeof(draft->model_name), d->name);
	/* What it says next is all that it is asked */
	draft->flags.n_outputs_max = draft->flags.n_seq_max = p->flags.n_seq_max;
	draft->flags.n_gpu_layers = 0;
	if (d->device < 0)
		return;
	draft->n_devices = 1;
	draft->devices[0] = p->devices[d->device];
	draft->devices[0].layers = d->n_layer + 1;
	draft->flags.n_gpu_layers = d->n_layer + 1;
	draft->host.layers = 0;
}
