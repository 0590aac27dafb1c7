/* SPDX-License-Identifier: MIT */
/* The kernel log: whatever is kept of any bytes is printable, bounded, and reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool all(const char *text)
{
	(void)text;
	return true;
}

static void check_lines(const struct kmsg *k)
{
	char pci[24];

	for (uint32_t i = 0; i < k->n; i++) {
		own_free char *copy = strdup(k->lines[i].text);

		if (!copy)
			return;
		kmsg_scrub(copy);
		if (strcmp(copy, k->lines[i].text) != 0)
			abort(); /* something that names a machine was left */
		if (strcmp(text_clean(copy), k->lines[i].text) != 0)
			abort(); /* control characters were */
		if (kline_pci(k->lines[i].text, pci) != addr_ok(pci))
			abort();
		evidence_log_wanted(k->lines[i].text);
	}
}

static void check_again(const struct kmsg *k)
{
	own_free char *text = kmsg_text(k);
	struct kmsg again = { 0 };

	if (!text || kmsg_parse(&again, text, strlen(text), all))
		return;
	if (again.n != k->n)
		abort();
	for (uint32_t i = 0; i < k->n; i++)
		if (strcmp(again.lines[i].text, k->lines[i].text) != 0 ||
		    again.lines[i].timed != k->lines[i].timed ||
		    again.lines[i].usec != k->lines[i].usec)
			abort();
	kmsg_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	own_free char *text = strndup((const char *)bytes, size);
	struct kmsg k = { 0 };

	if (!text || kmsg_parse(&k, (const char *)bytes, size, all))
		return 0;
	check_lines(&k);
	check_again(&k);
	kmsg_free(&k);
	struct kver v = kver_parse(text);

	if (v.known && kver_compare(v, v) != 0)
		abort();
	for (size_t i = 0; i < n_kver_rules; i++)
		kver_rule_holds(&kver_rules[i], v);
	return 0;
}
