/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpulist.h"
#include "base/text.h"

static int number(const char **s, unsigned *v)
{
	char *end;

	if (**s < '0' || **s > '9')
		return -EINVAL;
	unsigned long n = strtoul(*s, &end, 10);

	if (n >= CPUS_MAX)
		return -ERANGE;
	*v = (unsigned)n;
	*s = end;
	return 0;
}

static int range(const char **s, struct cpuset *set)
{
	unsigned first, last, step = 1;
	int rc = number(s, &first);

	last = first;
	if (!rc && **s == '-') {
		++*s;
		rc = number(s, &last);
		if (!rc && **s == ':') {
			++*s;
			rc = number(s, &step);
		}
	}
	if (rc)
		return rc;
	if (last < first || !step)
		return -EINVAL;
	for (unsigned i = first; i <= last; i += step)
		set->bits[i / 8] |= (uint8_t)(1u << (i % 8));
	return 0;
}

int cpulist_parse(const char *list, struct cpuset *set)
{
	memset(set, 0, sizeof(*set));
	if (!*list)
		return 0;
	for (;;) {
		int rc = range(&list, set);

		if (rc)
			return rc;
		if (!*list)
			return 0;
		if (*list++ != ',')
			return -EINVAL;
	}
}

bool cpuset_has(const struct cpuset *set, unsigned cpu)
{
	return cpu < CPUS_MAX && set->bits[cpu / 8] >> (cpu % 8) & 1;
}

static unsigned next(const struct cpuset *set, unsigned from)
{
	while (from < CPUS_MAX && !cpuset_has(set, from))
		from++;
	return from;
}

/* The last member of the run that starts at `first` and goes on every `step`. */
static unsigned run_end(const struct cpuset *set, unsigned first, unsigned step)
{
	unsigned last = first;

	/* A stride may not jump over a member: the text names members in order, each once. */
	while (cpuset_has(set, last + step) && next(set, last + 1) == last + step)
		last += step;
	return last;
}

static void write_list(const struct cpuset *set, bool strides, struct text *t)
{
	for (unsigned i = next(set, 0); i < CPUS_MAX && !t->cut;) {
		unsigned step = 1, last = run_end(set, i, 1);

		if (last == i && strides && next(set, i + 1) < CPUS_MAX) {
			step = next(set, i + 1) - i;
			last = run_end(set, i, step);
			if (last < i + 2 * step)
				last = i;
		}
		text_add(t, "%s%u", t->len ? "," : "", i);
		if (last > i)
			text_add(t, "-%u", last);
		if (last > i && step > 1)
			text_add(t, ":%u", step);
		i = next(set, last + 1);
	}
}

bool cpulist_text(const struct cpuset *set, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	write_list(set, false, &t);
	if (!t.cut)
		return true;
	text_init(&t, buf, size);
	write_list(set, true, &t);
	if (t.cut)
		buf[0] = '\0';
	return !t.cut;
}
