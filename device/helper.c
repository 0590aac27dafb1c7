/* SPDX-License-Identifier: MIT */
/*
 * device-helper ACTION VERB [WORD...]: what pkexec runs as root for `berth device`. It trusts nothing that it was
 * given: the words are looked at, the environment and all descriptors but three are dropped, and what then runs is
 * the `device` beside it, which looks at the machine anew and decides anew.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/self.h"
#include "device/elevate.h"

static int refuse(const char *why)
{
	fprintf(stderr, "berth device-helper: %s; it is started by 'berth device', not by hand\n",
		why);
	return EXIT_USAGE;
}

/* A state that whoever started us does not choose. */
static int make_clean(void)
{
	sigset_t none;

	umask(022);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	if (close_range(3, ~0u, 0) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

/* Who asked, as pkexec tells it: a number, for the journal. */
static void take_uid(char *to, size_t size)
{
	const char *uid = getenv("PKEXEC_UID");

	if (uid && uid[0] && strlen(uid) <= 10 && !uid[strspn(uid, "0123456789")])
		snprintf(to, size, "PKEXEC_UID=%s", uid);
}

int main(int argc, char **argv)
{
	static char path_is[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale_is[] = "LC_ALL=C";
	static char uid_is[32] = "PKEXEC_UID=";
	char *environment[] = { path_is, locale_is, uid_is, NULL };
	struct err e = { 0 };
	char program[1024];

	if (helper_check(argc, (const char *const *)argv, &e))
		return refuse(e.text);
	if (geteuid() != 0)
		return refuse("it does not run as root");
	if (self_path(program, sizeof(program), "libexec/berth/device", &e) || make_clean()) {
		fprintf(stderr, "berth device-helper: cannot prepare: %s\n", e.text);
		return EXIT_ENV;
	}
	take_uid(uid_is, sizeof(uid_is));
	argv[1] = program;
	execve(program, argv + 1, environment);
	fprintf(stderr, "berth device-helper: cannot start %s: %s\n", program, strerror(errno));
	return EXIT_ENV;
}
