/* SPDX-License-Identifier: MIT */
/* A recording as a device: the same boot again, other counts of polls, other orders, other values, and where it is left. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bar-forward/device.h"
#include "bar-forward/irqrelay.h"
#include "bar-forward/replay.h"
#include "bar-forward/trace.h"
#include "base/telem.h"
#include "tests/unit/harness.h"

#define BEGAN UINT64_C(1000000)
#define US    UINT64_C(1000)
#define CMD   0x10 /* registers of the device that is told of */
#define STAT  0x14
#define DATA  0x18
#define IDLE  (2 * REPLAY_IDLE_NS)

static char path[] = "/tmp/berth-replay-XXXXXX";
static struct trace t;
static uint64_t clock_ns;

static void begin(uint64_t slots)
{
	struct err e = { 0 };

	if (trace_create(&t, path, TRACE_HEAD_BYTES + slots * sizeof(struct trace_slot),
			 &(struct trace_about) { .now_ns = BEGAN }, &e))
		fail_msg("%s", e.text);
	clock_ns = BEGAN;
}

static void was(enum trace_kind kind, uint64_t offset, uint64_t value)
{
	clock_ns += 10 * US;
	trace_put(&t, &(struct trace_slot) { .kind = (uint8_t)kind,
					     .width = 4,
					     .ns = clock_ns,
					     .offset = offset,
					     .value = value });
}

static void was_read(uint64_t offset, uint64_t value)
{
	was(TRACE_READ, offset, value);
}

static void was_written(uint64_t offset, uint64_t value)
{
	was(TRACE_WRITE, offset, value);
}

static struct replay *replayed(void)
{
	struct trace_reader *reader;
	struct replay *r = NULL;
	struct err e = { 0 };

	trace_close(&t);
	if (trace_reader_open(&reader, path, &e) || replay_open(&r, reader, NULL, 0, &e))
		fail_msg("%s", e.text);
	return r;
}

static uint64_t get(struct replay *r, uint64_t offset)
{
	return replay_read(r, 0, offset, 4, 5000);
}

static void put(struct replay *r, uint64_t offset, uint64_t value)
{
	replay_write(r, 0, offset, 4, value, 5000);
}

/* Start, poll until it is ready, fetch; twice, with other data. */
static void a_boot(void)
{
	begin(200);
	for (uint64_t i = 0; i < 2; i++) {
		was_written(CMD, 1);
		for (int n = 0; n < 3; n++)
			was_read(STAT, 0);
		was_read(STAT, 1);
		was_read(DATA, 100 + i);
		was_written(STAT, 1);
		was_read(STAT, 0);
	}
}

static void one_round(struct replay *r, int polls, uint64_t data)
{
	int n = 0;

	put(r, CMD, 1);
	while (get(r, STAT) != 1 && n < polls)
		n++;
	assert_int_equal(get(r, DATA), data);
	put(r, STAT, 1);
	assert_int_equal(get(r, STAT), 0);
}

static void test_the_same_again(void **state)
{
	struct replay *r;
	const struct replay_counts *c;

	(void)state;
	a_boot();
	r = replayed();
	one_round(r, 100, 100);
	one_round(r, 100, 101);
	c = replay_counts(r);
	assert_false(c->departed);
	assert_true(c->ended);
	assert_int_equal(c->overdue_writes + c->left_reads + c->other_values, 0);
	assert_non_null(strstr(replay_report(r), "stayed on the recorded path, to its end"));
	replay_close(r);
}

/* A guest that gives up polling early finds the next round in order all the same. */
static void test_fewer_polls(void **state)
{
	struct replay *r;

	(void)state;
	begin(200);
	was_written(CMD, 1);
	for (int n = 0; n < 5; n++)
		was_read(STAT, 0);
	was_written(CMD, 2);
	was_read(STAT, 7);
	r = replayed();
	put(r, CMD, 1);
	assert_int_equal(get(r, STAT), 0);
	put(r, CMD, 2);
	assert_int_equal(get(r, STAT), 7);
	assert_false(replay_counts(r)->departed);
	replay_close(r);
}

/* And one that polls longer does not see what came after a write that it has not made. */
static void test_more_polls(void **state)
{
	struct replay *r;

	(void)state;
	begin(200);
	was_written(CMD, 1);
	was_read(STAT, 0);
	was_read(STAT, 0);
	was_written(CMD, 2);
	was_read(STAT, 7);
	r = replayed();
	put(r, CMD, 1);
	for (int n = 0; n < 20; n++)
		assert_int_equal(get(r, STAT), 0);
	put(r, CMD, 2);
	assert_int_equal(get(r, STAT), 7);
	/* Beyond the end the last value stays. */
	assert_int_equal(get(r, STAT), 7);
	assert_false(replay_counts(r)->departed);
	replay_close(r);
}

