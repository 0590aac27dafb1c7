/* SPDX-License-Identifier: MIT */
#include "bar-forward/sandbox.h"

#include <linux/vfio.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "kmod/uapi.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define SPARE  (1U << SANDBOX_SPARE)
#define WORKER (1U << SANDBOX_WORKER)
#define HOLDER (1U << SANDBOX_HOLDER)
#define ALL    (SPARE | WORKER | HOLDER)

/* What iommufd's header says; older ones lack it. */
#define IOAS_UNMAP    0x3b86
#define IOAS_MAP      0x3b85
#define IOAS_MAP_FILE 0x3b8f

/* Who may call what. Memory is never executable: see mapping(). */
static const struct {
	int call;
	unsigned who;
} allowed[] = {
	/* messages, and registers */
	{ SCMP_SYS(recvmsg), ALL },
	{ SCMP_SYS(recvfrom), ALL },
	{ SCMP_SYS(sendmsg), ALL },
	{ SCMP_SYS(sendto), ALL },
	{ SCMP_SYS(read), ALL },
	{ SCMP_SYS(write), ALL },
	{ SCMP_SYS(pread64), ALL },
	{ SCMP_SYS(pwrite64), ALL },
	/* waiting, and being told of a message that is not whole */
	{ SCMP_SYS(poll), ALL },
	{ SCMP_SYS(ppoll), ALL },
	{ SCMP_SYS(futex), ALL },
	{ SCMP_SYS(clock_gettime), ALL },
	{ SCMP_SYS(clock_nanosleep), ALL },
	{ SCMP_SYS(nanosleep), ALL },
	{ SCMP_SYS(sched_yield), ALL },
	{ SCMP_SYS(restart_syscall), ALL },
	/* descriptors that came with a message */
	{ SCMP_SYS(close), ALL },
	/* the end */
	{ SCMP_SYS(exit_group), ALL },
	{ SCMP_SYS(rt_sigreturn), ALL },
	/* taking a device over */
	{ SCMP_SYS(brk), SPARE | HOLDER },
	{ SCMP_SYS(munmap), SPARE | HOLDER },
	{ SCMP_SYS(madvise), SPARE | HOLDER },
	{ SCMP_SYS(fstat), SPARE | HOLDER },
	{ SCMP_SYS(newfstatat), SPARE | HOLDER }, /* fstat() of glibc 2.33 to 2.38 */
	{ SCMP_SYS(fstatfs), SPARE | HOLDER },
	{ SCMP_SYS(fcntl), SPARE | HOLDER },
	{ SCMP_SYS(epoll_create1), SPARE | HOLDER },
	{ SCMP_SYS(epoll_ctl), SPARE | HOLDER },
	{ SCMP_SYS(setsockopt), SPARE | HOLDER },
	{ SCMP_SYS(getpid), SPARE | HOLDER },
	{ SCMP_SYS(getrandom), SPARE | HOLDER },
	{ SCMP_SYS(seccomp), SPARE },
	{ SCMP_SYS(prctl), SPARE },
	/* clients, interrupts, memory of guests */
	{ SCMP_SYS(accept4), HOLDER },
	{ SCMP_SYS(getsockopt), HOLDER },
	{ SCMP_SYS(shutdown), HOLDER },
	{ SCMP_SYS(eventfd2), HOLDER },
	{ SCMP_SYS(timerfd_settime), HOLDER }, /* when a replay's next interrupt is due */
	{ SCMP_SYS(epoll_wait), HOLDER },
	{ SCMP_SYS(epoll_pwait), HOLDER },
	{ SCMP_SYS(dup), HOLDER },
	{ SCMP_SYS(readlink), HOLDER }, /* what a descriptor of a client is */
	{ SCMP_SYS(readlinkat), HOLDER },
	{ SCMP_SYS(statx), HOLDER },
	{ SCMP_SYS(lseek), HOLDER },
	{ SCMP_SYS(prlimit64), HOLDER },
	{ SCMP_SYS(rt_sigprocmask), HOLDER },
	{ SCMP_SYS(rt_sigaction), HOLDER },
	{ SCMP_SYS(gettid), HOLDER },
	{ SCMP_SYS(tgkill), HOLDER },
};

/* Of a device that is open: what is done to it for a client. No register is reached by these. */
static const uint32_t ioctls[] = {
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_RESET,
	VFIO_DEVICE_PCI_HOT_RESET,
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
	VFIO_IOMMU_MAP_DMA,
	VFIO_IOMMU_UNMAP_DMA,
	IOAS_MAP,
	IOAS_MAP_FILE,
	IOAS_UNMAP,
	BERTH_VFIO_PAGES,
	BERTH_VFIO_REVOKE,
};

static int allow_calls(scmp_filter_ctx f, unsigned who)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (allowed[i].who & who)
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i].call, 0);
	return rc;
}

/* Memory, but none that can be executed. */
static int allow_mapping(scmp_filter_ctx f)
{
	static const int calls[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	int rc = 0;

	for (size_t i = 0; !rc && i < 2; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc ? rc : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 0);
}

static int allow_ioctls(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0));
	return rc;
}

static int fill(scmp_filter_ctx f, unsigned who)
{
	int rc = allow_calls(f, who);

	if (!rc && who & (SPARE | HOLDER))
		rc = allow_mapping(f);
	if (!rc && who & HOLDER)
		rc = allow_ioctls(f);
	return rc ? rc : seccomp_load(f);
}

int sandbox_enter(enum sandbox which, struct err *e)
{
	scmp_filter_ctx f;
	int rc;

	if (SANITIZED)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, -errno, "cannot give up privileges: %s", strerror(errno));
	f = seccomp_init(which == SANDBOX_HOLDER ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
	rc = f ? fill(f, 1U << which) : -ENOMEM;
	if (f)
		seccomp_release(f);
	return rc ? err_set(e, rc, "cannot enter a sandbox: %s", strerror(-rc)) : 0;
}
