/* SPDX-License-Identifier: MIT */
/* The agent "nvml": an object is a PCI address, a value is a power limit in milliwatts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "device/agent.h"
#include "device/power.h"
#include "probe/probe.h"

#define ANSWERS_MAX (1u << 20)

int nvml_agent_call(const struct machine *m, const char *object, const char *value, struct err *e)
{
	struct power_limit l;
	uint64_t mw;

	(void)m;
	if (text_parse_u64(value, &mw) || mw == 0 || mw > UINT32_MAX)
		return err_set(e, -EINVAL, "'%.40s' is no number of milliwatts", value);
	return power_limit_set(object, (uint32_t)mw, POWER_LIMIT_TIMEOUT_MS, &l, e);
}

/* Of a captured machine: what the probe was answered there. */
static int look_in_folder(const struct machine *m, const char *pci, int64_t *mw)
{
	own_free char *bytes = malloc(ANSWERS_MAX);
	long n = bytes ? machine_read_bytes(m, "answers/nvml.json", bytes, ANSWERS_MAX) : -ENOMEM;
	json_t *o = n > 0 ? json_parse(bytes, (size_t)n, "answers/nvml.json", NULL) : NULL;
	const json_t *d = json_object_get(json_object_get(o, "devices"), pci);
	struct fact now = json_get_fact(d, "power_cap_mw");

	json_decref(o);
	*mw = now.v;
	return d && fact_known(&now) ? 0 : -ENODATA;
}

static int look_live(const char *pci, int64_t *mw, struct err *e)
{
	struct power_limit l;
	int rc = power_limit_read(pci, POWER_LIMIT_TIMEOUT_MS, &l, e);

	*mw = rc ? 0 : l.now_mw.v;
	return rc || fact_known(&l.now_mw) ? rc : -ENODATA;
}

int nvml_agent_look(const struct machine *m, const char *object, char *said, size_t size,
		    struct err *e)
{
	int64_t mw;
	int rc = m->live ? look_live(object, &mw, e) : look_in_folder(m, object, &mw);

	if (rc == -ENODATA)
		return err_set(e, rc, "%s: nobody tells its power limit", object);
	if (rc == 0)
		snprintf(said, size, "%" PRId64, mw);
	return rc;
}
