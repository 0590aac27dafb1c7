/* SPDX-License-Identifier: MIT */
/* A client's interrupts: kept, handed on, and set up again whole where a set cannot grow. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bar-forward/irqs.h"
#include "tests/unit/harness.h"

/* A device that keeps to the kernel's rules, and writes down what it was told. */
static struct told {
	struct dev_facts facts;
	uint32_t enabled[DEV_IRQS];
	int fds[8]; /* of MSI-X */
	char log[512];
	int fail; /* the next call's errno */
} d;

static const struct dev_facts *facts(const struct device *dev)
{
	(void)dev;
	return &d.facts;
}

static int told(struct device *dev, const struct vu_irqs *set, const int *fds, struct err *e)
{
	static const char *const actions[] = { "mask", "unmask", "trigger" };
	size_t n = strlen(d.log);
	int rc = d.fail;

	(void)dev;
	d.fail = 0;
	snprintf(d.log + n, sizeof(d.log) - n, "%u:%s %u+%u%s%s;", set->index, actions[set->action],
		 set->start, set->count,
		 set->data == VU_IRQ_EVENTFD ? (fds ? " fds" : " none") : "", rc ? "!" : "");
	if (rc)
		return err_set(e, rc, "no");
	if (set->data == VU_IRQ_NONE && set->count == 0) {
		d.enabled[set->index] = 0;
		memset(d.fds, 0xff, sizeof(d.fds));
	} else if (set->data == VU_IRQ_EVENTFD && set->action == VU_IRQ_TRIGGER) {
		if (d.enabled[set->index] && set->start + set->count > d.enabled[set->index] &&
		    d.facts.irq[set->index].noresize)
			return err_set(e, -EINVAL, "it does not grow");
		if (set->start + set->count > d.enabled[set->index])
			d.enabled[set->index] = set->start + set->count;
		if (set->index == DEV_MSIX && fds)
			memcpy(d.fds + set->start, fds, set->count * sizeof(int));
	}
	return 0;
}

static const struct device_ops ops = { .name = "told", .facts = facts, .irqs = told };

static int fresh(struct irqs *q, bool noresize)
{
	memset(&d, 0, sizeof(d));
	d.facts.irq[DEV_INTX] = (struct dev_irq) { .count = 1, .eventfd = true, .maskable = true };
	d.facts.irq[DEV_MSIX] =
		(struct dev_irq) { .count = 8, .eventfd = true, .noresize = noresize };
	d.facts.irq[DEV_ERR] = (struct dev_irq) { .count = 1, .eventfd = true };
	return irqs_open(q, &ops, NULL, NULL);
}

