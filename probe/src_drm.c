/* SPDX-License-Identifier: MIT */
/*
 * libdrm: which device nodes a program can open, and what drivers answer through them.
 *
 * drm_ask() wakes nothing: flags 0 keep it to uevent and id files. drm_ask_memory() is for devices that
 * are awake: opening a node wakes amdgpu and nouveau, any ioctl wakes xe, and only i915 answers asleep.
 */
#include <amdgpu_drm.h>
#include <fcntl.h>
#include <i915_drm.h>
#include <radeon_drm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

#include "base/own.h"
#include "probe/ioctl_priv.h"
#include "probe/probe_priv.h"

#define DEVICES_MAX 128

static struct fact_text node_of(const drmDevice *d, int kind)
{
	if (!(d->available_nodes & 1 << kind))
		return fact_text_unknown(WHY_NOT_EXPORTED);
	return fact_text_of(d->nodes[kind], SRC_DRM);
}

void drm_ask(struct drm_view *v)
{
	drmDevicePtr devices[DEVICES_MAX];

	*v = (struct drm_view) { .asked = true };
	if (access("/dev/dri", F_OK) != 0) {
		v->no_nodes = true;
		return;
	}
	int n = drmGetDevices2(0, devices, DEVICES_MAX);

	for (int i = 0; i < n && v->n < PROBE_GPUS_MAX; i++) {
		const drmDevice *d = devices[i];

		if (d->bustype != DRM_BUS_PCI)
			continue;
		struct drm_fn *f = &v->fns[v->n++];
		const drmPciBusInfo *b = d->businfo.pci;

		snprintf(f->pci, sizeof(f->pci), "%04x:%02x:%02x.%x", b->domain, b->bus, b->dev,
			 b->func & 7u);
		f->card = node_of(d, DRM_NODE_PRIMARY);
		f->render = node_of(d, DRM_NODE_RENDER);
	}
	if (n > 0)
		drmFreeDevices(devices, n);
}

/* --- memory -------------------------------------------------------------------------------------------- */

/* What a driver answers with is some hundred bytes; more is no answer. */
#define ANSWER_MAX (1u << 20)

/* The binary interface of xe, which Debian 12's libdrm does not have: Linux uapi/drm/xe_drm.h, 6.8 on. */
struct xe_query {
	uint64_t extensions;
	uint32_t query, size;
	uint64_t data;
	uint64_t reserved[2];
};

struct xe_region {
	uint16_t class, instance;
	uint32_t min_page_size;
	uint64_t total, used, cpu_visible, cpu_visible_used;
	uint64_t reserved[6];
};

struct xe_regions {
	uint32_t n, pad;
	struct xe_region regions[];
};

_Static_assert(sizeof(struct xe_query) == 40 && sizeof(struct xe_region) == 88, "xe_drm.h");

enum { XE_QUERY_MEM_REGIONS = 1, XE_CLASS_VRAM = 1 };
#define IOCTL_XE_QUERY DRM_IOWR(DRM_COMMAND_BASE + 0x00, struct xe_query)

/* nouveau's: Linux uapi/drm/nouveau_drm.h; the last two parameters since 6.9. libdrm's header is older. */
struct nouveau_param {
	uint64_t param, value;
};

enum { NOUVEAU_FB_SIZE = 8, NOUVEAU_VRAM_BAR_SIZE = 18, NOUVEAU_VRAM_USED = 19 };
#define IOCTL_NOUVEAU_GETPARAM DRM_IOWR(DRM_COMMAND_BASE + 0x00, struct nouveau_param)

