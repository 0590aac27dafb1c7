/* SPDX-License-Identifier: MIT */
/* What a sandbox forbids: each call is tried in a child of its own, as it would be by somebody who had taken the process over. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/sandbox.h"
#include "base/sanitized.h"
#include "tests/unit/harness.h"

#define SPARE   (1U << SANDBOX_SPARE)
#define WORKER  (1U << SANDBOX_WORKER)
#define HOLDER  (1U << SANDBOX_HOLDER)
#define FETCHER (1U << SANDBOX_FETCHER)
#define ALL     (SPARE | WORKER | HOLDER | FETCHER)
#define NO_FD   (-1L)
#define PAGE    4096

struct attempt {
	const char *what;
	long call;
	long arg[6];
	unsigned who;
	bool relaxed; /* in a build with a sanitizer */
};

/* Harmless where it is let through: none of them says EPERM by itself, but where a person's system forbids it. */
static const struct attempt forbidden[] = {
	/* sockets */
	{ "make a socket", SYS_socket, { AF_UNIX, SOCK_STREAM }, ALL, false },
	{ "make a pair of sockets", SYS_socketpair, { AF_UNIX, SOCK_STREAM }, ALL, false },
	{ "connect", SYS_connect, { NO_FD }, ALL, false },
	{ "bind", SYS_bind, { NO_FD }, ALL, false },
	{ "listen", SYS_listen, { NO_FD }, ALL, false },
	{ "take a client", SYS_accept4, { NO_FD }, SPARE | WORKER | FETCHER, false },
	/* files */
	{ "open a file", SYS_openat, { AT_FDCWD, (long)"/dev/null" }, ALL, true },
	{ "open a file, the new way", SYS_openat2, { NO_FD }, ALL, false },
	{ "open a file by its handle", SYS_open_by_handle_at, { NO_FD }, ALL, false },
	{ "make a file of memory", SYS_memfd_create, { (long)"x" }, ALL, false },
	{ "remove a file", SYS_unlinkat, { AT_FDCWD, (long)"/nowhere/x" }, ALL, false },
	{ "go elsewhere", SYS_chdir, { (long)"/" }, ALL, false },
	{ "take a descriptor of another", SYS_pidfd_getfd, { NO_FD }, ALL, false },
	/* programs and processes */
	{ "start a program", SYS_execve, { 0 }, ALL, false },
	{ "start a program by its descriptor", SYS_execveat, { NO_FD }, ALL, false },
	{ "clone", SYS_clone, { SIGCHLD }, ALL, true },
	{ "send a signal", SYS_kill, { 0, 0 }, ALL, false },
	{ "send a signal to another", SYS_tgkill, { -1, 1, 0 }, ALL, true },
	{ "have signals sent", SYS_fcntl, { NO_FD, F_SETOWN, 1 }, ALL, true },
	{ "have any signal sent", SYS_fcntl, { NO_FD, F_SETSIG, SIGKILL }, ALL, true },
	{ "set limits", SYS_prlimit64, { 0, RLIMIT_NOFILE, 1 }, ALL, true },
	{ "trace another", SYS_ptrace, { PTRACE_PEEKDATA, 0 }, ALL, true },
	{ "read another's memory", SYS_process_vm_readv, { NO_FD }, ALL, false },
	{ "write another's memory", SYS_process_vm_writev, { NO_FD }, ALL, false },
	/* privileges */
	{ "become another user", SYS_setuid, { -1 }, ALL, false },
	{ "become another group", SYS_setresgid, { -2, -2, -2 }, ALL, false },
	{ "make a name space", SYS_unshare, { 0 }, ALL, false },
	{ "enter a name space", SYS_setns, { NO_FD }, ALL, false },
	{ "mount", SYS_mount, { 1, 1, 1 }, ALL, false },
	/* ways around this list */
	{ "call by a ring", SYS_io_uring_setup, { 0 }, ALL, false },
	{ "load a program into the kernel", SYS_bpf, { -1 }, ALL, false },
	{ "open a list of events", SYS_perf_event_open, { 1 }, ALL, false },
	{ "catch faults of memory", SYS_userfaultfd, { -1 }, ALL, false },
	/* memory */
	{ "map memory that is executable",
	  SYS_mmap,
	  { 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, NO_FD },
	  ALL,
	  false },
	{ "make memory executable", SYS_mprotect, { 0, PAGE, PROT_READ | PROT_EXEC }, ALL, false },
	{ "make memory executable by a key",
	  SYS_pkey_mprotect,
	  { 0, PAGE, PROT_EXEC, -1 },
	  ALL,
	  false },
	{ "attach memory", SYS_shmat, { NO_FD }, ALL, false },
	{ "map memory",
	  SYS_mmap,
	  { 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NO_FD },
	  WORKER,
	  true },
#ifdef __x86_64__
	/* calls that newer architectures lack */
	{ "open a file, the old way", SYS_open, { (long)"/dev/null" }, ALL, true },
	{ "make a file", SYS_creat, { (long)"/nowhere/x", 0600 }, ALL, false },
	{ "fork", SYS_fork, { 0 }, ALL, false },
#endif
	/* devices: those of others, and what nobody needs once a device is open */
	{ "ask a terminal for a key", SYS_ioctl, { NO_FD, 0x5412 }, ALL, false },
	{ "open a device of a group", SYS_ioctl, { NO_FD, VFIO_GROUP_GET_DEVICE_FD }, ALL, false },
	{ "map guests' memory", SYS_ioctl, { NO_FD, VFIO_IOMMU_MAP_DMA }, SPARE | WORKER, false },
	{ "unmap it", SYS_ioctl, { NO_FD, VFIO_IOMMU_UNMAP_DMA }, SPARE | WORKER | FETCHER, false },
	{ "reset the device", SYS_ioctl, { NO_FD, VFIO_DEVICE_RESET }, SPARE | WORKER, false },
	{ "make descriptors for interrupts", SYS_eventfd2, { 0 }, SPARE | WORKER | FETCHER, false },
};

