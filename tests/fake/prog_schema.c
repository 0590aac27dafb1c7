/* SPDX-License-Identifier: MIT */
/* For each JSON schema, a line of standard input: its grammar, or why there is none, as {"grammar"} or {"error"}. */
#include <stdio.h>
#include <stdlib.h>

#include "core/schema.h"

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		json_t *schema = json_loads(line, JSON_DECODE_ANY, NULL), *o = json_object();
		struct bytes b = { .p = NULL };
		struct err e = { 0 };

		if (!schema)
			return 1;
		if (schema_grammar(&b, schema, &e))
			json_put_text(o, "error", e.text);
		else
			json_object_set_new(o, "grammar", json_stringn(b.p, b.n));
		json_print_line(o, stdout);
		bytes_fini(&b);
		json_decref(schema);
		json_decref(o);
	}
	free(line);
	return 0;
}
