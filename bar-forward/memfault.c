/* SPDX-License-Identifier: MIT */
#include "bar-forward/memfault.h"

#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOW_MAX_US 60000000

void memfault_set(struct access *a, uint64_t kind, uint64_t value, uint64_t count)
{
	struct mem_fault *f = &a->m->s->fault;

	if (kind >= FAULT_KINDS)
		kind = FAULT_NONE;
	if (access_word(a, &f->kind) == FAULT_GONE && kind != FAULT_GONE)
		access_reset(a);
	access_set(a, &f->kind, kind);
	access_set(a, &f->value, value);
	access_set(a, &f->left, kind == FAULT_GONE || kind == FAULT_HANG ? UINT64_MAX : count);
}

enum desc_fault memfault_now(const struct memstate *m)
{
	return (enum desc_fault)m->s->fault.kind;
}

/* --- whoever waits sleeps on a word of the block --- */

void memfault_wake(struct memstate *m)
{
	atomic_fetch_add(&m->s->turn, 1);
	syscall(SYS_futex, &m->s->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* A second at most: whoever should have woken us may have been killed before it could. */
static void sleep_on(struct memstate *m, uint32_t turn)
{
	struct timespec second = { .tv_sec = 1 };

	syscall(SYS_futex, &m->s->turn, FUTEX_WAIT, turn, &second, NULL, 0);
}

static void hang(struct memstate *m)
{
	while (memfault_now(m) == FAULT_HANG) {
		uint32_t turn = atomic_load(&m->s->turn);

		memstate_unlock(m);
		sleep_on(m, turn);
		memstate_lock(m);
	}
}

static void take_time(struct memstate *m)
{
	uint64_t us = m->s->fault.value < SLOW_MAX_US ? m->s->fault.value : SLOW_MAX_US;
	struct timespec t = { .tv_sec = (time_t)(us / 1000000),
			      .tv_nsec = (long)(us % 1000000 * 1000) };

	memstate_unlock(m);
	nanosleep(&t, NULL);
	memstate_lock(m);
}

/* Rows whose access is the next one. Each is put into force by itself, and once. */
static void script(struct memstate *m)
{
	const struct pcidesc *d = m->desc;
	struct mem_state *s = m->s;

	while (s->script < d->n_faults && d->fault[s->script].at <= s->bar_done + 1) {
		const struct desc_script *f = &d->fault[s->script];
		struct access a;

		access_begin(&a, m);
		memfault_set(&a, f->fault, f->value, f->count);
		access_add(&a, &s->script, 1);
		access_end(&a);
		memfault_wake(m);
	}
}

int memfault_pass(struct memstate *m, bool of_bar)
{
	if (of_bar)
		script(m);
	if (memfault_now(m) == FAULT_HANG) {
		m->s->waited++;
		hang(m);
	}
	if (of_bar && memfault_now(m) == FAULT_SLOW)
		take_time(m);
	/* Whatever came meanwhile. */
	return memfault_now(m) == FAULT_GONE ? -ENODEV : 0;
}

void memfault_count(struct access *a)
{
	struct mem_fault *f = &a->m->s->fault;
	uint64_t left = access_word(a, &f->left);

	if (access_word(a, &f->kind) == FAULT_NONE || left == UINT64_MAX)
		return;
	access_set(a, &f->left, left - 1);
	if (left <= 1)
		access_set(a, &f->kind, FAULT_NONE);
}
