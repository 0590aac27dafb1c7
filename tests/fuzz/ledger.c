/* SPDX-License-Identifier: MIT */
/* What a killed launch left of its power limits: torn, doubled, or somebody else's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "launch/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct ledger l;

	ledger_parse(&l, (const char *)bytes, size);
	if (l.n > PLAN_DEVICES_MAX || !memchr(l.run, 0, sizeof(l.run)))
		abort();
	for (uint32_t i = 0; i < l.n; i++) {
		const struct ledger_cap *c = &l.caps[i];

		if (!c->pci[0] || !c->whom[0] || !memchr(c->pci, 0, sizeof(c->pci)) ||
		    !memchr(c->whom, 0, sizeof(c->whom)) || !memchr(c->txn, 0, sizeof(c->txn)) ||
		    !memchr(c->cap, 0, sizeof(c->cap)))
			abort();
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(l.caps[k].whom, c->whom) == 0)
				abort();
	}
	return 0;
}
