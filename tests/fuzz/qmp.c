/* SPDX-License-Identifier: MIT */
/*
 * What a monitor says, a line an object: whatever it is, each command that we send is one line of JSON, and nothing is unplugged
 * that was not found.
 */
#include <stdlib.h>
#include <string.h>

#include "bar-forward/qmp.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct qmp *q, const char *out)
{
	size_t n = strlen(out);
	json_t *o;

	if (!n)
		return;
	o = json_parse(out, n, "our own command", NULL);
	if (!o || out[n - 1] != '\n' || strchr(out, '\n') != out + n - 1)
		abort();
	if (strcmp(json_string_value(json_object_get(o, "execute")), "device_del") == 0 &&
	    (q->msix || !q->n || !q->chosen[0]))
		abort();
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char out[QMP_COMMAND];
	struct qmp q;
	struct err e = { 0 };

	if (!size)
		return 0;
	if (bytes[0] & 1)
		qmp_begin_mute(&q, "/run/gpu.sock", bytes[0] & 2, out, sizeof(out));
	else
		qmp_begin(&q, "/run/gpu.sock", bytes[0] & 2);
	bytes++;
	size--;
	while (size && q.step != QMP_DONE) {
		const uint8_t *end = memchr(bytes, '\n', size);
		size_t n = end ? (size_t)(end - bytes) + 1 : size;

		if (qmp_take(&q, (const char *)bytes, n, out, sizeof(out), &e))
			break;
		check(&q, out);
		bytes += n;
		size -= n;
	}
	return 0;
}
