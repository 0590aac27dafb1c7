/* SPDX-License-Identifier: MIT */
#include "bar-forward/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "kmod/uapi.h"

#define SPARE   (1U << SANDBOX_SPARE)
#define WORKER  (1U << SANDBOX_WORKER)
#define HOLDER  (1U << SANDBOX_HOLDER)
#define FETCHER (1U << SANDBOX_FETCHER)
#define ALL     (SPARE | WORKER | HOLDER | FETCHER)

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
	{ SCMP_SYS(brk), SPARE | HOLDER | FETCHER },
	{ SCMP_SYS(munmap), SPARE | HOLDER | FETCHER },
	{ SCMP_SYS(madvise), SPARE | HOLDER | FETCHER },
	{ SCMP_SYS(fstat), SPARE | HOLDER },
	{ SCMP_SYS(newfstatat), SPARE | HOLDER }, /* fstat() of glibc 2.33 to 2.38 */
	{ SCMP_SYS(fstatfs), SPARE | HOLDER },
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
	{ SCMP_SYS(timerfd_create), HOLDER },
	{ SCMP_SYS(timerfd_settime), HOLDER }, /* when a replay's next interrupt is due */
	{ SCMP_SYS(epoll_wait), HOLDER },
	{ SCMP_SYS(epoll_pwait), HOLDER },
	{ SCMP_SYS(dup), HOLDER },
	{ SCMP_SYS(readlink), HOLDER }, /* what a descriptor of a client is */
	{ SCMP_SYS(readlinkat), HOLDER },
	{ SCMP_SYS(statx), HOLDER },
	{ SCMP_SYS(lseek), HOLDER },
	{ SCMP_SYS(rt_sigprocmask), HOLDER },
	{ SCMP_SYS(rt_sigaction), HOLDER },
	{ SCMP_SYS(gettid), HOLDER },
};

#define OURSELVES UINT64_MAX /* the number of this process */

/* Those that reach further than they are needed for: what one argument may be. Other bridges' processes are the same user's. */
static const struct {
	int call;
	unsigned arg;
	uint64_t is;
	unsigned who;
} bounded[] = {
	/* nothing that has signals sent */
	{ SCMP_SYS(fcntl), 1, F_DUPFD_CLOEXEC, SPARE | HOLDER },
	{ SCMP_SYS(fcntl), 1, F_GETFD, SPARE | HOLDER },
	{ SCMP_SYS(fcntl), 1, F_SETFD, SPARE | HOLDER },
	{ SCMP_SYS(fcntl), 1, F_GETFL, SPARE | HOLDER },
	{ SCMP_SYS(fcntl), 1, F_GET_SEALS, SPARE | HOLDER },
	/* limits are read */
	{ SCMP_SYS(prlimit64), 2, 0, HOLDER },
	/* abort() */
	{ SCMP_SYS(tgkill), 0, OURSELVES, HOLDER },
};

/*
 * What is relaxed for a sanitizer, in builds that have one and for all three: memory (never executable) and threads of its
 * own, files, and the tracing of its own process, which make its report. Sockets, programs and privileges stay out.
 */
static const int sanitizers[] = {
	/* memory, and threads: a look for leaks stops the process from one */
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(rseq),
	SCMP_SYS(exit),
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(prctl),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	/* names for a report, and the file that it goes into */
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(lseek),
	SCMP_SYS(stat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents),
	SCMP_SYS(getdents64),
	SCMP_SYS(fcntl),
};

/*
 * Of a device that is open: what is done to it for a client. No register is reached by these. A slot's reset has the number
 * of a container's map, too: a fetcher that is not itself could map memory of its own.
 */
static const struct {
	uint32_t request;
	unsigned who;
} ioctls[] = {
	{ VFIO_DEVICE_RESET, HOLDER | FETCHER },
	{ VFIO_DEVICE_PCI_HOT_RESET, HOLDER | FETCHER },
	{ VFIO_DEVICE_SET_IRQS, HOLDER },
	{ VFIO_IOMMU_MAP_DMA, HOLDER },
	{ VFIO_IOMMU_UNMAP_DMA, HOLDER },
	{ IOAS_MAP, HOLDER },
	{ IOAS_MAP_FILE, HOLDER },
	{ IOAS_UNMAP, HOLDER },
	{ BERTH_VFIO_PAGES, HOLDER },
	{ BERTH_VFIO_REVOKE, HOLDER },
};

static int allow_calls(scmp_filter_ctx f, unsigned who)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (allowed[i].who & who)
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i].call, 0);
	for (size_t i = 0; !rc && i < sizeof(bounded) / sizeof(bounded[0]); i++) {
		uint64_t is = bounded[i].is == OURSELVES ? (uint64_t)getpid() : bounded[i].is;

		if (bounded[i].who & who)
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, bounded[i].call, 1,
					      SCMP_CMP(bounded[i].arg, SCMP_CMP_EQ, is, 0));
	}
	return rc;
}

/* Some of it may be allowed already. */
static int allow_sanitizer(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(sanitizers) / sizeof(sanitizers[0]); i++) {
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, sanitizers[i], 0);
		rc = rc == -EEXIST ? 0 : rc;
	}
	/* is it a terminal that the report goes to? */
	return rc ? rc
		  : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, TCGETS, 0));
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

static int allow_ioctls(scmp_filter_ctx f, unsigned who)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		if (ioctls[i].who & who)
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					      SCMP_A1(SCMP_CMP_EQ, ioctls[i].request, 0));
	return rc;
}

static int fill(scmp_filter_ctx f, unsigned who)
{
	int rc = allow_calls(f, who);

	if (!rc && SANITIZED)
		rc = allow_sanitizer(f);
	if (!rc && (who & (SPARE | HOLDER | FETCHER) || SANITIZED))
		rc = allow_mapping(f);
	if (!rc && who & (HOLDER | FETCHER))
		rc = allow_ioctls(f, who);
	return rc ? rc : seccomp_load(f);
}

int sandbox_enter(enum sandbox which, struct err *e)
{
	scmp_filter_ctx f;
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, -errno, "cannot give up privileges: %s", strerror(errno));
	f = seccomp_init(which == SANDBOX_HOLDER ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
	rc = f ? 0 : -ENOMEM;
	/* Numbers of another architecture are nobody's error; by itself this would end one thread. */
	if (!rc)
		rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!rc)
		rc = fill(f, 1U << which);
	if (f)
		seccomp_release(f);
	return rc ? err_set(e, rc, "cannot enter a sandbox: %s", strerror(-rc)) : 0;
}
