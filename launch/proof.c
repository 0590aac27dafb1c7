/* SPDX-License-Identifier: MIT */
#include "launch/proof.h"

/* "=": as planned, within what the engine rounds away */
static void cell(struct text *t, const struct proof_row *r, enum proof_kind k)
{
	char size[TEXT_SIZE_MAX], difference[TEXT_SIZE_MAX] = "=";
	int64_t d = (int64_t)(r->measured[k] - r->planned[k]);

	if (d > (int64_t)r->rounding_bytes || d < -(int64_t)r->rounding_bytes)
		text_size_signed(difference, d);
	text_add(t, " %9s %-10s", text_size(size, r->measured[k]), difference);
}

/*
 * What is gone from a device's free memory besides the engine's account, and what the plan set aside for
 * that, with the margin in it. Nobody can tell for the host, and for software.
 */
static void other_cell(struct text *t, const struct proof_row *r)
{
	char other[TEXT_SIZE_MAX], of[TEXT_SIZE_MAX];

	if (r->other_measured == TELEM_UNKNOWN)
		text_add(t, " %9s", "unknown");
	else
		text_add(t, " %9s of %s", text_size(other, r->other_measured),
			 text_size(of, r->overhead_planned));
}

void proof_text(struct text *t, const struct proof *p)
{
	text_add(t, "%-13s %6s %9s %-10s %9s %-10s %9s %-10s %9s\n", "", "layers", "weights",
		 "(plan)", "KV", "(plan)", "compute", "(plan)", "other");
	for (uint32_t i = 0; i < p->n; i++) {
		const struct proof_row *r = &p->rows[i];

		text_add(t, "%-13s %6u", r->pci[0] ? r->pci : r->name, r->layers_found);
		for (int k = 0; k < PROOF_KINDS; k++)
			cell(t, r, (enum proof_kind)k);
		other_cell(t, r);
		text_add(t, "\n");
	}
}

static json_t *bytes_object(const uint64_t bytes[PROOF_KINDS], const char *last,
			    uint64_t last_bytes)
{
	static const char *const keys[] = {
		[PROOF_WEIGHTS] = "weights_bytes",
		[PROOF_KV] = "kv_bytes",
		[PROOF_COMPUTE] = "compute_bytes",
	};
	json_t *o = json_object();

	for (int k = 0; k < PROOF_KINDS; k++)
		json_put_int(o, keys[k], (int64_t)bytes[k]);
	if (last_bytes == TELEM_UNKNOWN)
		json_put_null(o, last);
	else
		json_put_int(o, last, (int64_t)last_bytes);
	return o;
}

json_t *proof_to_json(const struct proof *p)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < p->n; i++) {
		const struct proof_row *r = &p->rows[i];
		json_t *o = json_object();

		json_put_text_or_null(o, "pci", r->pci);
		json_put_text(o, "name", r->name);
		json_put_text(o, "backend", r->backend);
		json_put_int(o, "layers_planned", r->layers_planned);
		json_put_int(o, "layers_found", r->layers_found);
		json_object_set_new(
			o, "planned",
			bytes_object(r->planned, "overhead_bytes", r->overhead_planned));
		json_object_set_new(o, "measured",
				    bytes_object(r->measured, "other_bytes", r->other_measured));
		json_put_int(o, "rounding_bytes", (int64_t)r->rounding_bytes);
		json_put_bool(o, "exact", r->exact);
		json_array_append_new(all, o);
	}
	return all;
}
