/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module's files share. */
#ifndef BERTH_KMOD_PRIV_H
#define BERTH_KMOD_PRIV_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/percpu.h>
#include <linux/rwsem.h>
#include <linux/timer.h>
#include <linux/vfio_pci_core.h>
#include <linux/workqueue.h>

#include "kmod/config.h"
#include "kmod/uapi.h"

enum bv_mode {
	BV_MAP,
	BV_TRAP,
	BV_REVOCABLE,
};

enum bv_verb {
	BV_DENY,
	BV_READ_ONLY,
	BV_LOG,
	BV_PAGES,
	BV_OPEN,
};

/* The region of configuration space, in rules. */
#define BV_CONFIG VFIO_PCI_CONFIG_REGION_INDEX

/* Accesses of up to eight bytes are counted by their size; others at 0. */
#define BV_SIZES   9
#define BV_BUCKETS 32

/**
 * struct bv_rule - what may not be done with, or is told of, some bytes of a BAR; and what may be
 * done although it leads around the trap
 * @verb: what
 * @bar: of which BAR, or BV_CONFIG
 * @first: its first byte
 * @last: its last byte
 */
struct bv_rule {
	enum bv_verb verb;
	u32 bar;
	u64 first;
	u64 last;
};

/**
 * struct bv_counts - what one processor has counted in one direction of a BAR
 * @size: accesses that moved something, by the bytes that were asked for
 * @bytes: the bytes that were moved, less those that @size tells; may be below 0
 * @failed: accesses that vfio_pci_core refused, or that moved nothing
 * @denied: accesses that the policy refused
 * @latency: accesses that took 2^i ns or more, and less than twice that; the last bucket has no end
 */
struct bv_counts {
	u64 size[BV_SIZES];
	u64 bytes;
	u64 failed;
	u64 denied;
	u64 latency[BV_BUCKETS];
};

/**
 * struct bv_stats - one processor's counts of all BARs
 * @n: by BAR; 0 for reads, 1 for writes
 */
struct bv_stats {
	struct bv_counts n[PCI_STD_NUM_BARS][2];
};

/**
 * struct bv_revoke - what the mode "revocable" knows of a function: revoke.c
 * @lock: held for reading by who fills a map, for writing by who brings the device back
 * @gone: the function does not come back; changes once
 * @wiped: errors of its bus, which the kernel mended by a reset, have left the function without
 *   its configuration, until the program switches memory on again; so many
 * @mapped: the scratch page may be in a map; cleared with @lock held for writing
 * @scratch: what maps show while the device must not be touched; there while a session is
 * @timer: fills @scratch with ones while it is mapped
 * @work: takes it away where only @timer has seen that the device is back
 * @core_ops: what vfio_pci_core does with a map; NULL before the first
 * @ops: and what we do
 */
struct bv_revoke {
	struct rw_semaphore lock;
	atomic_t gone;
	atomic_t wiped;
	bool mapped;
	struct page *scratch;
	struct timer_list timer;
	struct work_struct work;
	const struct vm_operations_struct *core_ops;
	struct vm_operations_struct ops;
};

/**
 * struct bv_device - a function that the module has bound
 * @core: what vfio_pci_core knows; first, for it finds itself by the driver's data
 * @lock: holds what is told before the function is opened: @mode, @rules, @n_rules, @open
 * @open: somebody has it open: what @lock holds does not change, and who has it open reads it
 *   without the lock
 * @mode: of each BAR
 * @rules: the policy, by BAR and first byte
 * @n_rules: how many
 * @traps: while open: a BAR of memory is trapped, or a rule holds bytes of any, so what leads
 *   around the trap is closed
 * @mappable: while open: a bit for each BAR that can be mapped, whether it may or not
 * @closes_io: while open: a rule holds bytes of memory, so I/O BARs, which may alias it, are
 *   closed
 * @revocable: while open: a BAR may be mapped, and its maps taken back
 * @plain: while open: the counts of BARs that are trapped, but whose accesses are neither judged
 *   nor timed; changes with @timing, too
 * @lost: the program has been told that the function has vanished
 * @watch: its place among the functions that are open
 * @revoke: how maps are taken back
 * @timing: how long accesses take is counted; changed with @lock held, at any time
 * @stats: the counters, of each processor
 * @reset: what a reset that others ask for holds meanwhile
 * @reset.turn: held while the function is opened or closed, and by such a reset
 * @reset.foreign: it is one; this, and the next two, are held by the function's own lock
 * @reset.has_turn: it holds @reset.turn
 * @reset.has_memory: it holds vfio_pci_core's memory_lock
 * @pages: the descriptors that only map
 * @pages.lock: holds @pages.list, @pages.gone
 * @pages.list: those whose pages have not been taken back
 * @pages.gone: there will be no more
 * @pages.gate: holds @pages.stopped, and whether a descriptor's pages are there
 * @pages.stopped: so many want that nobody reaches the device
 */