static int ask(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

static int add_region(struct drm_memory *m, const struct drm_region *r)
{
	if (m->n == DRM_REGIONS_MAX)
		return -EBADMSG;
	m->regions[m->n++] = *r;
	return 0;
}

static int amdgpu_info(int fd, uint32_t query, void *to, uint32_t size)
{
	struct drm_amdgpu_info request = { .return_pointer = (uintptr_t)to,
					   .return_size = size,
					   .query = query };

	return ask(fd, DRM_IOCTL_AMDGPU_INFO, &request);
}

static int ask_amdgpu(int fd, struct drm_memory *m)
{
	struct drm_amdgpu_info_device device = { 0 };
	struct drm_amdgpu_memory_info memory = { 0 };
	int rc = amdgpu_info(fd, AMDGPU_INFO_MEMORY, &memory, sizeof(memory));

	if (rc)
		return rc;
	if (amdgpu_info(fd, AMDGPU_INFO_DEV_INFO, &device, sizeof(device)) == 0) {
		m->kind_known = true;
		m->integrated = device.ids_flags & AMDGPU_IDS_FLAGS_FUSION;
	}
	const struct drm_region vram = { .kind = REGION_VRAM,
					 .used_known = true,
					 .visible_known = true,
					 .visible_used_known = true,
					 .total = memory.vram.total_heap_size,
					 .used = memory.vram.heap_usage,
					 .visible = memory.cpu_accessible_vram.total_heap_size,
					 .visible_used = memory.cpu_accessible_vram.heap_usage };
	const struct drm_region gtt = { .kind = REGION_GTT,
					.used_known = true,
					.total = memory.gtt.total_heap_size,
					.used = memory.gtt.heap_usage };

	add_region(m, &vram);
	return add_region(m, &gtt);
}

static int i915_query(int fd, struct drm_i915_query_item *item)
{
	struct drm_i915_query query = { .num_items = 1, .items_ptr = (uintptr_t)item };
	int rc = ask(fd, DRM_IOCTL_I915_QUERY, &query);

	/* What is wrong with one item stands in its length. */
	return rc ? rc : item->length < 0 ? item->length : 0;
}

/* Unprivileged, "unallocated" always equals "probed": that is no answer. An idle card uses some, too. */
static void i915_region(struct drm_region *r, const struct drm_i915_memory_region_info *i)
{
	*r = (struct drm_region) { .kind = i->region.memory_class == I915_MEMORY_CLASS_DEVICE
						   ? REGION_VRAM
						   : REGION_SYSTEM,
				   .total = i->probed_size };
	r->used_known = i->unallocated_size < i->probed_size;
	r->used = i->probed_size - i->unallocated_size;
	/* Kernels before 6.2 leave it zero; they have no small windows. */
	r->visible_known = i->probed_cpu_visible_size != 0;
	r->visible = i->probed_cpu_visible_size;
	r->visible_used_known = r->visible_known &&
				i->unallocated_cpu_visible_size < i->probed_cpu_visible_size;
	r->visible_used = i->probed_cpu_visible_size - i->unallocated_cpu_visible_size;
}

static int ask_i915(int fd, struct drm_memory *m)
{
	struct drm_i915_query_item item = { .query_id = DRM_I915_QUERY_MEMORY_REGIONS };
	int rc = i915_query(fd, &item);

	if (rc)
		return rc;
	if ((size_t)item.length < sizeof(struct drm_i915_query_memory_regions) ||
	    item.length > (int)ANSWER_MAX)
		return -EBADMSG;
	const size_t size = (size_t)item.length;
	own_free struct drm_i915_query_memory_regions *info = calloc(1, size);

	if (!info)
		return -ENOMEM;
	item.data_ptr = (uintptr_t)info;
	rc = i915_query(fd, &item);
	if (rc)
		return rc;
	if (info->num_regions > (size - sizeof(*info)) / sizeof(info->regions[0]))
		return -EBADMSG;
	for (uint32_t i = 0; i < info->num_regions && !rc; i++) {
		struct drm_region r;

		i915_region(&r, &info->regions[i]);
		rc = add_region(m, &r);
	}
	return rc;
}

/* Older kernels answer zero for what they tell only to root, as no driver uses nothing. */
static void xe_region(struct drm_region *r, const struct xe_region *x)
{
	*r = (struct drm_region) { .kind = x->class == XE_CLASS_VRAM ? REGION_VRAM : REGION_SYSTEM,
				   .used_known = x->used != 0,
				   .total = x->total,
				   .used = x->used,
				   .visible_known = x->cpu_visible != 0,
				   .visible = x->cpu_visible,
				   .visible_used_known = x->cpu_visible_used != 0,
				   .visible_used = x->cpu_visible_used };
}

static int ask_xe(int fd, struct drm_memory *m)
{
	struct xe_query q = { .query = XE_QUERY_MEM_REGIONS };
	int rc = ask(fd, IOCTL_XE_QUERY, &q);

	if (rc)
		return rc;
	if (q.size < sizeof(struct xe_regions) || q.size > ANSWER_MAX)
		return -EBADMSG;
	const size_t size = q.size;
	own_free struct xe_regions *info = calloc(1, size);

	if (!info)
		return -ENOMEM;
	q.data = (uintptr_t)info;
	rc = ask(fd, IOCTL_XE_QUERY, &q);
	if (rc)
		return rc;
	if (info->n > (size - sizeof(*info)) / sizeof(info->regions[0]))
		return -EBADMSG;
	for (uint32_t i = 0; i < info->n && !rc; i++) {
		struct drm_region r;

		xe_region(&r, &info->regions[i]);
		rc = add_region(m, &r);
	}
	return rc;
}

static int nouveau_get(int fd, uint64_t param, uint64_t *v)
{
	struct nouveau_param p = { .param = param };
	int rc = ask(fd, IOCTL_NOUVEAU_GETPARAM, &p);

	*v = rc ? 0 : p.value;
	return rc;
}

static int ask_nouveau(int fd, struct drm_memory *m)
{
	struct drm_region r = { .kind = REGION_VRAM };
	int rc = nouveau_get(fd, NOUVEAU_FB_SIZE, &r.total);

	if (rc)
		return rc;
	/* The GPU of a Tegra has no memory of its own. */
	m->kind_known = true;
	m->integrated = r.total == 0;
	if (m->integrated)
		return 0;
	r.used_known = nouveau_get(fd, NOUVEAU_VRAM_USED, &r.used) == 0;
	r.visible_known = nouveau_get(fd, NOUVEAU_VRAM_BAR_SIZE, &r.visible) == 0;
	return add_region(m, &r);
}

static int ask_radeon(int fd, struct drm_memory *m)
{
	struct drm_radeon_gem_info info = { 0 };
	int rc = ask(fd, DRM_IOCTL_RADEON_GEM_INFO, &info);
	const struct drm_region vram = { .kind = REGION_VRAM,
					 .visible_known = true,
					 .total = info.vram_size,
					 .visible = info.vram_visible };
	const struct drm_region gtt = { .kind = REGION_GTT, .total = info.gart_size };

	if (rc)
		return rc;
	add_region(m, &vram);
	return add_region(m, &gtt);
}

/* What wakes: Linux 7.2, the drivers' open and ioctl entries (amdgpu_drv.c, nouveau_drm.c, xe_device.c). */
static const struct {
	const char *name;
	bool wakes;
	int (*ask)(int fd, struct drm_memory *m);
} drivers[] = {
	{ "amdgpu", true, ask_amdgpu },   { "i915", false, ask_i915 },    { "xe", true, ask_xe },
	{ "nouveau", true, ask_nouveau }, { "radeon", true, ask_radeon },
};

bool drm_answers(const char *driver, bool *wakes)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		if (strcmp(drivers[i].name, driver) == 0) {
			*wakes = drivers[i].wakes;
			return true;
		}
	}
	return false;
}

/* Whose node it is: each driver has other ioctls under the same numbers. */
static int check_driver(int fd, const char *driver)
{
	char name[64] = "";
	drm_version_t version = { .name_len = sizeof(name) - 1, .name = name };
	int rc = ask(fd, DRM_IOCTL_VERSION, &version);

	return rc ? rc : strcmp(name, driver) == 0 ? 0 : -EBADMSG;
}

int drm_ask_memory(const char *node, const char *driver, struct drm_memory *m)
{
	own_fd int fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*m = (struct drm_memory) { 0 };
	if (fd < 0)
		return -errno;
	int rc = check_driver(fd, driver);

	for (size_t i = 0; i < ARRAY_LEN(drivers) && !rc; i++)
		if (strcmp(drivers[i].name, driver) == 0)
			rc = drivers[i].ask(fd, m);
	return rc;
}