/* But it is not kept for ever: then it goes on without that write, and this is told. */
static void test_a_write_that_never_comes(void **state)
{
	struct replay *r;
	int n = 0;

	(void)state;
	begin(200);
	was_read(STAT, 0);
	was_written(CMD, 2);
	was_read(STAT, 7);
	was_written(CMD, 3);
	was_read(STAT, 9);
	r = replayed();
	while (get(r, STAT) != 7)
		assert_true(n++ < 2 * REPLAY_PATIENCE);
	assert_true(n >= REPLAY_PATIENCE);
	assert_true(replay_counts(r)->departed);
	assert_non_null(strstr(replay_said(r), "without the write of 0x2 to BAR0+0x10"));
	assert_null(replay_said(r));
	/* Who still polls is not led through the whole recording. */
	for (n = 0; n < 4 * REPLAY_PATIENCE; n++)
		assert_int_equal(get(r, STAT), 7);
	/* It comes late: nothing is wrong with it, and the next is in order. */
	put(r, CMD, 2);
	put(r, CMD, 3);
	assert_int_equal(get(r, STAT), 9);
	assert_int_equal(replay_counts(r)->unknown_writes, 0);
	replay_close(r);
}

/* Two threads of the guest, each at its own registers, in any order. */
static void test_another_order(void **state)
{
	struct replay *r;

	(void)state;
	begin(200);
	for (uint64_t i = 0; i < 10; i++) {
		was_written(CMD, i);
		was_read(STAT, i);
		was_written(0x110, 100 + i);
		was_read(0x114, 100 + i);
	}
	r = replayed();
	for (uint64_t i = 0; i < 10; i++) {
		put(r, 0x110, 100 + i);
		assert_int_equal(get(r, 0x114), 100 + i);
	}
	for (uint64_t i = 0; i < 10; i++) {
		put(r, CMD, i);
		assert_int_equal(get(r, STAT), i);
	}
	assert_false(replay_counts(r)->departed);
	replay_close(r);
}

static void test_other_values_and_registers(void **state)
{
	struct replay *r;

	(void)state;
	begin(200);
	was_written(CMD, 0x1000);
	was_written(CMD, 0x2000);
	was_written(CMD, 0x3000);
	r = replayed();
	put(r, CMD, 0x1004); /* another address in this boot */
	assert_int_equal(replay_counts(r)->other_values, 1);
	assert_false(replay_counts(r)->departed);
	assert_non_null(strstr(replay_said(r), "0x1004 to BAR0+0x10, 0x1000 in the recording"));
	put(r, CMD, 0x3000); /* one was left out */
	assert_int_equal(replay_counts(r)->overdue_writes, 1);
	assert_non_null(strstr(replay_said(r), "last access that was recorded"));
	put(r, 0x500, 3);
	assert_true(replay_counts(r)->departed);
	assert_non_null(strstr(replay_said(r), "writes 0x3 to BAR0+0x500/4"));
	assert_int_equal(get(r, 0x500), 3);
	assert_int_equal(get(r, 0x600), 0);
	assert_int_equal(replay_counts(r)->unknown_reads, 1);
	assert_non_null(strstr(replay_said(r), "reads BAR0+0x600/4"));
	replay_close(r);
}

static void test_interrupts(void **state)
{
	struct replay *r;
	struct replay_irq q;

	(void)state;
	begin(200);
	was_written(CMD, 1);
	trace_put(&t, &(struct trace_slot) { .kind = TRACE_IRQ,
					     .region = DEV_MSIX,
					     .offset = 3,
					     .value = 1,
					     .ns = clock_ns + 70 * US });
	clock_ns += 70 * US;
	was_written(STAT, 1);
	was(TRACE_IRQ, 1, 1);
	r = replayed();
	assert_int_equal(replay_due(r, 1), UINT64_MAX);
	replay_write(r, 0, CMD, 4, 1, 5000);
	assert_int_equal(replay_due(r, 6000), 5000 + 70 * US);
	assert_false(replay_irq(r, 5000 + 69 * US, &q));
	assert_true(replay_irq(r, 5000 + 70 * US, &q));
	assert_int_equal(q.index, DEV_MSIX);
	assert_int_equal(q.vector, 3);
	/* The next waits for the acknowledgement; a guest that idles waits for it, and gets it. */
	assert_false(replay_irq(r, REPLAY_IDLE_NS / 2, &q));
	assert_in_range(replay_due(r, 5000 + 70 * US), 5000 + REPLAY_IDLE_NS + 70 * US,
			5000 + REPLAY_IDLE_NS + 200 * US);
	assert_true(replay_irq(r, IDLE, &q));
	assert_int_equal(q.vector, 1);
	assert_int_equal(replay_counts(r)->overdue_writes, 1);
	assert_int_equal(replay_due(r, IDLE), UINT64_MAX);
	replay_close(r);
}

