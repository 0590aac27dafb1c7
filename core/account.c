/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/text.h"
#include "core/account.h"

/* Buffer types of host memory: the CPU's own, its repacked forms (ggml-cpu: AMX, CPU_REPACK,
 * CPU_KLEIDIAI...), and the pinned memory that GPU backends borrow ("CUDA_Host", "ROCm_Host"). */
static bool is_host(const char *name)
{
	static const char *const beginnings[] = { "CPU", "AMX" };
	static const char ending[] = "_Host";
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return n >= sizeof(ending) - 1 && strcmp(name + n - (sizeof(ending) - 1), ending) == 0;
}

/* The device that owns this buffer or holds this layer; n_devices: none of them. */
static uint32_t owner(const struct account *a, const char *name)
{
	uint32_t host = a->n_devices - 1;

	for (uint32_t i = 0; i < host; i++)
		if (strcmp(a->devices[i].name, name) == 0)
			return i;
	return is_host(name) ? host : a->n_devices;
}

static uint64_t *slot(struct telem_bytes *b, enum buffer_kind kind)
{
	switch (kind) {
	case BUFFER_WEIGHTS:
		return &b->weights;
	case BUFFER_KV:
		return &b->kv;
	case BUFFER_COMPUTE:
	case BUFFER_OUTPUT:
		return &b->compute;
	default:
		return NULL;
	}
}

static void add_buffer(struct account *a, const struct engine_buffer *b)
{
	uint32_t i = owner(a, b->name);
	uint64_t *sum = i < a->n_devices ? slot(&a->devices[i].bytes, b->kind) : NULL;

	if (!sum) {
		a->unplaced_bytes += b->bytes;
		return;
	}
	*sum += b->bytes;
	a->devices[i].rounding_bytes += ENGINELOG_ROUNDING;
}

void account_add(struct account *a, const struct enginelog *l)
{
	for (uint32_t i = 0; i < l->n_buffers; i++)
		add_buffer(a, &l->buffers[i]);
}

void account_make(struct account *a, const struct enginelog *l, const struct engine_device *devices,
		  const uint32_t *index, uint32_t n)
{
	memset(a, 0, sizeof(*a));
	for (uint32_t i = 0; i < n && i < PLAN_DEVICES_MAX; i++) {
		struct account_device *d = &a->devices[a->n_devices++];
		const struct engine_device *from = &devices[index[i]];

		text_copy(d->name, sizeof(d->name), from->name);
		text_copy(d->pci, sizeof(d->pci), from->pci);
		text_copy(d->backend, sizeof(d->backend), from->backend);
		d->bytes.other = TELEM_UNKNOWN;
	}
	struct account_device *host = &a->devices[a->n_devices++];

	text_copy(host->name, sizeof(host->name), "CPU");
	text_copy(host->backend, sizeof(host->backend), "cpu");
	host->bytes.other = TELEM_UNKNOWN;

	a->n_layers = l->n_layers;
	for (uint32_t i = 0; i < l->n_layers; i++) {
		uint32_t d = owner(a, l->layers[i]);

		if (d < a->n_devices)
			a->devices[d].layers++;
	}
	account_add(a, l);
}

uint64_t account_other(const struct telem_bytes *b, uint64_t free_before, uint64_t free_after)
{
	uint64_t account = b->weights + b->kv + b->compute;

	if (free_after > free_before || free_before - free_after < account)
		return TELEM_UNKNOWN;
	return free_before - free_after - account;
}
