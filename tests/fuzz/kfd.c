/* SPDX-License-Identifier: MIT */
/* KFD's pairs of name and number: a node, a memory bank and every key of a link. */
#include <stdlib.h>
#include <string.h>

#include "probe/kfd_priv.h"
#include "probe/probe_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const keys[] = { "type", "node_to", "max_bandwidth", NULL };
	char *text = malloc(size + 1);
	struct kfd_node n;
	uint64_t v;

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	if (kfd_node_parse(text, &n) && !addr_ok(n.pci))
		abort();
	if (kfd_bank_bytes(text) > INT64_MAX)
		abort();
	keep_lines(text, keys);
	for (size_t i = 0; keys[i]; i++)
		kfd_value(text, keys[i], &v);
	free(text);
	return 0;
}
