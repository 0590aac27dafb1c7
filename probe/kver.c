/* SPDX-License-Identifier: MIT */
#include "probe/kver.h"

#include <string.h>

/* clang-format off */
/*
 * R: a field reference on PCIe hotplug and BAR allocation (2026-09). K: a field study of one Thunderbolt 5
 * box. Distributions carry fixes earlier than the version says, so no rule is certain.
 */
const struct kver_rule kver_rules[] = {
	{ "6.8.8", "6.10", NULL, true,
	  "the Thunderbolt driver resets the host router while it loads, which takes down the tunnel that "
	  "firmware built; its PCIe windows are then made anew, and smaller", "R" },
	{ "6.18", "7.1", "6.18.20", true,
	  "reworked PCI window sizing shrinks windows, so that a large BAR no longer fits", "R" },
	{ "6.19.10", "6.19.11", NULL, true,
	  "cards behind Thunderbolt drop from the bus minutes after boot; 6.19.6 does not do it",
	  "CachyOS/linux-cachyos#794" },
	{ "7.2", NULL, NULL, false,
	  "behind Thunderbolt 5, ports come up only when the host router is reset at load: "
	  "thunderbolt.host_reset=0 breaks them", "K" },
	{ NULL, "7.3", NULL, false,
	  "pci=hpmmiosize and hpmmioprefsize are multiplied at each nested hot-plug bridge", "R" },
};
/* clang-format on */

const size_t n_kver_rules = sizeof(kver_rules) / sizeof(kver_rules[0]);

/* Digits, at most six of them. */
static bool number(const char **s, uint32_t *v)
{
	const char *start = *s;

	*v = 0;
	while (**s >= '0' && **s <= '9' && *s - start < 6)
		*v = *v * 10 + (uint32_t)(*(*s)++ - '0');
	return *s > start && !(**s >= '0' && **s <= '9');
}

struct kver kver_parse(const char *release)
{
	struct kver v = { 0 };
	const char *s = release;

	if (!number(&s, &v.major) || *s++ != '.' || !number(&s, &v.minor))
		return (struct kver) { 0 };
	if (*s == '.' && (s++, !number(&s, &v.patch)))
		v.patch = 0; /* "6.1.x": the series is known all the same */
	const char *rc = strstr(s, "-rc");

	/* Fedora writes "6.17.0-0.rc3.1": the candidate stands after the package's zero. */
	if (!rc && strncmp(s, "-0.rc", 5) == 0)
		rc = s + 2;
	if (rc && (rc += 3, !number(&rc, &v.rc)))
		v.rc = 0;
	v.known = true;
	return v;
}

static int order(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

int kver_compare(struct kver a, struct kver b)
{
	const int by[] = { order(a.major, b.major), order(a.minor, b.minor),
			   order(a.patch, b.patch),
			   order(a.rc ? a.rc : UINT32_MAX, b.rc ? b.rc : UINT32_MAX) };

	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++)
		if (by[i])
			return by[i];
	return 0;
}

bool kver_at_least(struct kver v, const char *release)
{
	return v.known && kver_compare(v, kver_parse(release)) >= 0;
}

/* The same series, and not older: 6.18.22 has what went into 6.18.20. */
static bool has_backport(struct kver v, const char *release)
{
	struct kver f = kver_parse(release);

	return v.major == f.major && v.minor == f.minor && kver_compare(v, f) >= 0;
}

bool kver_rule_holds(const struct kver_rule *r, struct kver v)
{
	if (!v.known || (r->from && !kver_at_least(v, r->from)))
		return false;
	if (r->before && kver_at_least(v, r->before))
		return false;
	return !r->also_fixed || !has_backport(v, r->also_fixed);
}
