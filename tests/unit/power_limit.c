/* SPDX-License-Identifier: MIT */
/* NVIDIA's power limit, set and read by address: against a fake library that refuses, rounds, hangs and crashes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/probe.h"
#include "tests/unit/harness.h"

#define FIRST  "0000:41:00.0"
#define SECOND "0000:61:00.0"
#define LONG   60000 /* a loaded machine is no hang */

static char dir[] = "/tmp/berth-limits-XXXXXX";
static struct err e;

static int set_up(void **state)
{
	const char *build = getenv("BUILD");
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/fake/lib_nvml.so", build ? build : "build");
	char *whole = realpath(path, NULL);

	if (!whole || !mkdtemp(dir))
		return -1;
	setenv("BERTH_NVML", whole, 1);
	setenv("FAKE_NVML_LIMITS", dir, 1);
	free(whole);
	return 0;
}

static void forget(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, FIRST);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", dir, SECOND);
	unlink(path);
}

static int tear_down(void **state)
{
	(void)state;
	forget();
	return rmdir(dir);
}

static void become(const char *mode)
{
	setenv("FAKE_NVML", mode, 1);
	memset(&e, 0, sizeof(e));
	forget();
}

static int64_t now(const char *pci)
{
	struct power_limit l;

	assert_int_equal(power_limit_read(pci, LONG, &l, &e), 0);
	assert_int_equal(l.now_mw.src, SRC_NVML);
	return l.now_mw.v;
}

static void sets_and_reads_back(void **state)
{
	struct power_limit l;

	(void)state;
	become("ok");
	assert_int_equal(power_limit_read(SECOND, LONG, &l, &e), 0);
	assert_int_equal(l.now_mw.v, 350000);
	assert_int_equal(l.min_mw.v, 100000);
	assert_int_equal(l.max_mw.v, 400000);
	assert_int_equal(l.default_mw.v, 370000);
	assert_int_equal(power_limit_set(SECOND, 201500, LONG, &l, &e), 0);
	assert_int_equal(l.now_mw.v, 201500);
	/* It outlives the child, and is that of the device at this address */
	assert_int_equal(now(SECOND), 201500);
	assert_int_equal(now(FIRST), 350000);
	become("limit-rounds");
	assert_int_equal(power_limit_set(FIRST, 210000, LONG, &l, &e), 0);
	assert_int_equal(l.now_mw.v, 200000);
}

static void refused(const char *mode, const char *pci, uint32_t mw, int timeout_ms, int rc,
		    const char *says)
{
	struct power_limit l;

	become(mode);
	assert_int_equal(power_limit_set(pci, mw, timeout_ms, &l, &e), rc);
	if (!strstr(e.text, says))
		fail_msg("\"%s\" lacks \"%s\"", e.text, says);
	assert_non_null(strstr(e.text, pci));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void says_why_not(void **state)
{
	(void)state;
	refused("ok", FIRST, 99999, LONG, -EINVAL, "refuses a limit of 99.999 W");
	refused("limit-denied", FIRST, 200000, LONG, -EACCES, "only root");
	refused("limit-none", FIRST, 200000, LONG, -EOPNOTSUPP, "lets nobody set");
	refused("lost", FIRST, 200000, LONG, -ENXIO, "has lost the GPU");
	refused("refuse", FIRST, 200000, LONG, -ENOSYS, "is not of this driver");
	refused("ok", "0000:99:00.0", 200000, LONG, -ENODEV, "does not manage");
	refused("limit-crash", FIRST, 200000, LONG, -EIO, "crashed");
	refused("crash", FIRST, 200000, LONG, -EIO, "crashed");
	refused("limit-hang", FIRST, 200000, 200, -ETIMEDOUT, "does not answer");
	/* Nothing of it was set */
	become("ok");
	assert_int_equal(now(FIRST), 350000);
}

/* No watts are no limit of 0 W. */
static void zero_is_unknown(void **state)
{
	struct power_limit l;

	(void)state;
	become("limit-garbage");
	assert_int_equal(power_limit_read(FIRST, LONG, &l, &e), 0);
	assert_int_equal(l.now_mw.src, SRC_NONE);
	assert_int_equal(l.now_mw.why, WHY_GARBLED);
	assert_int_equal(l.max_mw.v, 400000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_and_reads_back),
		cmocka_unit_test(says_why_not),
		cmocka_unit_test(zero_is_unknown),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
