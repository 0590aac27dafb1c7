/* SPDX-License-Identifier: MIT */
/*
 * A device that answers as a recorded one did (replay.h), in one process. Config space is as it was when the recorded client
 * came, and keeps what is written to the registers of the table below; interrupts come when they came then; the guest's
 * memory is never touched.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bar-forward/device.h"
#include "bar-forward/irqrelay.h"
#include "bar-forward/replay.h"
#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

#define CONFIG_BYTES  4096
#define ROM_BYTES_MAX (UINT64_C(16) << 20)
#define CAPS_MAX      48
#define VECTORS_MAX   2048

struct device {
	struct dev_facts facts;
	struct replay *replay;
	uint8_t config[CONFIG_BYTES], keeps[CONFIG_BYTES]; /* keeps: bits that stay as written */
	uint8_t *rom;
	uint64_t rom_bytes;
	int timer;
	int *trigger[DEV_IRQS]; /* as many as there are vectors; -1 */
	uint64_t unheard;       /* interrupts that the guest has no descriptor for */
	char said[1024];
	bool summed;
};

/* --- what can be written of the configuration space and stays so --- */

static const struct kept {
	uint8_t cap; /* 0: of the header */
	uint8_t at;
	uint32_t bits;
} kept[] = {
	{ 0, PCI_COMMAND, 0xffff },
	{ 0, PCI_CACHE_LINE_SIZE, 0xff },
	{ 0, PCI_INTERRUPT_LINE, 0xff },
	{ PCI_CAP_ID_PM, PCI_PM_CTRL, 0x0103 },
	{ PCI_CAP_ID_MSI, PCI_MSI_FLAGS, 0x0071 },
	{ PCI_CAP_ID_MSI, PCI_MSI_ADDRESS_LO, 0xffffffff },
	{ PCI_CAP_ID_MSI, PCI_MSI_ADDRESS_HI, 0xffffffff },
	{ PCI_CAP_ID_MSI, PCI_MSI_DATA_64, 0xffff },
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, 0x7fff }, /* all but the reset, which is over at once */
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVCTL2, 0x001f },
	{ PCI_CAP_ID_MSIX, PCI_MSIX_FLAGS, 0xc000 },
};

static void keep(struct device *d, uint8_t id, uint32_t base)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		for (uint32_t b = 0; kept[i].cap == id && b < 4; b++)
			if (base + kept[i].at + b < 256)
				d->keeps[base + kept[i].at + b] |= (uint8_t)(kept[i].bits >> 8 * b);
}

