/* SPDX-License-Identifier: MIT */
#include "bar-forward/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "base/text.h"

#define OUR_OWN "berth-bridge" /* device/data/berth.conf */
#define NOBODY  65534          /* the kernel's own, where no file of users tells of any */

struct caps {
	struct __user_cap_data_struct row[_LINUX_CAPABILITY_U32S_3];
};

static int caps(long call, struct caps *c)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(call, &h, c->row) < 0 ? -errno : 0;
}

static bool has(const struct caps *c, uint32_t cap)
{
	return c->row[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

/* Who cannot kill what is somebody else's must not make it so. */
static bool can_change(void)
{
	struct caps c = { 0 };

	return !caps(SYS_capget, &c) && has(&c, CAP_SETUID) && has(&c, CAP_SETGID) &&
	       has(&c, CAP_KILL);
}

/* --- who --- */

static bool take(struct as_user *u, const char *name)
{
	const struct passwd *p = getpwnam(name);

	if (!p)
		return false;
	u->uid = p->pw_uid;
	u->gid = p->pw_gid;
	text_copy(u->name, sizeof(u->name), p->pw_name);
	return true;
}

static void take_default(struct as_user *u)
{
	if (take(u, OUR_OWN) || take(u, "nobody"))
		return;
	u->uid = u->gid = NOBODY;
	snprintf(u->name, sizeof(u->name), "%d", NOBODY);
}

int user_choose(struct as_user *u, const char *name, struct err *e)
{
	*u = (struct as_user) { .uid = geteuid(), .gid = getegid() };
	if (!name) {
		if (u->uid == 0 && can_change())
			take_default(u);
	} else if (!take(u, name)) {
		return err_set(e, -EINVAL, "--user %s: there is no such user", name);
	}
	u->other = u->uid != geteuid();
	if (u->other && !can_change())
		return err_set(
			e, -EPERM,
			"--user %s: only root, with the capabilities SETUID, SETGID and KILL, "
			"can have processes of others",
			name);
	return 0;
}

static bool number(const char *text, uint32_t *id)
{
	uint64_t n;

	if (text_parse_u64(text, &n) || n >= UINT32_MAX)
		return false;
	*id = (uint32_t)n;
	return true;
}

int user_parse(const char *text, uid_t *uid, gid_t *gid, struct err *e)
{
	const char *colon = strchr(text, ':');
	const struct passwd *p;
	const struct group *g;
	char name[64];

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	snprintf(name, sizeof(name), "%.*s", (int)(colon ? colon - text : (long)strlen(text)),
		 text);
	p = name[0] ? getpwnam(name) : NULL;
	if (p)
		*uid = p->pw_uid;
	else if (name[0] && !number(name, uid))
		return err_set(e, -EINVAL, "there is no user '%s'", name);
	if (!colon)
		return name[0] ? 0 : err_set(e, -EINVAL, "give USER, USER:GROUP or :GROUP");
	g = getgrnam(colon + 1);
	if (g)
		*gid = g->gr_gid;
	else if (!number(colon + 1, gid))
		return err_set(e, -EINVAL, "there is no group '%s'", colon + 1);
	return 0;
}

/* --- to be it --- */

/*
 * None in any set, and none to be had by running a program. But who was given the right to lock memory without being root
 * keeps that one, since the guest's memory is locked in the name of who maps it.
 */
static int give_up(bool other)
{
	struct caps before = { 0 }, none = { 0 };
	uint32_t lock = CAP_TO_INDEX(CAP_IPC_LOCK);

	if (!other && geteuid() && !caps(SYS_capget, &before) && has(&before, CAP_IPC_LOCK))
		none.row[lock].effective = none.row[lock].permitted = CAP_TO_MASK(CAP_IPC_LOCK);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return caps(SYS_capset, &none);
}

int user_become(const struct as_user *u)
{
	int rc;

	/* Only root may, and to others it makes no difference. */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (u->other && (setgroups(0, NULL) || setresgid(u->gid, u->gid, u->gid) ||
			 setresuid(u->uid, u->uid, u->uid)))
		return -errno;
	rc = give_up(u->other);
	if (SANITIZED) /* its look for leaks attaches to us */
		prctl(PR_SET_DUMPABLE, 1);
	if (!rc && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		rc = -errno;
	return rc;
}

void user_look_as(const struct as_user *u, bool so)
{
	if (!u->other)
		return;
	setfsgid(so ? u->gid : getegid());
	setfsuid(so ? u->uid : geteuid());
}
