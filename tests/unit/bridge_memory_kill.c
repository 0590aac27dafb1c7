/* SPDX-License-Identifier: MIT */
/* A device of memory whose user is killed at any instruction: each access has happened once or not at all, and it is known which. */
#include <signal.h>
#include <sys/ptrace.h>

#include "bar-forward/memstate.h"
#include "base/sanitized.h"
#include "tests/unit/memdev.h"

/* `DENSE`: the larger, the closer together the instructions are behind the first ones. */
#if SANITIZED
#define KILLS 300
#define DENSE 5
#else
#define KILLS 2000
#define DENSE 40
#endif

/* What two registers and the memory say must be what the number of accesses says. */
static void agree(struct device *d, uint64_t *before)
{
	struct memory_status s;
	uint64_t n, rest;

	memory_device_status(d, &s);
	n = (s.done - *before) / 3;
	rest = (s.done - *before) % 3;
	/* in turns: count, add 5, and the turn's number into memory */
	assert_int_equal(get(d, 0, 0x40, 8), n + (rest > 0));
	assert_int_equal(get(d, 0, 0x48, 8), 5 * (n + (rest > 1)));
	assert_int_equal(get(d, 1, 0x1003, 8), n);
	*before = s.done + 3;
}

/* Without end; whoever waits for the first turn is told. */
static void turns(struct device *d, int told)
{
	uint64_t one = 1;

	for (uint64_t i = 1;; i++) {
		put(d, 0, 0x40, 0, 8);
		put(d, 0, 0x48, 5, 8);
		put(d, 1, 0x1003, i, 8); /* not aligned: torn, if it were only stored */
		if (i == 1 && write(told, &one, sizeof(one)) < 0)
			_exit(1);
	}
}

static void clear(struct device *d)
{
	assert_int_equal(ops->reset(d, NULL), 0);
}

/* At any moment, again and again, on the same device. */
static void at_random(void **state)
{
	struct device *d = opened(GPU);
	uint64_t before = 0, made = 0, one;
	int told = eventfd(0, EFD_CLOEXEC), status;
	struct memory_status s;
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < KILLS; i++) {
		pid_t pid;

		clear(d);
		put(d, 1, 0x1003, 0, 8);
		before++;
		pid = fork();
		if (pid == 0)
			turns(d, told);
		assert_int_equal(read(told, &one, sizeof(one)), sizeof(one));
		seed = seed * 1103515245 + 12345;
		for (volatile unsigned spin = seed >> 16 & 0x3fff; spin; spin--)
			;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		memory_device_status(d, &s);
		made += s.done - before;
		agree(d, &before);
	}
	assert_true(made >= 3 * KILLS);
	close(told);
	ops->close(d);
}

/* --- each instruction of an access by turns --- */

/* Runs n instructions behind its start, and dies. false: this machine does not let us; -1 in *n: it was over before. */
static bool step(struct device *d, long *n)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		uint64_t v = 0;

		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		ops->write(d, 0, 0x40, &v, 8);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return false;
	for (long i = 0; i < *n; i++) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
			break;
		if (!WIFSTOPPED(status)) {
			*n = -1;
			return true;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return true;
}

static void at_each_instruction(void **state)
{
	struct device *d = opened(GPU);
	struct memory_status a, b;
	bool happened = false, not = false;
	long n;

	(void)state;
	for (long i = 1; i < 20000; i += 1 + i / DENSE) {
		uint64_t count = get(d, 0, 0x40, 8);

		n = i;
		memory_device_status(d, &a);
		if (!step(d, &n)) {
			print_message("[  SKIP    ] no ptrace here\n");
			break;
		}
		memory_device_status(d, &b);
		assert_true(b.done - a.done <= 1);
		assert_int_equal(get(d, 0, 0x40, 8), count + (b.done - a.done));
		happened |= b.done != a.done;
		not |= b.done == a.done;
		if (n < 0)
			break;
	}
	assert_true(n >= 0 || (happened && not ));
	ops->close(d);
}

