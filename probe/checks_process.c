/* SPDX-License-Identifier: MIT */
/* Checks of what is done about faults: recoveries without end, and kernels known for a fault. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

/* --- recoveries --- */

/* A field study (A) stopped at three attempts, after a machine had tried 21 times in nine minutes. */
#define ATTEMPTS_MAX 3
#define WINDOW_USEC  (600u * 1000000u)

/* The latest attempts of one device. */
struct attempts {
	char pci[24];
	uint64_t usec[ATTEMPTS_MAX]; /* a ring */
	uint32_t n;
	struct finding *found;
};

static bool names_attempt(const struct doctor_check *c, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(c->log) && c->log[i]; i++)
		if (strstr(text, c->log[i]))
			return true;
	return false;
}

/* One more; true when it and the ATTEMPTS_MAX before it lie within the window. */
static bool too_many(struct attempts *a, uint64_t usec)
{
	uint64_t *oldest = &a->usec[a->n % ATTEMPTS_MAX];
	bool full = a->n >= ATTEMPTS_MAX;
	bool storm = full && usec >= *oldest && usec - *oldest <= WINDOW_USEC;

	*oldest = usec;
	a->n++;
	return storm;
}

static void recovery_storm(const struct exam *x)
{
	struct attempts all[PROBE_GPUS_MAX] = { 0 };
	const struct kmsg *k = &x->ev->log;
	size_t n = 0;

	for (uint32_t i = 0; i < k->n; i++) {
		const struct kline *l = &k->lines[i];
		char pci[24];
		size_t a = 0;

		if (!l->timed || !names_attempt(x->c, l->text) || !kline_pci(l->text, pci))
			continue;
		while (a < n && strcmp(all[a].pci, pci) != 0)
			a++;
		if (a == ARRAY_LEN(all))
			continue;
		if (a == n)
			text_copy(all[n++].pci, sizeof(all[a].pci), pci);
		if (too_many(&all[a], l->usec) && !all[a].found)
			all[a].found = found_line(x, pci, l);
		if (all[a].found)
			all[a].found->times = all[a].n;
	}
}

/* --- kernels --- */

/* Of several faults the one that was mended last says which kernel is free of all. */
static void known_fault(const struct exam *x)
{
	const struct kver_rule *last = NULL;
	bool external = false;
	char says[240];
	struct text t;

	for (uint32_t i = 0; i < x->r->n_gpus; i++)
		external |= gpu_is_external(&x->r->gpus[i]);
	text_init(&t, says, sizeof(says));
	for (size_t i = 0; external && i < n_kver_rules; i++) {
		const struct kver_rule *rule = &kver_rules[i];

		if (!rule->harmful || !rule->before || !kver_rule_holds(rule, x->ev->kernel))
			continue;
		text_add(&t, "%s%s", t.len ? "; " : "It is this: ", rule->says);
		if (!last || kver_compare(kver_parse(rule->before), kver_parse(last->before)) > 0)
			last = rule;
	}
	if (last)
		finding_detail(
			found(x, "", "proc/sys/kernel/osrelease", x->r->kernel.v, last->before),
			"%s.", says);
}

/* clang-format off */
const struct doctor_check checks_process[] = {
	{ 62, "recovery-storm", SEV_ERROR, CONF_CERTAIN,
	  "The card is brought back again and again; each attempt may take the machine down with it",
	  "kernel log: more than three of GPU reset begin, RmInitAdapter failed, Resetting chip for, trying reset from, of one card within ten minutes",
	  { "GPU reset begin", "RmInitAdapter failed", "Resetting chip for", "trying reset from" }, recovery_storm, REMEDY_NONE,
	  "Stop what asks for the card again and again (a service, a monitor that opens and closes it), then see to the fault itself; "
	  "a script that recovers should stop after three attempts, half a minute apart.", "", 0, "A", NULL },
	{ 63, "kernel-known-fault", SEV_WARNING, CONF_POSSIBLE, "This kernel is known for a fault that cards in boxes suffer from",
	  "proc/sys/kernel/osrelease against the ranges in probe/kver.c; only with a card in a box", { NULL }, known_fault, REMEDY_REBOOT,
	  "Boot Linux {arg} or newer, unless this distribution's kernel has the fix already.", "Boot the kernel of before.", ADVICE_KERNEL_NEWER,
	  "R; CachyOS/linux-cachyos#794", NULL },
	{ 0 },
};
/* clang-format on */
