/* SPDX-License-Identifier: MIT */
/*
 * Questions to drivers and libraries that may hang or crash, in a child process of ours: it sends
 * records through a pipe, and is killed when it has not answered in time. What it opened closes with it,
 * so a device is not kept awake.
 */
#ifndef BERTH_CHILD_H
#define BERTH_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid;
	int from; /* our end of the pipe */
};

/*
 * Run work(to, arg) in a child that prints nothing and dies with us; it ends when work returns, without
 * exit handlers. 0, or a negative errno when there is no child; then nothing needs to be stopped.
 */
int child_open(struct child *c, void (*work)(int to, void *arg), void *arg);

/* In the child: send one record, or end when nobody listens any more. */
void child_send(int to, const void *record, size_t size);

/*
 * In the parent: one record of just this size. 1: it is there; 0: the child ended without it;
 * -ETIMEDOUT: it did not come in time.
 */
int child_receive(const struct child *c, void *record, size_t size, int timeout_ms);

/*
 * Kill it, if it still runs, and collect it. False: it hangs in the kernel, which keeps it, and its work, until the
 * kernel is done; it may be closed again, to see whether that is so by now. One that is closed has no pid.
 */
bool child_close(struct child *c);

/*
 * Any child of ours that was killed: wait for it, at the longest until clock_ms() is `until`. False: a driver that hangs in
 * the kernel keeps it, and we go on without it.
 */
bool child_collect(pid_t pid, int64_t until);

#endif
