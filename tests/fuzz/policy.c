/* SPDX-License-Identifier: MIT */
/*
 * A file of register rules: what is taken can be written and read back the same, and answers for any access; and no page is
 * mapped by it that another rule, the table of MSI-X or a mirror of configuration space lies on.
 */
#include <stdlib.h>
#include <string.h>

#include "bar-forward/policy.h"
#include "bar-forward/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool same(const struct policy *a, const struct policy *b)
{
	if (a->n != b->n || memcmp(a->begin, b->begin, sizeof(a->begin)))
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->rules[i].bar != b->rules[i].bar || a->rules[i].first != b->rules[i].first ||
		    a->rules[i].last != b->rules[i].last || a->rules[i].act != b->rules[i].act ||
		    a->rules[i].value != b->rules[i].value)
			return false;
	return true;
}

static void put(uint8_t *at, uint32_t bytes, uint32_t v)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

/* NVIDIA's, with MSI-X on two pages of BAR 3. */
static void make_card(struct dev_facts *f, uint8_t *config)
{
	static const uint64_t sizes[CFG_BARS] = { 16 << 20, 256 << 20, 0, 64 << 10, 0, 128 };

	for (uint32_t i = 0; i < CFG_BARS; i++)
		f->region[i] =
			(struct dev_region) { .size = sizes[i], .map = i != 5, .io = i == 5 };
	f->region[DEV_CONFIG].size = CFG_SIZE;
	put(config, 4, 0x268410de);
	put(config + 0x06, 2, 0x10);
	put(config + 0x08, 4, 0x03000000);
	put(config + 0x14, 4, 0xc);
	put(config + 0x1c, 4, 0xc);
	put(config + 0x34, 1, 0x40);
	put(config + 0x40, 4, 0x00080011);
	put(config + 0x44, 4, 0x3);
	put(config + 0x48, 4, 0x8003);
}

static bool meets(const struct vu_area *a, uint64_t first, uint64_t last)
{
	return a->offset <= last && a->offset + a->size > first;
}

static void check_area(const struct policy *p, uint32_t bar, const struct vu_area *a,
		       uint64_t before, uint64_t size)
{
	if ((a->offset | a->size) % POLICY_PAGE || !a->size || a->offset < before ||
	    a->offset + a->size > size)
		abort();
	for (uint32_t i = 0; i < p->n; i++)
		if (p->rules[i].bar == bar && p->rules[i].act != POLICY_MAP &&
		    meets(a, p->rules[i].first, p->rules[i].last))
			abort();
	if ((bar == 3 && (meets(a, 0, 0xfff) || meets(a, 0x8000, 0x8fff))) ||
	    (bar == 0 && (meets(a, 0x88000, 0x88fff) || meets(a, 0x1800, 0x18ff))))
		abort();
}

static void map_by(const struct policy *p, enum grant_mode mode, bool hands_over)
{
	static struct dev_facts f;
	static uint8_t config[CFG_SIZE];
	static struct shaped got;
	struct shape s = { .mode = mode, .bar = { [1] = 64 << 20 } };

	make_card(&f, config);
	f.hands_over = hands_over;
	if (shape_device(&got, &s, &f, config, p, NULL))
		return;
	if (grants_any(&got.grants) &&
	    (mode == GRANT_TRAP ||
	     (hands_over && (policy_has(p, POLICY_DENY) || policy_has(p, POLICY_MASK)))))
		abort();
	for (uint32_t bar = 0; bar < CFG_BARS; bar++) {
		const struct grant *g = &got.grants.bar[bar];

		for (uint32_t i = 0; i < g->n; i++)
			check_area(p, bar, &g->areas[i],
				   i ? g->areas[i - 1].offset + g->areas[i - 1].size : 0,
				   got.size[bar]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct policy p, back;
	static char written[POLICY_RULES_MAX * 80];
	char *text = calloc(1, size + 1);
	struct text t;

	memcpy(text, bytes, size);
	if (!policy_parse(&p, text, NULL)) {
		text_init(&t, written, sizeof(written));
		policy_text(&p, &t);
		if (t.cut || policy_parse(&back, written, NULL) || !same(&p, &back))
			abort();
		for (uint32_t i = 0; i < p.n; i++) {
			const struct rule *r = &p.rules[i];

			if (policy_find(&p, r->bar, r->first, 1) != r ||
			    policy_find(&p, r->bar, r->last, 1) != r)
				abort();
		}
		for (int mode = GRANT_AUTO; mode <= GRANT_HYBRID; mode++)
			for (int over = 0; over < 2; over++)
				map_by(&p, (enum grant_mode)mode, over);
	}
	free(text);
	return 0;
}
