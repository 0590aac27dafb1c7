/* SPDX-License-Identifier: MIT */
/* A file of register rules: what is taken can be written and read back the same, and answers for any access. */
#include <stdlib.h>
#include <string.h>

#include "bar-forward/policy.h"

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
		if (t.cut || policy_parse(&back, written, NULL) || !same(&p, &back) ||
		    !policy_maps_alike(&p, &back))
			abort();
		for (uint32_t i = 0; i < p.n; i++) {
			const struct rule *r = &p.rules[i];

			if (policy_find(&p, r->bar, r->first, 1) != r ||
			    policy_find(&p, r->bar, r->last, 1) != r)
				abort();
		}
	}
	free(text);
	return 0;
}
