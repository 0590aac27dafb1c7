/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "launch/verify.h"

static const char *title(const struct wire_device *d)
{
	return d->pci[0] ? d->pci : d->name;
}

/* The device of the report that a layer belongs on: the host first, then the devices in order. */
static uint32_t planned_device(const struct plan *p, uint32_t layer)
{
	uint32_t host = p->n_layer + 1 - p->flags.n_gpu_layers, end = host;

	if (layer < host)
		return p->n_devices;
	for (uint32_t d = 0; d < p->n_devices; d++) {
		end += p->devices[d].layers;
		if (layer < end)
			return d;
	}
	return p->n_devices;
}

/* The report's devices must be the plan's, by address; by the engine's name where there is none. */
static int verify_devices(const struct plan *p, const struct wire_ready *r, struct err *e)
{
	if (r->n_devices != p->n_devices + 1)
		return err_set(e, -EXDEV, "the plan has %u devices, but the engine uses %u",
			       p->n_devices, r->n_devices - 1);
	for (uint32_t d = 0; d < p->n_devices; d++) {
		const struct plan_device *want = &p->devices[d];
		const char *planned = want->pci[0] ? want->pci : want->engine_name;
		const char *found = want->pci[0] ? r->devices[d].pci : r->devices[d].name;

		if (strcasecmp(planned, found) != 0)
			return err_set(e, -EXDEV,
				       "device %u was planned to be %s, but the engine uses %s", d,
				       planned, title(&r->devices[d]));
	}
	return 0;
}

/* "0000:c1:00.0 (CUDA0)" for a name of the engine's */
static void where(char *buf, size_t size, const struct wire_ready *r, const char *name)
{
	struct text t;

	text_init(&t, buf, size);
	for (uint32_t d = 0; d < r->n_devices; d++)
		if (r->devices[d].pci[0] && strcmp(r->devices[d].name, name) == 0)
			text_add(&t, "%s (%s)", r->devices[d].pci, name);
	if (t.len == 0)
		text_add(&t, "%s", name[0] ? name : "a device that the engine did not name");
}

/* All of a draft is in one place. */
static int verify_draft(const struct plan *p, const struct wire_ready *r, struct err *e)
{
	uint32_t n = p->draft.n_max ? p->draft.n_layer + 1 : 0;
	uint32_t at = p->draft.device < 0 ? p->n_devices : (uint32_t)p->draft.device;

	if (r->n_draft_layers != n)
		return err_set(e, -EXDEV,
			       "the plan places %u layers of a draft, its output one of them, but "
			       "the engine placed %u",
			       n, r->n_draft_layers);
	for (uint32_t i = 0; i < n; i++) {
		char planned[80], found[80];

		if (strcmp(r->devices[at].name, r->draft_layers[i]) == 0)
			continue;
		where(planned, sizeof(planned), r, r->devices[at].name);
		where(found, sizeof(found), r, r->draft_layers[i]);
		return err_set(e, -EXDEV,
			       "layer %u of the draft was planned for %s, but the engine put it "
			       "on %s",
			       i, planned, found);
	}
	return 0;
}

int verify_placement(const struct plan *p, const struct wire_ready *r, struct err *e)
{
	int rc = verify_devices(p, r, e);

	if (rc)
		return rc;
	if (r->n_layers != p->n_layer + 1)
		return err_set(e, -EXDEV,
			       "the plan places %u layers and the output, but the engine placed %u",
			       p->n_layer, r->n_layers ? r->n_layers - 1 : 0);
	for (uint32_t i = 0; i < r->n_layers; i++) {
		const char *want = r->devices[planned_device(p, i)].name, *have = r->layers[i];
		char planned[80], found[80], layer[24] = "the output";

		if (strcmp(want, have) == 0)
			continue;
		where(planned, sizeof(planned), r, want);
		where(found, sizeof(found), r, have);
		if (i < p->n_layer)
			snprintf(layer, sizeof(layer), "layer %u", i);
		return err_set(e, -EXDEV, "%s was planned for %s, but the engine put it on %s",
			       layer, planned, found);
	}
	return verify_draft(p, r, e);
}

static bool within(uint64_t a, uint64_t b, uint64_t tolerance)
{
	return (a > b ? a - b : b - a) <= tolerance;
}

static void fill(struct proof_row *row, const struct wire_device *found,
		 const struct plan_buffers *b, uint32_t layers)
{
	text_copy(row->name, sizeof(row->name), found->name);
	text_copy(row->pci, sizeof(row->pci), found->pci);
	text_copy(row->backend, sizeof(row->backend), found->backend);
	row->layers_planned = layers;
	row->layers_found = found->layers;
	row->planned[PROOF_WEIGHTS] = b->weights_bytes;
	row->planned[PROOF_KV] = b->kv_bytes;
	row->planned[PROOF_COMPUTE] = b->compute_bytes;
	row->measured[PROOF_WEIGHTS] = found->bytes.weights;
	row->measured[PROOF_KV] = found->bytes.kv;
	row->measured[PROOF_COMPUTE] = found->bytes.compute;
	row->overhead_planned = b->overhead_bytes;
	row->other_measured = found->bytes.other;
	row->rounding_bytes = found->rounding_bytes;
	row->exact = within(row->planned[PROOF_WEIGHTS], row->measured[PROOF_WEIGHTS],
			    row->rounding_bytes) &&
		     within(row->planned[PROOF_KV], row->measured[PROOF_KV], row->rounding_bytes);
}

void proof_make(struct proof *proof, const struct plan *p, const struct wire_ready *r)
{
	memset(proof, 0, sizeof(*proof));
	for (uint32_t d = 0; d < p->n_devices && d + 1 < r->n_devices; d++)
		fill(&proof->rows[proof->n++], &r->devices[d], &p->devices[d].buffers,
		     p->devices[d].layers);
	fill(&proof->rows[proof->n++], &r->devices[r->n_devices - 1], &p->host.buffers,
	     p->host.layers);
	proof->unplaced_bytes = r->unplaced_bytes;
}
