/* SPDX-License-Identifier: MIT */
/* NVIDIA's library, which one thread asks for all of its devices. */
#include "tui/lookout_priv.h"

#define NVML_WAIT_MS 500 /* how long a wait for one device takes before the thread looks around */

static void took(void *ctx, const char *pci)
{
	struct lookout *l = ctx;
	struct eye *e;

	pthread_mutex_lock(&l->lock);
	e = eye_of(l, pci);
	if (e) {
		/* The library's processes join those that hold the device's files. */
		e->gpu.holders = l->holders ? l->holders[eye_index(l, pci)]
					    : (struct holders) { 0 };
		probe_nvml_take(l->nvml, l->senses.machine, &e->gpu);
		e->read_ns = telem_now_ns();
		e->asked = false;
	}
	pthread_mutex_unlock(&l->lock);
	l->heard_ns = telem_now_ns();
}

/* Whether the library may be asked: it opens every card, and wakes those that sleep. */
static bool may_ask(struct lookout *l, uint32_t *rest_ms)
{
	bool any = false, all_awake = true;

	*rest_ms = DOZE_MS;
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		const struct eye *e = l->eyes[i];

		if (!e->nvml || e->lost)
			continue;
		any = true;
		all_awake = all_awake && e->gpu.awake == AWAKE_YES;
		if (eye_next_look(l, e) < *rest_ms)
			*rest_ms = eye_next_look(l, e);
	}
	pthread_mutex_unlock(&l->lock);
	return any && all_awake;
}

static void expect_answers(struct lookout *l)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		l->eyes[i]->asked = l->eyes[i]->nvml && !l->eyes[i]->lost;
		l->eyes[i]->asked_ns = telem_now_ns();
	}
	pthread_mutex_unlock(&l->lock);
	l->heard_ns = telem_now_ns();
}

/* The child is gone, or is not wanted: what it said last stays, with its age. */
static void close_nvml(struct lookout *l, bool failed)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++) {
		struct eye *e = l->eyes[i];

		if (failed && e->nvml)
			probe_nvml_take(l->nvml, l->senses.machine, &e->gpu);
		e->asked = false;
	}
	pthread_mutex_unlock(&l->lock);
	probe_nvml_close(l->nvml);
	l->nvml = NULL;
	l->waits = false;
}

/* Cards that came after it was opened. */
static bool knows_too_little(struct lookout *l)
{
	bool more;

	pthread_mutex_lock(&l->lock);
	more = l->more_cards && l->nvml;
	l->more_cards = false;
	pthread_mutex_unlock(&l->lock);
	return more;
}

static bool open_nvml(struct lookout *l)
{
	char pci[PROBE_GPUS_MAX][24];
	uint32_t n = 0;
	struct err e = { 0 };

	if (l->nvml)
		return true;
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->n_eyes; i++)
		if (l->eyes[i]->nvml && !l->eyes[i]->lost)
			text_copy(pci[n++], sizeof(pci[0]), l->eyes[i]->gpu.pci);
	pthread_mutex_unlock(&l->lock);
	l->heard_ns = telem_now_ns();
	return n && !probe_nvml_open(&l->nvml, (const char(*)[24])pci, n, &e);
}

/*
 * What hangs may be the process alone, which another one need not do: its devices stay asked, and are asked by that one. Of
 * a process that the kernel keeps, the driver hangs, and so would another.
 */
static void ask_another(struct lookout *l)
{
	if (telem_now_ns() - l->heard_ns < UINT64_C(1000000) * l->senses.give_up_ms)
		return;
	l->heard_ns = telem_now_ns();
	if (!probe_nvml_give_up(l->nvml))
		return;
	probe_nvml_close(l->nvml);
	l->nvml = NULL;
}

uint32_t library_read(void *ctx)
{
	struct lookout *l = ctx;
	uint32_t rest_ms;
	int rc;

	if (!may_ask(l, &rest_ms)) {
		if (l->nvml || l->waits)
			close_nvml(l, false);
		return ASLEEP_MS;
	}
	if (knows_too_little(l))
		close_nvml(l, false);
	if (!open_nvml(l))
		return BUS_MS;
	if (!l->waits)
		expect_answers(l);
	rc = probe_nvml_ask(l->nvml, l->waits, NVML_WAIT_MS, took, l);
	l->waits = rc == -ETIMEDOUT;
	if (l->waits) {
		ask_another(l);
		return 0;
	}
	if (rc)
		close_nvml(l, true);
	/* An open library keeps its cards from sleeping. */
	else if (rest_ms == DOZE_MS)
		close_nvml(l, false);
	return rc ? DOZE_MS : rest_ms;
}
