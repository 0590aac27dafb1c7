/* SPDX-License-Identifier: MIT */
/* What only NVIDIA's library tells, as a section of the report: reserved memory, ECC, MIG. */
#include "probe/nvidia.h"

#include <string.h>

#include "probe/lines_priv.h"
#include "probe/section.h"

/* clang-format off */
static const struct field rows[] = {
	FIELD_KEY(struct nvidia, vram_reserved, "vram_reserved_bytes", FIELD_FACT, UNIT_BYTES, "reserved"),
	FIELD(struct nvidia, pcie_gen, FIELD_FACT, UNIT_NONE, "PCIe generation"),
	FIELD(struct nvidia, pcie_width, FIELD_FACT, UNIT_NONE, "PCIe lanes"),
	FIELD(struct nvidia, pcie_max_gen, FIELD_FACT, UNIT_NONE, "most"),
	FIELD(struct nvidia, pcie_max_width, FIELD_FACT, UNIT_NONE, "most"),
	FIELD(struct nvidia, ecc, FIELD_FACT, UNIT_NONE, "ECC"),
	FIELD(struct nvidia, addressing, FIELD_FACT_TEXT, UNIT_NONE, "addressing"),
	FIELD(struct nvidia, virtualization, FIELD_FACT_TEXT, UNIT_NONE, "virtualization"),
	FIELD(struct nvidia, mig_on, FIELD_FACT, UNIT_NONE, "MIG"),
	FIELD(struct nvidia, mig_max, FIELD_FACT, UNIT_NONE, "MIG instances possible"),
};

static const struct field mig_rows[] = {
	FIELD(struct mig, uuid, FIELD_FACT_TEXT, UNIT_NONE, "UUID"),
	FIELD(struct mig, profile, FIELD_FACT_TEXT, UNIT_NONE, "profile"),
	FIELD(struct mig, gpu_instance, FIELD_FACT, UNIT_NONE, "GPU instance"),
	FIELD(struct mig, compute_instance, FIELD_FACT, UNIT_NONE, "compute instance"),
	FIELD_KEY(struct mig, vram_total, "vram_total_bytes", FIELD_FACT, UNIT_BYTES, "VRAM"),
	FIELD_KEY(struct mig, vram_used, "vram_used_bytes", FIELD_FACT, UNIT_BYTES, "used"),
	FIELD_KEY(struct mig, vram_free, "vram_free_bytes", FIELD_FACT, UNIT_BYTES, "free"),
};
/* clang-format on */

void nvidia_unknown(struct nvidia *nv, enum why why)
{
	nv->n_migs = 0;
	rows_unknown(rows, ARRAY_LEN(rows), nv, why);
}

static json_t *migs_to_json(const struct nvidia *nv)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < nv->n_migs; i++) {
		json_t *m = json_object();

		fields_to_json(m, mig_rows, ARRAY_LEN(mig_rows), &nv->migs[i]);
		json_array_append_new(a, m);
	}
	return a;
}

static void migs_from_json(struct nvidia *nv, const json_t *a)
{
	const json_t *one;
	size_t i;

	nv->n_migs = 0;
	json_array_foreach(a, i, one)
	{
		if (nv->n_migs == MIG_MAX)
			return;
		rows_from_json(one, mig_rows, ARRAY_LEN(mig_rows), &nv->migs[nv->n_migs++]);
	}
}

void nvidia_to_json(json_t *o, const struct nvidia *nv)
{
	fields_to_json(o, rows, ARRAY_LEN(rows), nv);
	json_object_set_new(o, "mig", migs_to_json(nv));
}

void nvidia_check(struct nvidia *nv)
{
	const struct fact_limit limits[] = {
		{ &nv->ecc, 1 },         { &nv->mig_on, 1 },        { &nv->pcie_gen, 16 },
		{ &nv->pcie_width, 32 }, { &nv->pcie_max_gen, 16 }, { &nv->pcie_max_width, 32 },
	};

	facts_limit(limits, ARRAY_LEN(limits));
	for (uint32_t i = 0; i < nv->n_migs; i++) {
		struct mig *m = &nv->migs[i];

		memory_check(&m->vram_total, &m->vram_used, &m->vram_free);
	}
}

void nvidia_from_json(struct nvidia *nv, const json_t *o)
{
	rows_from_json(o, rows, ARRAY_LEN(rows), nv);
	migs_from_json(nv, json_object_get(o, "mig"));
	nvidia_check(nv);
}

static bool same_migs(const struct nvidia *a, const struct nvidia *b)
{
	bool same = a->n_migs == b->n_migs;

	for (uint32_t i = 0; same && i < a->n_migs; i++)
		same = fields_same(mig_rows, ARRAY_LEN(mig_rows), &a->migs[i], &b->migs[i]);
	return same;
}

void nvidia_change(json_t *o, const struct nvidia *nv, const struct nvidia *told)
{
	fields_to_json_changed(o, rows, ARRAY_LEN(rows), nv, told);
	if (!same_migs(nv, told))
		json_object_set_new(o, "mig", migs_to_json(nv));
}

void nvidia_follow(struct nvidia *told, const json_t *change)
{
	const json_t *migs = json_object_get(change, "mig");

	rows_follow(change, rows, ARRAY_LEN(rows), told);
	if (migs)
		migs_from_json(told, migs);
}

static void json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	json_t *o = gpu_has_nvml(g) ? json_object() : json_null();

	(void)r;
	if (json_is_object(o))
		nvidia_to_json(o, &g->nvidia);
	json_object_set_new(gpu, "nvidia", o);
}

static void text_migs(FILE *to, const struct gpu *g)
{
	char size[TEXT_SIZE_MAX];
	struct line l;

	for (uint32_t i = 0; i < g->nvidia.n_migs; i++) {
		const struct mig *m = &g->nvidia.migs[i];

		line_init(&l);
		line_part(&l, "%s",
			  fact_text_known(&m->profile) ? m->profile.v : "profile unknown");
		if (fact_known(&m->vram_free))
			line_part(&l, "%s free", text_size(size, (uint64_t)m->vram_free.v));
		if (fact_text_known(&m->uuid))
			line_part(&l, "%s", m->uuid.v);
		line_print(to, i ? "" : "MIG", l.buf);
	}
	if (!g->nvidia.n_migs && fact_known(&g->nvidia.mig_on) && g->nvidia.mig_on.v)
		line_print(to, "MIG", "on, without an instance: nothing can compute on it");
}

static void text_details(FILE *to, const struct nvidia *nv)
{
	char size[TEXT_SIZE_MAX];
	struct line l;

	line_init(&l);
	if (fact_known(&nv->vram_reserved))
		line_part(&l, "%s of VRAM reserved",
			  text_size(size, (uint64_t)nv->vram_reserved.v));
	if (fact_known(&nv->pcie_gen) && fact_known(&nv->pcie_width))
		line_part(&l, "PCIe generation %d x%d now", (int)nv->pcie_gen.v,
			  (int)nv->pcie_width.v);
	if (fact_known(&nv->ecc))
		line_part(&l, "ECC %s", nv->ecc.v ? "on" : "off");
	if (fact_text_known(&nv->addressing))
		line_part(&l, "addressing %s", nv->addressing.v);
	if (fact_text_known(&nv->virtualization))
		line_part(&l, "virtualization %s", nv->virtualization.v);
	if (l.t.len)
		line_print(to, "NVML", l.buf);
}

static void text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	(void)r;
	text_migs(to, g);
	if (verbose)
		text_details(to, &g->nvidia);
}

const struct section section_nvidia = { .name = "nvidia", .json = json, .text = text };