/* A guest that stood still between two writes does so again. */
static void test_a_guest_that_pauses(void **state)
{
	const uint64_t pause = 3 * REPLAY_IDLE_NS;
	struct replay *r;
	struct replay_irq q;

	(void)state;
	begin(200);
	was_written(CMD, 1);
	clock_ns += pause;
	was_written(CMD, 2);
	was(TRACE_IRQ, 1, 1);
	r = replayed();
	replay_write(r, 0, CMD, 4, 1, 5000);
	assert_false(replay_irq(r, 5000 + pause, &q));
	replay_write(r, 0, CMD, 4, 2, 6000 + pause);
	assert_true(replay_irq(r, 6000 + pause + IDLE, &q));
	assert_int_equal(replay_counts(r)->overdue_writes, 0);
	assert_false(replay_counts(r)->departed);
	replay_close(r);
}

/* The interrupt is recorded before the write that raised it has ended: it is raised by that write all the same. */
static void test_an_interrupt_during_a_write(void **state)
{
	struct trace_slot before = {
		.kind = TRACE_IRQ, .region = DEV_MSIX, .offset = 4, .value = 1
	};
	struct trace_slot irq = { .kind = TRACE_IRQ, .region = DEV_MSIX, .offset = 5, .value = 1 };
	struct trace_slot write = { .kind = TRACE_WRITE, .width = 4, .offset = CMD, .value = 1 };
	struct replay *r;
	struct replay_irq q;

	(void)state;
	begin(200);
	was_read(STAT, 1);
	before.ns = clock_ns + 5 * US; /* of what came before: that one is no reason to wait */
	trace_put(&t, &before);
	irq.ns = clock_ns + 20 * US;
	write.ns = clock_ns + 25 * US;
	write.took = 10 * US;
	trace_put(&t, &irq);
	trace_put(&t, &write);
	r = replayed();
	assert_int_equal(get(r, STAT), 1);
	assert_true(replay_irq(r, IDLE, &q));
	assert_int_equal(q.vector, 4);
	assert_false(replay_irq(r, IDLE, &q));
	replay_write(r, 0, CMD, 4, 1, 5000);
	assert_true(replay_irq(r, 5000, &q));
	assert_int_equal(q.vector, 5);
	replay_close(r);
}

/* More than the window holds, and more registers than there are rows, all behind each other. */
static void test_a_long_recording(void **state)
{
	const uint64_t n = 4 * REPLAY_WINDOW;
	struct replay *r;

	(void)state;
	begin(2 * n + 10);
	for (uint64_t i = 0; i < n; i++) {
		was_written(CMD, i);
		was_read(0x1000 + 4 * i, i ^ 0x5555);
	}
	r = replayed();
	for (uint64_t i = 0; i < n; i++) {
		put(r, CMD, i);
		if (i % 3) /* each third is not asked for */
			assert_int_equal(get(r, 0x1000 + 4 * i), i ^ 0x5555);
	}
	assert_false(replay_counts(r)->departed);
	assert_in_range(replay_counts(r)->left_reads, n / 3 - REPLAY_LAG, n / 3 + 1);
	replay_close(r);
}

