/* SPDX-License-Identifier: MIT */
/* What the kernel says of a DRM client; the same text as two claims on one GPU. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct holders h;
	own_free char *text = malloc(size + 1);
	struct claims c = { 0 };
	struct fdinfo f;

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	if (fdinfo_parse(text, &f)) {
		struct claim claim = { .pid = 1,
				       .vram = f.vram,
				       .host = f.host,
				       .has_client = true,
				       .client = f.client,
				       .engines = f.engines };

		if (f.pdev[0] && !addr_ok(f.pdev))
			abort();
		claims_add(&c, &claim);
		claim.client++;
		claims_add(&c, &claim);
		claims_of_gpu(&c, 0, &h);
		if (h.n_procs != 1 || (fact_known(&h.procs[0].vram) && h.procs[0].vram.v < 0))
			abort();
		claims_fini(&c);
	}
	return 0;
}
