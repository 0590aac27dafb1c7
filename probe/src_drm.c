/* SPDX-License-Identifier: MIT */
/*
 * libdrm: which device nodes a program can open. Flags 0 keep it to uevent and id files;
 * drmGetVersion() or opening a node would wake amdgpu, xe and nouveau devices.
 */
#include <stdio.h>
#include <unistd.h>
#include <xf86drm.h>

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
