/* SPDX-License-Identifier: MIT */
/* Devices that work for virtual machines, one of which is pulled. */
#include <stdio.h>

#include "base/text.h"
#include "tests/screen/scenes/scenes.h"

static struct telem_bridge *add_bridge(struct snapshot *s, const char *pci, const char *guest)
{
	struct bridge_seen *seen = &s->bridges[s->n_bridges++];
	struct telem_bridge *b = &seen->page;

	*seen = (struct bridge_seen) { .life = TELEM_ALIVE, .pid = 4700 + (int32_t)s->n_bridges };
	snprintf(seen->key, sizeof(seen->key), "%s bridge", pci);
	snprintf(seen->file, sizeof(seen->file), "bridge-%s.telem", pci);
	text_copy(b->pci, sizeof(b->pci), pci);
	text_copy(b->guest, sizeof(b->guest), guest);
	snprintf(b->socket, sizeof(b->socket), "/run/berth/%s.sock", pci);
	text_copy(b->backend, sizeof(b->backend), "vfio");
	b->mode = TELEM_MODE_HYBRID;
	b->generation = 1;
	b->started_ns = 400 * SECOND;
	b->counts.interrupts = b->counts.recorder_bytes = TELEM_UNKNOWN;
	b->regions[TELEM_BAR0].size_bytes = 16 * MIB;
	b->regions[1].size_bytes = 256 * MIB;
	b->regions[TELEM_CONFIG].size_bytes = 4096;
	return b;
}

/* What came by in so many seconds: mostly reads of 2 to 4 us, a few that waited. */
static void trap(struct telem_bridge *b, uint32_t seconds)
{
	for (uint32_t t = 0; t < seconds; t++)
		for (uint64_t k = 0; k < 60 + (uint64_t)wave(t, 1); k++)
			telem_access(b, k % 20 ? TELEM_BAR0 : TELEM_CONFIG,
				     k % 3   ? TELEM_READ
				     : k % 2 ? TELEM_POSTED
					     : TELEM_WRITE,
				     k % 50 ? 2000 + 20 * k : 18000 + 100 * t);
	b->state = TELEM_BRIDGE_RUNNING;
	b->worker_pid = 4811;
	b->client_pid = 4900;
	b->connected_ns = 420 * SECOND;
	b->counts.clients = 1;
	b->counts.dma_maps = 14;
	b->counts.dma_bytes = 4096 * MIB;
	b->regions[1].mapped_bytes = 240 * MIB;
}

void scene_bridges(const struct scene *sc, struct snapshot *s, bool pulled)
{
	struct telem_bridge *b = add_bridge(s, "0000:05:00.0", "win11");

	trap(b, pulled && sc->step > 40 ? 40 : sc->step);
	if (sc->step > 25) {
		b->counts.worker_restarts = 1;
		b->counts.restart_gap_ns = SECOND / 80;
		b->worker_pid = 4842;
	}
	if (sc->step > 50)
		b->regions[TELEM_BAR0].denied = sc->step - 50;
	if (!pulled)
		return;
	if (sc->step > 40) {
		b->state = TELEM_BRIDGE_LOST;
		text_copy(
			b->trouble, sizeof(b->trouble),
			"its configuration space reads all ones, and its port tells of a link that went down");
	}
	b = add_bridge(s, "0000:06:00.0", "");
	b->state = TELEM_BRIDGE_WAITING;
	b->mode = TELEM_MODE_TRAP;
	text_copy(b->backend, sizeof(b->backend), "iommufd");
	b = add_bridge(s, "0000:07:00.0", "dev");
	trap(b, 5);
	if (sc->step > 12)
		s->bridges[2].life = TELEM_DEAD;
}