/* What the same processes live on. */
static const struct attempt allowed[] = {
	{ "read", SYS_read, { NO_FD }, ALL, false },
	{ "write", SYS_write, { NO_FD }, ALL, false },
	{ "access a register", SYS_pwrite64, { NO_FD }, ALL, false },
	{ "hear a client", SYS_recvmsg, { NO_FD }, ALL, false },
	{ "close what came", SYS_close, { NO_FD }, ALL, false },
	{ "map memory",
	  SYS_mmap,
	  { 0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NO_FD },
	  SPARE | HOLDER | FETCHER,
	  false },
	{ "take a client", SYS_accept4, { NO_FD }, HOLDER, false },
	{ "look at a descriptor", SYS_fcntl, { NO_FD, F_GETFL }, SPARE | HOLDER, false },
	{ "read limits", SYS_prlimit64, { 0, RLIMIT_NOFILE }, HOLDER, false },
	{ "map guests' memory", SYS_ioctl, { NO_FD, VFIO_IOMMU_MAP_DMA }, HOLDER, false },
	{ "reset the device", SYS_ioctl, { NO_FD, VFIO_DEVICE_RESET }, HOLDER | FETCHER, false },
};

/* A worker was a spare before. */
static int enter(unsigned who)
{
	struct err e = { 0 };

	if (who == HOLDER)
		return sandbox_enter(SANDBOX_HOLDER, &e);
	if (who == FETCHER)
		return sandbox_enter(SANDBOX_FETCHER, &e);
	if (sandbox_enter(SANDBOX_SPARE, &e))
		return -1;
	return who == WORKER ? sandbox_enter(SANDBOX_WORKER, &e) : 0;
}

