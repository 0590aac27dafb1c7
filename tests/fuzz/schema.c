/* SPDX-License-Identifier: MIT */
/* A JSON schema of a client, made into a grammar; what is refused has a sentence. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	json_t *schema = json_loadb((const char *)bytes, size, JSON_DECODE_ANY, NULL);
	struct bytes b = { .p = NULL };
	struct err e = { 0 };
	int rc = schema ? schema_grammar(&b, schema, &e) : -EINVAL;

	if (schema && rc && !e.text[0])
		abort();
	bytes_add(&b, "", 1);
	/* Lines of "name ::= text", and one of them is the root */
	if (rc == 0 && !strstr(b.p, "\nroot ::= r"))
		abort();
	if (rc == 0 && strstr(b.p, "\n\n"))
		abort();
	bytes_fini(&b);
	json_decref(schema);
	return 0;
}