/* --- a worker has the device on loan --- */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static uint32_t copies(const struct device *d, int fds[DEV_FDS_MAX])
{
	uint32_t n = ops->share(d, fds);

	for (uint32_t i = 0; i < n; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
	return n;
}

static void on_loan(void **state)
{
	struct device *d = opened(GPU), *b = NULL;
	const struct dev_facts *f = ops->facts(d);
	uint64_t mark, result = 0;
	struct err e = { 0 };
	int fds[DEV_FDS_MAX], other;
	uint32_t n = copies(d, fds);

	(void)state;
	assert_int_equal(ops->join(&b, GPU, f, fds, n, &e), 0);
	assert_memory_equal(ops->facts(b)->region, f->region, sizeof(f->region));
	mark = ops->mark(b);
	assert_false(ops->ran(d, mark, &result));
	put(b, 0, 0x40, 7, 8);
	assert_true(ops->ran(d, mark, &result));
	mark = ops->mark(b);
	assert_int_equal(get(b, 0, 0x40, 8), 1);
	assert_true(ops->ran(d, mark, &result));
	assert_int_equal(result, 1);
	ops->close(b);
	assert_int_equal(get(d, 0, 0x40, 8), 1);

	/* what is none: refused, and nothing of it is kept */
	n = copies(d, fds);
	other = fds[0];
	fds[0] = fds[1];
	fds[1] = other;
	assert_int_equal(ops->join(&b, GPU, f, fds, n, &e), -EPROTO);
	for (uint32_t i = 0; i < n; i++)
		assert_false(is_open(fds[i]));
	n = copies(d, fds);
	close(fds[n - 1]);
	assert_int_equal(ops->join(&b, GPU, f, fds, n - 1, &e), -EINVAL);
	ops->close(d);
}

/* --- whoever shares the block can write what he likes into it --- */

static void scribble(uint8_t *p, size_t n, unsigned *seed)
{
	for (size_t i = 0; i < n; i++) {
		*seed = *seed * 1103515245 + 12345;
		p[i] = (uint8_t)(*seed >> 16);
	}
}

static void hostile(void **state)
{
	struct device *d = opened(GPU);
	int fds[MEMORY_DEVICE_FDS], fd = memfd_create("guest", MFD_CLOEXEC);
	int irq[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	struct vu_irqs on = { DEV_MSIX, 0, 2, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, NULL };
	struct map map = { 0, UINT64_MAX, 0, fd, true, true };
	struct mem_state *s;
	struct dev_dma ask;
	unsigned seed = 7;

	(void)state;
	memory_device_fds(d, fds);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fds[2], 0);
	assert_true(s != MAP_FAILED);
	assert_int_equal(ops->irqs(d, &on, irq, NULL), 0);
	assert_int_equal(ops->map(d, &map, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		uint64_t v = 0;

		scribble((uint8_t *)s->redo.row, sizeof(s->redo.row), &seed);
		for (uint32_t k = 0; k < MEMSTATE_EFFECTS; k += 2) {
			/* some that are nearly right */
			s->redo.row[k].where %= 2 * MEMSTATE_STORES;
			s->redo.row[k].width %= 10;
			if (k % 4)
				s->redo.row[k].where = IN_STATE;
		}
		s->redo.n = i % 3 ? seed : MEMSTATE_EFFECTS;
		ops->write(d, 1, 64, &v, 8);
		scribble((uint8_t *)&s->done, sizeof(*s) - offsetof(struct mem_state, done), &seed);
		s->fault.kind = FAULT_KINDS + (uint64_t)i;
		s->irq_index = i % 2 ? DEV_MSIX : s->irq_index;
		if (i % 4)
			s->engine.length %= 1 << 20;
		if (i % 8 > 2)
			s->engine.source = s->engine.destination = seed;
		for (uint32_t region = 0; region <= DEV_CONFIG; region++)
			ops->read(d, region, 0, &v, 4);
		if (ops->attend(d, &ask) == 1)
			ops->dma_done(d, ask.write ? 0 : -EIO, NULL);
	}
	munmap(s, sizeof(*s));
	ops->close(d);
	close(irq[0]);
	close(irq[1]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_random),
		cmocka_unit_test(at_each_instruction),
		cmocka_unit_test(on_loan),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