static long make(const struct attempt *a)
{
	return syscall(a->call, a->arg[0], a->arg[1], a->arg[2], a->arg[3], a->arg[4], a->arg[5]);
}

/* The status of a child that tried, in a sandbox (or none: 0); it ends with the number of its error, or 0. */
static int tried(const struct attempt *a, unsigned who, bool *entered)
{
	int told[2], status;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (who && enter(who))
			_exit(255);
		if (write(told[1], "", 1) != 1)
			_exit(255);
		_exit(make(a) < 0 ? errno : 0);
	}
	assert_true(pid > 0);
	close(told[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*entered = read(told[0], &(char) { 0 }, 1) == 1;
	close(told[0]);
	return status;
}

static bool is_for(const struct attempt *a, unsigned who)
{
	return a->who & who && !(SANITIZED && a->relaxed);
}

/* Whether a refusal could be this system's own. */
static bool is_refused_anyway(const struct attempt *a)
{
	bool entered;
	int status = tried(a, 0, &entered);

	return !WIFEXITED(status) || WEXITSTATUS(status) == EPERM;
}

static void check(unsigned who, int signal_of, int error_of)
{
	uint32_t n = 0;

	for (size_t i = 0; i < COUNT(forbidden); i++) {
		const struct attempt *a = &forbidden[i];
		bool entered;
		int status;

		if (!is_for(a, who) || (error_of && is_refused_anyway(a)))
			continue;
		status = tried(a, who, &entered);
		n++;
		assert_true(entered);
		if (signal_of ? !WIFSIGNALED(status) || WTERMSIG(status) != signal_of
			      : !WIFEXITED(status) || WEXITSTATUS(status) != error_of)
			fail_msg("to %s: status %#x", a->what, (unsigned)status);
	}
	/* No more than a few may be this system's own refusals. */
	assert_true(n >= 24);
	for (size_t i = 0; i < COUNT(allowed); i++) {
		bool entered;
		int status;

		if (!(allowed[i].who & who))
			continue;
		status = tried(&allowed[i], who, &entered);
		assert_true(entered);
		if (!WIFEXITED(status) || WEXITSTATUS(status) == EPERM)
			fail_msg("to %s: status %#x", allowed[i].what, (unsigned)status);
	}
}

static void a_spare_is_killed(void **state)
{
	(void)state;
	check(SPARE, SIGSYS, 0);
}

static void a_worker_is_killed(void **state)
{
	(void)state;
	check(WORKER, SIGSYS, 0);
}

static void a_fetcher_is_killed(void **state)
{
	(void)state;
	check(FETCHER, SIGSYS, 0);
}

static void a_holder_is_told(void **state)
{
	(void)state;
	check(HOLDER, 0, EPERM);
}

#ifdef __x86_64__
/* The numbers of another architecture mean other calls: 41 is socket() here, and this bit the door of x32. */
static void other_numbers_are_no_way_out(void **state)
{
	static const struct attempt x32 = {
		"make a socket", 0x40000000L | SYS_socket, { AF_UNIX, SOCK_STREAM }, ALL, false
	};
	static const unsigned kinds[] = { SPARE, WORKER, HOLDER, FETCHER };
	bool entered;

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		int status = tried(&x32, kinds[i], &entered);

		assert_true(entered);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == EPERM);
	}
}
#endif

static void privileges_are_given_up(void **state)
{
	static const struct attempt ask = { "", SYS_prctl, { PR_GET_NO_NEW_PRIVS }, SPARE, false };
	struct err e = { 0 };
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(sandbox_enter(SANDBOX_SPARE, &e) || make(&ask) != 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spare_is_killed),
		cmocka_unit_test(a_worker_is_killed),
		cmocka_unit_test(a_fetcher_is_killed),
		cmocka_unit_test(a_holder_is_told),
#ifdef __x86_64__
		cmocka_unit_test(other_numbers_are_no_way_out),
#endif
		cmocka_unit_test(privileges_are_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
