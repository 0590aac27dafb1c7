/* SPDX-License-Identifier: MIT */
/*
 * A time limit for what the engine's library computes with grammars: the time is up to the grammar, which
 * a client may have written, and some would take for ever.
 */
#ifndef BERTH_CORE_BOUNDED_H
#define BERTH_CORE_BOUNDED_H

#define BOUNDED_S 1 /* of CPU time; the worst draw of a sane grammar is a tenth of it */

/*
 * Run it, in a thread of its own. 0; -ETIME: it was ended within, at a place where the library asks for
 * memory; what it changes is as if memory had run out there. -EAGAIN: there is no thread.
 */
int bounded_run(void (*run)(void *arg), void *arg);

#endif