static void lay_out_config(struct device *d)
{
	uint32_t at = d->config[PCI_CAPABILITY_LIST] & 0xfcu;

	keep(d, 0, 0);
	if (!(d->config[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return;
	for (int i = 0; i < CAPS_MAX && at >= 0x40; i++) {
		keep(d, d->config[at], at);
		at = d->config[at + 1] & 0xfcu;
	}
}

/* --- open and close --- */

static void put_region(struct dev_region *r, const struct trace_region *w)
{
	*r = (struct dev_region) {
		.size = w->size, .read = w->flags & 1, .write = w->flags & 2, .io = w->flags & 4
	};
}

static int put_irqs(struct device *d, const struct trace_device *w, struct err *e)
{
	for (uint32_t i = 0; i < DEV_IRQS; i++) {
		uint32_t n = w->irq[i].count < VECTORS_MAX ? w->irq[i].count : VECTORS_MAX;

		d->facts.irq[i] = (struct dev_irq) { .count = n,
						     .eventfd = w->irq[i].flags & 1,
						     .maskable = w->irq[i].flags & 2,
						     .automasked = w->irq[i].flags & 4,
						     .noresize = w->irq[i].flags & 8 };
		d->trigger[i] = malloc((n + 1) * sizeof(int));
		if (!d->trigger[i])
			return err_set(e, -ENOMEM, "out of memory");
		for (uint32_t v = 0; v <= n; v++)
			d->trigger[i][v] = -1;
	}
	return 0;
}

static int put_facts(struct device *d, const struct trace_head *h, const char *what, struct err *e)
{
	const struct trace_device *w = &h->what;

	if (!w->seq || !w->config_size)
		return err_set(e, -EBADMSG,
			       "%s tells of no device: no client came while it was recorded", what);
	text_copy(d->facts.name, sizeof(d->facts.name), what);
	text_copy(d->facts.backend, sizeof(d->facts.backend), "replay");
	for (uint32_t i = 0; i < DEV_VGA; i++)
		put_region(&d->facts.region[i], &w->region[i]);
	d->facts.region[DEV_CONFIG].size = w->config_size;
	d->facts.region[DEV_CONFIG].read = d->facts.region[DEV_CONFIG].write = true;
	d->facts.reset = w->flags & 1;
	d->facts.wide = w->flags & 2;
	memcpy(d->config, w->config, w->config_size);
	d->rom_bytes = d->facts.region[DEV_ROM].size;
	if (d->rom_bytes > ROM_BYTES_MAX)
		d->rom_bytes = ROM_BYTES_MAX;
	d->rom = calloc(1, d->rom_bytes + 1);
	if (!d->rom)
		return err_set(e, -ENOMEM, "out of memory");
	lay_out_config(d);
	return put_irqs(d, w, e);
}

static void op_close(struct device *d)
{
	for (uint32_t i = 0; i < DEV_IRQS; i++) {
		for (uint32_t v = 0; d->trigger[i] && v < d->facts.irq[i].count; v++)
			own_close_fd(&d->trigger[i][v]);
		free(d->trigger[i]);
	}
	replay_close(d->replay);
	own_close_fd(&d->timer);
	free(d->rom);
	free(d);
}

static int fill(struct device *d, struct trace_reader *r, const char *what, struct err *e)
{
	int rc = put_facts(d, &r->head, what, e);

	if (rc) {
		trace_reader_close(r);
		return rc;
	}
	d->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	rc = d->timer < 0 ? -errno : 0;
	if (rc) {
		trace_reader_close(r);
		return err_set(e, rc, "cannot make a timer: %s", strerror(-rc));
	}
	return replay_open(&d->replay, r, d->rom, d->rom_bytes, e);
}

/* Takes the reader, whatever comes. */
static int make(struct device **out, struct trace_reader *r, const char *what, struct err *e)
{
	struct device *d = calloc(1, sizeof(*d));
	int rc;

	if (!d) {
		trace_reader_close(r);
		return err_set(e, -ENOMEM, "out of memory");
	}
	d->timer = -1;
	rc = fill(d, r, what, e);
	if (rc)
		op_close(d);
	else
		*out = d;
	return rc;
}

static int op_open(struct device **d, const char *what, struct device *beside, struct err *e)
{
	struct trace_reader *r;
	int rc = trace_reader_open(&r, what, e);

	(void)beside;
	if (rc)
		return rc == -ENOENT ? err_set(e, -ENODEV, "there is no recording %s", what) : rc;
	return make(d, r, what, e);
}

static int op_hand(struct device *d, struct dev_handed *to, int fds[DEV_FDS_MAX])
{
	(void)to;
	fds[0] = replay_fd(d->replay);
	return 1;
}

static int op_take(struct device **d, const char *what, struct device *beside,
		   const struct dev_handed *from, const int *fds, uint32_t n, struct err *e)
{
	struct trace_reader *r;
	int rc;

	(void)beside;
	(void)from;
	if (n != 1)
		return err_set(e, -EPROTO, "%s was not handed over", what);
	rc = trace_reader_take(&r, fds[0], what, e);
	return rc ? rc : make(d, r, what, e);
}

static const struct dev_facts *op_facts(const struct device *d)
{
	return &d->facts;
}

/* --- interrupts --- */

static void raise_irq(struct device *d, const struct replay_irq *q)
{
	int fd = q->index < DEV_IRQS && q->vector < d->facts.irq[q->index].count
			 ? d->trigger[q->index][q->vector]
			 : -1;

	if (fd < 0 || !irqrelay_raise(fd))
		d->unheard++;
}

/* Have the timer run out when the next one is due. */
static void set_timer(struct device *d)
{
	uint64_t now = telem_now_ns(), due = replay_due(d->replay, now);
	struct itimerspec t = { 0 };

	if (due != UINT64_MAX) {
		due = due > now ? due : now + 1;
		t.it_value.tv_sec = (time_t)(due / 1000000000);
		t.it_value.tv_nsec = (long)(due % 1000000000);
	}
	timerfd_settime(d->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static int op_poll_fd(const struct device *d)
{
	return d->timer;
}

static int op_attend(struct device *d, struct dev_dma *dma)
{
	struct replay_irq q;
	uint64_t n;

	(void)dma;
	if (read(d->timer, &n, sizeof(n)) != sizeof(n))
		return 0;
	while (replay_irq(d->replay, telem_now_ns(), &q))
		raise_irq(d, &q);
	set_timer(d);
	return 0;
}

static int set_fd(int *to, int fd)
{
	int fresh;

	if (fd >= 0 && !irqrelay_is_eventfd(fd))
		return -EINVAL;
	fresh = fd >= 0 ? dup(fd) : -1;
	if (fd >= 0 && fresh < 0)
		return -errno;
	own_close_fd(to);
	*to = fresh;
	return 0;
}

static int op_irqs(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e)
{
	uint32_t all = d->facts.irq[set->index].count;
	uint32_t first = set->count ? set->start : 0, n = set->count ? set->count : all;

	/* What is masked, or raised by the guest itself, has nothing to do with what was recorded. */
	if (set->action != VU_IRQ_TRIGGER || (set->count && set->data != VU_IRQ_EVENTFD))
		return 0;
	for (uint32_t i = 0; i < n && first + i < all; i++) {
		int rc = set_fd(&d->trigger[set->index][first + i],
				fds && set->count ? fds[i] : -1);

		if (rc)
			return err_set(e, rc, "cannot keep the descriptor of an interrupt: %s",
				       strerror(-rc));
	}
	return 0;
}

/* --- accesses --- */

static int op_read(struct device *d, uint32_t region, uint64_t offset, void *bytes, uint32_t width)
{
	uint64_t value;

	if (region == DEV_CONFIG) {
		memcpy(bytes, d->config + offset, width);
	} else if (region == DEV_ROM) {
		memset(bytes, 0xff, width);
		if (offset + width <= d->rom_bytes)
			memcpy(bytes, d->rom + offset, width);
	} else {
		value = replay_read(d->replay, region, offset, width, telem_now_ns());
		memcpy(bytes, &value, width);
		set_timer(d);
	}
	return 0;
}

static int op_write(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
		    uint32_t width)
{
	const uint8_t *from = bytes;
	uint64_t value = 0;

	if (region == DEV_CONFIG) {
		for (uint32_t i = 0; i < width; i++) {
			uint8_t keeps = d->keeps[offset + i];

			d->config[offset + i] = (uint8_t)((d->config[offset + i] & ~keeps) |
							  (from[i] & keeps));
		}
		return 0;
	}
	memcpy(&value, bytes, width);
	replay_write(d->replay, region, offset, width, value, telem_now_ns());
	set_timer(d);
	return 0;
}

static int op_reset(struct device *d, struct err *e)
{
	(void)e;
	replay_reset(d->replay, telem_now_ns());
	set_timer(d);
	return 0;
}

static int op_map(struct device *d, const struct map *row, struct err *e)
{
	(void)d;
	(void)row;
	(void)e;
	return 0;
}

static int op_present(struct device *d)
{
	(void)d;
	return 0;
}

static const char *op_said(struct device *d, bool end)
{
	const char *next = replay_said(d->replay);

	if (next || !end || d->summed)
		return next;
	d->summed = true;
	if (d->unheard)
		snprintf(d->said, sizeof(d->said),
			 "%s; the guest did not listen to %" PRIu64 " interrupts",
			 replay_report(d->replay), d->unheard);
	else
		snprintf(d->said, sizeof(d->said), "%s", replay_report(d->replay));
	return d->said;
}

const struct device_ops replay_device_ops = {
	.name = "replay",
	.open = op_open,
	.close = op_close,
	.hand = op_hand,
	.take = op_take,
	.facts = op_facts,
	.read = op_read,
	.write = op_write,
	.reset = op_reset,
	.irqs = op_irqs,
	.map = op_map,
	.unmap = op_map,
	.present = op_present,
	.poll_fd = op_poll_fd,
	.attend = op_attend,
	.said = op_said,
};
