/* SPDX-License-Identifier: MIT */
/*
 * Whose the processes are that meet a guest's bytes. Where root has started the server its opener stays root, and meets
 * none of them; the others are somebody else's from before they meet the first one, for good, and without capabilities.
 */
#ifndef BERTH_USER_H
#define BERTH_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct as_user {
	bool other; /* than who started us */
	uid_t uid;
	gid_t gid;
	char name[64];
};

/*
 * `name`: whom the caller wants; NULL: of root "berth-bridge" or "nobody", of others and of a root that may not change its
 * user themselves. 0, or with *e -EINVAL (there is no such user), -EPERM (only root can).
 */
int user_choose(struct as_user *u, const char *name, struct err *e);

/* "NAME", "NAME:GROUP" or ":GROUP", by name or number; what is not named is (uid_t)-1, (gid_t)-1. 0 or -EINVAL with *e. */
int user_parse(const char *text, uid_t *uid, gid_t *gid, struct err *e);

/*
 * This process from now on: that user, no groups besides, no capabilities, and no way to gain any. What the parent's death
 * was to do is forgotten with it. 0 or a negative errno.
 */
int user_become(const struct as_user *u);

/* In the opener: look at a child as that user may, which root without CAP_SYS_PTRACE may not; and be oneself again. */
void user_look_as(const struct as_user *u, bool so);

#endif
