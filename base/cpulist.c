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

struct range {
	unsigned first, last, step;
};

static int range(const char **s, struct range *r)
{
	int rc = number(s, &r->first);

	r->last = r->first;
	r->step = 1;
	if (!rc && **s == '-') {
		++*s;
		rc = number(s, &r->last);
		if (!rc && **s == ':') {
			++*s;
			rc = number(s, &r->step);
		}
	}
	if (rc)
		return rc;
	return r->last < r->first || !r->step ? -EINVAL : 0;
}

/* After a range: 1 another follows, 0 the list ends, else -EINVAL. */
static int more(const char **s)
{
	if (!**s)
		return 0;
	return *(*s)++ == ',' ? 1 : -EINVAL;
}

int cpulist_parse(const char *list, struct cpuset *set)
{
	memset(set, 0, sizeof(*set));
	if (!*list)
		return 0;
	for (;;) {
		struct range r;
		int rc = range(&list, &r);

		if (rc)
			return rc;
		for (unsigned i = r.first; i <= r.last; i += r.step)
			set->bits[i / 8] |= (uint8_t)(1u << (i % 8));
		rc = more(&list);
		if (rc <= 0)
			return rc;
	}
}

int cpulist_order(const char *list, unsigned *cpus, int max)
{
	int n = 0;

	for (;;) {
		struct range r;
		int rc = range(&list, &r);

		for (unsigned i = r.first; !rc && i <= r.last; i += r.step) {
			if (n == max)
				return -ERANGE;
			cpus[n++] = i;
		}
		if (!rc)
			rc = more(&list);
		if (rc <= 0)
			return rc ? rc : n;
	}
}

bool cpulist_order_text(const unsigned *cpus, int n, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	for (int i = 0, end; i < n; i = end + 1) {
		unsigned step = i + 1 < n && cpus[i + 1] > cpus[i] ? cpus[i + 1] - cpus[i] : 0;

		for (end = i; step && end + 1 < n && cpus[end + 1] == cpus[end] + step;)
			end++;
		if (step > 1 && end == i + 1)
			end = i; /* two are no stride: the second may begin a run */
		text_add(&t, "%s%u", i ? "," : "", cpus[i]);
		if (end > i)
			text_add(&t, "-%u", cpus[end]);
		if (end > i && step > 1)
			text_add(&t, ":%u", step);
	}
	if (t.cut)
		buf[0] = '\0';
	return !t.cut;
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

bool cpulist_ranges(const struct cpuset *set, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	write_list(set, false, &t);
	if (t.cut)
		buf[0] = '\0';
	return !t.cut;
}

bool cpulist_text(const struct cpuset *set, char *buf, size_t size)
{
	struct text t;

	if (cpulist_ranges(set, buf, size))
		return true;
	text_init(&t, buf, size);
	write_list(set, true, &t);
	if (t.cut)
		buf[0] = '\0';
	return !t.cut;
}
