/* SPDX-License-Identifier: MIT */
#include "launch/powerwish.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* A number of watts with a fraction at most, or "default": the rest is the driver's to judge. */
static bool is_cap(const char *s)
{
	size_t digits = strspn(s, "0123456789"), more;

	if (strcasecmp(s, "default") == 0)
		return true;
	if (digits == 0 || digits > 5)
		return false;
	if (s[digits] != '.')
		return s[digits] == '\0';
	more = strspn(s + digits + 1, "0123456789");
	return more > 0 && more <= 3 && s[digits + 1 + more] == '\0';
}

/* "06:00.0" is one of the first domain, as elsewhere. */
static bool take_address(char to[24], const char *s, size_t n)
{
	static const char form[] = "xx:xx.x";
	const char *end = s + n, *at = n >= sizeof(form) - 1 ? end - (sizeof(form) - 1) : NULL;

	for (size_t i = 0; at && i < sizeof(form) - 1; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)at[i]) : at[i] != form[i])
			return false;
	if (!at || n > 16 || (at > s && (at[-1] != ':' || at - s < 5)))
		return false;
	for (const char *p = s; p < at - 1; p++)
		if (!isxdigit((unsigned char)*p))
			return false;
	snprintf(to, 24, "%s%.*s", at == s ? "0000:" : "", (int)n, s);
	for (char *p = to; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return true;
}

static int take_named(struct power_wish *w, const char *item, const char *equals, struct err *e)
{
	struct power_one *one = &w->list[w->n];

	if (w->n == PLAN_DEVICES_MAX)
		return err_set(e, -EINVAL, "more than %d devices are named", PLAN_DEVICES_MAX);
	if (!take_address(one->pci, item, (size_t)(equals - item)))
		return err_set(e, -EINVAL, "'%.*s' is no PCI address such as 0000:03:00.0",
			       (int)(equals - item), item);
	if (!is_cap(equals + 1))
		return err_set(e, -EINVAL, "'%s' is no number of watts, nor 'default'", equals + 1);
	for (uint32_t i = 0; i < w->n; i++)
		if (strcmp(w->list[i].pci, one->pci) == 0)
			return err_set(e, -EINVAL, "%s is named twice", one->pci);
	text_copy(one->cap, sizeof(one->cap), equals + 1);
	w->n++;
	return 0;
}

static int take_item(struct power_wish *w, const char *item, struct err *e)
{
	const char *equals = strchr(item, '=');

	if (equals)
		return take_named(w, item, equals, e);
	if (!is_cap(item))
		return err_set(e, -EINVAL,
			       "'%s' is no number of watts, 'default', 'none' or ADDR=W", item);
	if (w->all[0])
		return err_set(e, -EINVAL, "two limits for all GPUs, %s and %s", w->all, item);
	text_copy(w->all, sizeof(w->all), item);
	return 0;
}

int power_wish_parse(struct power_wish *w, const char *text, struct err *e)
{
	char item[64];
	int rc = 0;

	*w = (struct power_wish) { 0 };
	if (!text || strcasecmp(text, POWER_CAP_NONE) == 0)
		return 0;
	for (const char *s = text, *comma = s; rc == 0 && comma; s = comma + 1) {
		comma = strchr(s, ',');
		snprintf(item, sizeof(item), "%.*s", (int)strcspn(s, ","), s);
		rc = take_item(w, item, e);
	}
	return rc;
}

const char *power_wish_of(const struct power_wish *w, const char *pci)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (strcasecmp(w->list[i].pci, pci) == 0)
			return w->list[i].cap;
	return w->all[0] ? w->all : NULL;
}

static bool uses(const struct plan *p, const char *pci)
{
	for (uint32_t d = 0; d < p->n_devices; d++)
		if (strcasecmp(p->devices[d].pci, pci) == 0)
			return true;
	return false;
}

int power_wish_check(const struct power_wish *w, const struct plan *p, struct err *e)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (!uses(p, w->list[i].pci))
			return err_set(
				e, -EINVAL,
				"--power-cap names %s, which the plan does not use; --device "
				"chooses",
				w->list[i].pci);
	return 0;
}