/* By way of the recorder: what the device raises reaches the client, and is in the recording. */
static void test_the_relay(void **state)
{
	static struct trace_record rec;
	struct irqrelay relay;
	struct trace_reader *reader;
	struct vu_irqs ask = { DEV_MSIX, 2, 2, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, NULL };
	int theirs[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) }, keep[2], fds[2];
	int device = eventfd(0, EFD_NONBLOCK), pipes[2];
	uint64_t n = 3;

	(void)state;
	begin(100);
	assert_int_equal(irqrelay_open(&relay, NULL), 0);
	for (int i = 0; i < 2; i++) {
		keep[i] = dup(theirs[i]);
		fds[i] = theirs[i];
	}
	assert_int_equal(irqrelay_take(&relay, &ask, fds, 2, NULL), 0);
	irqrelay_settle(&relay, true);
	assert_int_not_equal(fds[1], theirs[1]);
	assert_int_equal(write(fds[1], &n, sizeof(n)), sizeof(n));
	assert_int_equal(poll(&(struct pollfd) { .fd = relay.fd, .events = POLLIN }, 1, 0), 1);
	assert_false(irqrelay_pass(&relay, &t, telem_now_ns));
	assert_int_equal(read(keep[1], &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 1); /* three at once are heard as one */
	/* A client whose counter is full, and what is no eventfd, hold up nobody. */
	n = UINT64_MAX - 1;
	assert_int_equal(write(keep[1], &n, sizeof(n)), sizeof(n));
	assert_false(irqrelay_raise(keep[1]));
	assert_int_equal(read(keep[1], &n, sizeof(n)), sizeof(n));
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(irqrelay_take(&relay,
				       &(struct vu_irqs) { DEV_MSIX, 0, 1, VU_IRQ_EVENTFD,
							   VU_IRQ_TRIGGER, NULL },
				       &pipes[1], 1, NULL),
			 -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	n = 3;
	/* The device's own, when it is watched. */
	irqrelay_watch(&relay, device, true);
	assert_int_equal(write(device, &n, sizeof(n)), sizeof(n));
	assert_true(irqrelay_pass(&relay, &t, telem_now_ns));
	irqrelay_watch(&relay, device, false);
	assert_int_equal(poll(&(struct pollfd) { .fd = relay.fd, .events = POLLIN }, 1, 0), 0);
	/* What the device refuses leaves the old ones in force. */
	int again[2] = { dup(keep[0]), dup(keep[1]) };

	assert_int_equal(irqrelay_take(&relay, &ask, again, 2, NULL), 0);
	irqrelay_settle(&relay, false);
	n = 1;
	assert_int_equal(write(fds[0], &n, sizeof(n)), sizeof(n));
	irqrelay_pass(&relay, &t, telem_now_ns);
	assert_int_equal(read(keep[0], &n, sizeof(n)), sizeof(n));
	/* Down: what the device raises then reaches nobody. */
	ask = (struct vu_irqs) { DEV_MSIX, 0, 0, VU_IRQ_NONE, VU_IRQ_TRIGGER, NULL };
	assert_int_equal(irqrelay_take(&relay, &ask, NULL, 0, NULL), 0);
	irqrelay_settle(&relay, true);
	assert_int_equal(write(fds[0], &n, sizeof(n)), sizeof(n));
	assert_int_equal(poll(&(struct pollfd) { .fd = relay.fd, .events = POLLIN }, 1, 0), 0);
	irqrelay_close(&relay);
	for (int i = 0; i < 2; i++) {
		close(keep[i]);
		close(fds[i]);
		close(again[i]);
	}
	close(device);
	trace_close(&t);
	assert_int_equal(trace_reader_open(&reader, path, NULL), 0);
	assert_int_equal(trace_reader_next(reader, &rec, NULL), 1);
	assert_int_equal(rec.s.kind, TRACE_IRQ);
	assert_int_equal(rec.s.offset, 3);
	assert_int_equal(rec.s.value, 3);
	assert_int_equal(trace_reader_next(reader, &rec, NULL), 1);
	assert_int_equal(rec.s.offset, 2);
	assert_int_equal(trace_reader_next(reader, &rec, NULL), 0);
	trace_reader_close(reader);
}

/* What is no device's recording is none to be replayed. */
static void test_no_device_in_it(void **state)
{
	struct device *d;
	struct err e = { 0 };

	(void)state;
	begin(100);
	trace_close(&t);
	assert_int_equal(replay_device_ops.open(&d, path, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "no client came"));
	assert_int_equal(replay_device_ops.open(&d, "/nowhere", NULL, &e), -ENODEV);
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_again),
		cmocka_unit_test(test_fewer_polls),
		cmocka_unit_test(test_more_polls),
		cmocka_unit_test(test_a_write_that_never_comes),
		cmocka_unit_test(test_another_order),
		cmocka_unit_test(test_other_values_and_registers),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_a_guest_that_pauses),
		cmocka_unit_test(test_an_interrupt_during_a_write),
		cmocka_unit_test(test_a_long_recording),
		cmocka_unit_test(test_the_relay),
		cmocka_unit_test(test_no_device_in_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
