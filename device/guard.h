/* SPDX-License-Identifier: MIT */
/*
 * What may not be touched. Pure: a scene, the functions that a verb would touch, and what would happen to
 * them; the answer is yes, or a sentence that names who stands in the way and what to do. Every verb that
 * takes something from somebody asks here, before it plans a step.
 */
#ifndef BERTH_DEVICE_GUARD_H
#define BERTH_DEVICE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "device/scene.h"

struct txn;

/* What would happen to the functions. */
enum harm {
	HARM_DRIVER, /* their driver lets go: unbind, bind, resize */
	HARM_DEVICE, /* they leave: remove, eject, deauthorise */
	HARM_RESET,  /* their state is lost under whoever uses them */
	HARM_POWER,  /* a limit or a state changes; who uses them goes on, slower or faster */
	HARM_COUNT
};

/*
 * Whether a verb may touch this function at all. -EINVAL (exit 4): no GPU, display or accelerator, nor a
 * function of a card that has one, and `any` is false; -EINVAL: a bridge, and its driver would go or its
 * state be lost by itself (what lies below it is ejected by naming that).
 */
int guard_class(const struct scene *s, const struct func *f, enum harm harm, bool any,
		struct err *e);

/*
 * Whether the functions may be harmed so. -EBUSY (exit 5) with one sentence in *e: who uses them (the program
 * and its number, a mount, a connector, a run, a virtual machine) and what to do. Functions whose users are
 * asked for are those of `set`, their virtual functions and, when one is a bridge, all below it.
 *
 * force: 0, and *t gets a warning for everything that breaks; only then may the boot display or the only
 * display be harmed. Without force *t gets warnings about what could not be looked at. t may be NULL.
 * HARM_POWER refuses nothing.
 */
int guard_check(const struct scene *s, const struct func *const *set, uint32_t n, enum harm harm,
		bool force, struct txn *t, struct err *e);

/*
 * The same for functions that go back to what they were: that one is the boot display, or the only one, is no reason
 * then. Who uses it is.
 */
int guard_return(const struct scene *s, const struct func *const *set, uint32_t n, enum harm harm,
		 bool force, struct txn *t, struct err *e);

/*
 * Those who use any of the functions, in the order in which one would ask them to leave: runs, virtual
 * machines, processes, mounts and the like, displays. Indices into s->holds; the count, at most max.
 */
uint32_t guard_users(const struct scene *s, const struct func *const *set, uint32_t n,
		     uint32_t *holds, uint32_t max);

/* One user in words: `process 4711 (ollama)`, `/home is mounted from /dev/nvme0n1p2`. */
void hold_words(struct text *t, const struct hold *h);

#endif
