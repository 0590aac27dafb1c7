/* SPDX-License-Identifier: MIT */
/* Naming devices: titles for people, and the selector that people type. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "probe/probe_priv.h"

const struct gpu *report_gpu(const struct report *r, const char *pci)
{
	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (pci[0] && strcasecmp(r->gpus[i].pci, pci) == 0)
			return &r->gpus[i];
	return NULL;
}

void gpu_title(struct text *t, const struct gpu *g)
{
	const char *vendor = vendor_short(g->vendor);

	text_add(t, "%s  ", g->pci);
	if (fact_text_known(&g->name))
		text_add(t, "%s", g->name.v);
	else if (g->vendor)
		text_add(t, "%s%s%04x:%04x", vendor ? vendor : "", vendor ? " " : "", g->vendor,
			 g->device);
	else
		text_add(t, "unknown device");
}

/* "c1:00.0", "0000:C1:00.0" and NVIDIA's "00000000:C1:00.0" name the same function. */
static bool matches_address(const struct gpu *g, const char *token)
{
	char lower[32];
	size_t n = strlen(token);

	if (n >= sizeof(lower) - 5)
		return false;
	for (size_t i = 0; i <= n; i++)
		lower[i] = (char)tolower((unsigned char)token[i]);
	if (addr_ok(lower))
		return addr_compare(lower, g->pci) == 0;
	/* Without the domain; with several domains it may name several. */
	const char *rest = strchr(g->pci, ':');

	return rest && strcmp(rest + 1, lower) == 0;
}

static bool matches_uuid(const struct gpu *g, const char *token)
{
	size_t n = strlen(token);

	return n >= 8 && fact_text_known(&g->uuid) && strncasecmp(g->uuid.v, token, n) == 0;
}

static bool matches_name(const struct gpu *g, const char *token)
{
	return (fact_text_known(&g->name) && strcasestr(g->name.v, token)) ||
	       (fact_text_known(&g->device_name) && strcasestr(g->device_name.v, token));
}

/* In this order: what is an address or a UUID is never taken for a part of a name. */
static bool (*const matchers[])(const struct gpu *, const char *) = { matches_address, matches_uuid,
								      matches_name };

static void list_gpus(const struct report *r, struct text *t)
{
	for (uint32_t i = 0; i < r->n_gpus && !t->cut; i++) {
		text_add(t, "%s", i ? ", " : "");
		gpu_title(t, &r->gpus[i]);
	}
}

static int no_match(const struct report *r, const char *token, struct err *e)
{
	char buf[480];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	list_gpus(r, &t);
	return err_set(e, -ENODEV,
		       r->n_gpus ? "no device matches '%.60s'; there is: %s"
				 : "no device matches '%.60s'; this machine has no GPU%s",
		       token, buf);
}

static int several_match(const struct report *r, const char *token,
			 bool (*match)(const struct gpu *, const char *), struct err *e)
{
	char buf[480];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (match(&r->gpus[i], token))
			text_add(&t, "%s%s", t.len ? ", " : "", r->gpus[i].pci);
	return err_set(e, -EINVAL, "'%.60s' matches several devices: %s; give one address", token,
		       buf);
}

/* The index of the one GPU a token names. */
static int find_one(const struct report *r, const char *token, struct err *e)
{
	for (size_t k = 0; k < ARRAY_LEN(matchers); k++) {
		int found = -1, n = 0;

		for (uint32_t i = 0; i < r->n_gpus; i++) {
			if (!matchers[k](&r->gpus[i], token))
				continue;
			found = (int)i;
			n++;
		}
		if (n > 1)
			return several_match(r, token, matchers[k], e);
		if (n == 1)
			return found;
	}
	return no_match(r, token, e);
}

static int take(const struct report *r, const char *token, uint32_t *index, int n, struct err *e)
{
	int i = find_one(r, token, e);

	if (i < 0)
		return i;
	for (int k = 0; k < n; k++)
		if (index[k] == (uint32_t)i)
			return err_set(e, -EINVAL, "'%.60s' names %s a second time", token,
				       r->gpus[i].pci);
	index[n] = (uint32_t)i;
	return 0;
}

int probe_select(const struct report *r, const char *selector, uint32_t *index, struct err *e)
{
	int n = 0;

	for (const char *at = selector;; at++) {
		size_t len = strcspn(at, ",");
		char token[128];

		if (!len || len >= sizeof(token))
			return err_set(e, -EINVAL,
				       "'%.60s' is not a device selector; give ADDR, UUID or a "
				       "part of the name, separated by commas",
				       selector);
		memcpy(token, at, len);
		token[len] = '\0';
		int rc = take(r, token, index, n, e);

		if (rc)
			return rc;
		n++;
		at += len;
		if (!*at)
			return n;
	}
}