struct bv_device {
	struct vfio_pci_core_device core;
	struct mutex lock;
	bool open;
	enum bv_mode mode[PCI_STD_NUM_BARS];
	struct bv_rule *rules;
	u32 n_rules;
	bool traps;
	u32 mappable;
	bool closes_io;
	bool revocable;
	struct bv_counts __percpu *plain[PCI_STD_NUM_BARS];
	bool lost;
	struct list_head watch;
#ifdef BV_HAVE_VFIO_INODE
	struct bv_revoke revoke;
#endif
	bool timing;
	struct bv_stats __percpu *stats;
	struct {
		struct mutex turn;
		bool foreign;
		bool has_turn;
		bool has_memory;
	} reset;
	struct {
		struct mutex lock;
		struct list_head list;
		bool gone;
		struct rw_semaphore gate;
		u32 stopped;
	} pages;
};

static inline struct bv_device *bv_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct bv_device, core.vdev);
}

/**
 * bv_of_pci - what we know of a function that the module has bound
 * @pdev: the function
 *
 * Return: it.
 */
static inline struct bv_device *bv_of_pci(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	return container_of(core, struct bv_device, core);
}

/**
 * struct bv_reset_owner - who does what may reset functions by vfio_pci_core
 * @entry: among all of them
 * @task: who
 */
struct bv_reset_owner {
	struct list_head entry;
	struct task_struct *task;
};

/* access.c */
void bv_access_plain(struct bv_device *b);
ssize_t bv_read(struct vfio_device *vdev, char __user *buf, size_t size, loff_t *at);
ssize_t bv_write(struct vfio_device *vdev, const char __user *buf, size_t size, loff_t *at);

/* pages.c */
bool bv_off(const struct bv_device *b);
void bv_bars_take(struct bv_device *b);
long bv_pages_give(struct bv_device *b, unsigned long arg);
int bv_pages_end(struct bv_device *b);
void bv_pages_gone(struct bv_device *b);
void bv_pages_stop(struct bv_device *b);
void bv_pages_go(struct bv_device *b);
void bv_pages_init(struct bv_device *b);

/* policy.c */
int bv_rules_parse(const struct bv_device *b, const char *text, struct bv_rule *rules);
ssize_t bv_rules_print(const struct bv_device *b, char *page);
bool bv_rules_judge(const struct bv_device *b, u32 bar);
const struct bv_rule *bv_rule_hit(const struct bv_device *b, u32 bar, u64 offset, size_t count,
				  bool write);
bool bv_rules_map(const struct bv_device *b, u32 bar, u64 first, u64 last);
bool bv_rules_open(const struct bv_device *b, u64 offset);

/* reset.c */
void bv_reset_own(struct bv_reset_owner *owner);
void bv_reset_owned(struct bv_reset_owner *owner);
void bv_reset_prepare(struct pci_dev *pdev);
void bv_reset_done(struct pci_dev *pdev);

#ifdef BV_HAVE_VFIO_INODE
/* revoke.c */
int bv_revoke_map(struct bv_device *b, struct vm_area_struct *vma);
void bv_revoke_unmap(struct bv_device *b);
void bv_revoke_gone(struct bv_device *b);
void bv_revoke_wipe(struct bv_device *b);
void bv_revoke_mend(struct bv_device *b);
void bv_revoke_settle(struct bv_device *b);
void bv_revoke_init(struct bv_device *b);
int bv_revoke_open(struct bv_device *b);
void bv_revoke_close(struct bv_device *b);

/**
 * bv_revoked - whether the function is gone, or nobody may touch it until the kernel has repaired
 * its bus, and the program its configuration
 * @b: the function
 *
 * Return: so it is.
 */
static inline bool bv_revoked(struct bv_device *b)
{
	return atomic_read(&b->revoke.gone) || atomic_read(&b->revoke.wiped) ||
	       pci_channel_offline(b->core.pdev);
}
#else
/* No BAR is ever revocable. */
static inline int bv_revoke_map(struct bv_device *b, struct vm_area_struct *vma)
{
	return -EOPNOTSUPP;
}

static inline void bv_revoke_unmap(struct bv_device *b)
{
}

static inline void bv_revoke_gone(struct bv_device *b)
{
}

static inline void bv_revoke_wipe(struct bv_device *b)
{
}

static inline void bv_revoke_mend(struct bv_device *b)
{
}

static inline void bv_revoke_settle(struct bv_device *b)
{
}

static inline void bv_revoke_init(struct bv_device *b)
{
}

static inline int bv_revoke_open(struct bv_device *b)
{
	return 0;
}

static inline void bv_revoke_close(struct bv_device *b)
{
}

static inline bool bv_revoked(struct bv_device *b)
{
	return false;
}
#endif

/* watch.c */
int bv_watch_start(void);
void bv_watch_stop(void);
void bv_watch_open(struct bv_device *b);
void bv_watch_close(struct bv_device *b);
void bv_watch_look(void);
void bv_lose(struct bv_device *b);

/* sysfs.c */
extern const struct attribute_group *bv_groups[];
int bv_mode_parse(const char *name, enum bv_mode *mode);
const char *bv_mode_name(enum bv_mode mode);

#endif