static void make(int *fds, int n)
{
	for (int i = 0; i < n; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
}

static int trigger(struct irqs *q, uint32_t start, uint32_t count, int *fds)
{
	const struct vu_irqs ask = { .index = DEV_MSIX,
				     .start = start,
				     .count = count,
				     .data = VU_IRQ_EVENTFD,
				     .action = VU_IRQ_TRIGGER };

	return irqs_apply(q, &ask, fds, fds ? count : 0, NULL);
}

static void a_set_that_cannot_grow_is_set_up_whole_again(void **state)
{
	struct irqs q;
	int first[2], more[3], kept[5];

	(void)state;
	assert_int_equal(fresh(&q, true), 0);
	make(first, 2);
	make(more, 3);
	memcpy(kept, first, sizeof(first));
	memcpy(kept + 2, more, sizeof(more));
	assert_int_equal(trigger(&q, 0, 2, first), 0);
	assert_int_equal(first[0], -1); /* kept */
	assert_int_equal(trigger(&q, 2, 3, more), 0);
	assert_string_equal(d.log, "2:trigger 0+2 fds;2:trigger 0+0;2:trigger 0+5 fds;");
	assert_memory_equal(d.fds, kept, sizeof(kept));
	irqs_close(&q);
	assert_int_equal(fcntl(kept[0], F_GETFD), -1);
	assert_int_equal(fcntl(kept[4], F_GETFD), -1);
	assert_int_equal(d.enabled[DEV_MSIX], 0);
}

static void one_that_can_is_told_only_the_new(void **state)
{
	struct irqs q;
	int first[2], more[2];

	(void)state;
	assert_int_equal(fresh(&q, false), 0);
	make(first, 2);
	make(more, 2);
	assert_int_equal(trigger(&q, 0, 2, first), 0);
	assert_int_equal(trigger(&q, 2, 2, more), 0);
	assert_string_equal(d.log, "2:trigger 0+2 fds;2:trigger 2+2 fds;");
	assert_int_equal(trigger(&q, 1, 1, NULL), 0); /* taken away */
	assert_int_equal(q.set[DEV_MSIX].fds[1], -1);
	assert_int_equal(q.set[DEV_MSIX].enabled, 4);
	irqs_close(&q);
}

static void a_hole_is_filled_with_nothing(void **state)
{
	struct irqs q;
	int two[2];

	(void)state;
	assert_int_equal(fresh(&q, true), 0);
	make(two, 2);
	assert_int_equal(trigger(&q, 3, 2, two), 0);
	assert_string_equal(d.log, "2:trigger 0+5 fds;");
	assert_int_equal(d.fds[0], -1);
	assert_int_equal(d.fds[3], q.set[DEV_MSIX].fds[3]);
	irqs_close(&q);
}

/* As QEMU does it while no vector is used: the device has MSI-X up all the same, and other kinds only after it is down. */
static void a_set_without_descriptors_is_up(void **state)
{
	struct irqs q;
	int one[1];

	(void)state;
	assert_int_equal(fresh(&q, true), 0);
	assert_int_equal(trigger(&q, 0, 1, NULL), 0);
	assert_int_equal(q.set[DEV_MSIX].enabled, 1);
	make(one, 1);
	assert_int_equal(trigger(&q, 4, 1, one), 0);
	assert_string_equal(d.log, "2:trigger 0+1 none;2:trigger 0+0;2:trigger 0+5 fds;");
	irqs_close(&q);
	assert_int_equal(d.enabled[DEV_MSIX], 0);
	assert_int_equal(fresh(&q, true), 0);
	assert_int_equal(trigger(&q, 0, 1, NULL), 0);
	irqs_close(&q);
	assert_string_equal(d.log, "2:trigger 0+1 none;2:trigger 0+0;");
}

static void what_the_device_refuses_changes_nothing(void **state)
{
	struct irqs q;
	int first[1], more[1];

	(void)state;
	assert_int_equal(fresh(&q, false), 0);
	make(first, 1);
	make(more, 1);
	assert_int_equal(trigger(&q, 0, 1, first), 0);
	d.fail = -ENOSPC;
	assert_int_equal(trigger(&q, 1, 1, more), -ENOSPC);
	assert_int_equal(q.set[DEV_MSIX].enabled, 1);
	assert_true(more[0] >= 0); /* still the caller's */
	close(more[0]);
	irqs_close(&q);
}

static void what_the_device_has_not_is_refused(void **state)
{
	static const struct vu_irqs bad[] = {
		{ .index = 9, .count = 1, .action = VU_IRQ_TRIGGER },
		{ .index = DEV_MSIX, .start = 8, .count = 1, .action = VU_IRQ_TRIGGER },
		{ .index = DEV_ERR, .count = 1, .action = VU_IRQ_TRIGGER }, /* stays with us */
		{ .index = DEV_MSI, .count = 1, .action = VU_IRQ_TRIGGER },
		{ .index = DEV_MSIX, .count = 1, .data = VU_IRQ_EVENTFD, .action = VU_IRQ_MASK },
	};
	struct vu_irq_info info;
	struct irqs q;

	(void)state;
	assert_int_equal(fresh(&q, false), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(irqs_apply(&q, &bad[i], NULL, 0, NULL), -EINVAL);
	assert_string_equal(d.log, "");
	assert_int_equal(irqs_info(&q, DEV_ERR, &info), 0);
	assert_int_equal(info.count, 0);
	assert_int_equal(irqs_info(&q, DEV_IRQS, &info), -EINVAL);
	irqs_close(&q);
}

static void intx_is_unmasked_by_a_descriptor(void **state)
{
	const struct vu_irqs ask = {
		.index = DEV_INTX, .count = 1, .data = VU_IRQ_EVENTFD, .action = VU_IRQ_UNMASK
	};
	const struct vu_irqs off = { .index = DEV_INTX,
				     .data = VU_IRQ_NONE,
				     .action = VU_IRQ_TRIGGER };
	struct irqs q;
	int fd[1], kept;

	(void)state;
	assert_int_equal(fresh(&q, false), 0);
	make(fd, 1);
	kept = fd[0];
	assert_int_equal(irqs_apply(&q, &ask, fd, 1, NULL), 0);
	assert_int_equal(q.set[DEV_INTX].unmask, kept);
	assert_int_equal(irqs_apply(&q, &off, NULL, 0, NULL), 0);
	assert_int_equal(fcntl(kept, F_GETFD), -1);
	assert_string_equal(d.log, "0:unmask 0+1 fds;0:trigger 0+0;");
	irqs_close(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_that_cannot_grow_is_set_up_whole_again),
		cmocka_unit_test(one_that_can_is_told_only_the_new),
		cmocka_unit_test(a_hole_is_filled_with_nothing),
		cmocka_unit_test(a_set_without_descriptors_is_up),
		cmocka_unit_test(what_the_device_refuses_changes_nothing),
		cmocka_unit_test(what_the_device_has_not_is_refused),
		cmocka_unit_test(intx_is_unmasked_by_a_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
