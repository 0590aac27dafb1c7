/* SPDX-License-Identifier: MIT */
#include "base/telem_bridge.h"

#include <string.h>

#include "base/text.h"

uint32_t telem_bucket(uint64_t ns)
{
	uint32_t bucket = ns ? 63u - (uint32_t)__builtin_clzll(ns) : 0;

	return bucket < TELEM_LATENCY ? bucket : TELEM_LATENCY - 1;
}

void telem_count(struct telem_bridge *b, uint32_t region, enum telem_access what)
{
	struct telem_region *r = &b->regions[region < TELEM_REGIONS ? region : 0];

	if (region >= TELEM_REGIONS)
		return;
	r->reads += what == TELEM_READ;
	r->writes += what != TELEM_READ;
	r->posted += what == TELEM_POSTED;
}

void telem_took(struct telem_bridge *b, uint64_t ns)
{
	b->latency[telem_bucket(ns)]++;
	b->counts.latency_ns += ns;
	if (ns > b->counts.latency_max_ns)
		b->counts.latency_max_ns = ns;
}

void telem_access(struct telem_bridge *b, uint32_t region, enum telem_access what, uint64_t ns)
{
	telem_count(b, region, what);
	if (region < TELEM_REGIONS)
		telem_took(b, ns);
}

void telem_bridge_add(struct telem_bridge *to, const struct telem_bridge *from)
{
	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		to->regions[i].reads += from->regions[i].reads;
		to->regions[i].writes += from->regions[i].writes;
		to->regions[i].posted += from->regions[i].posted;
		to->regions[i].denied += from->regions[i].denied;
		to->regions[i].logged += from->regions[i].logged;
	}
	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		to->latency[i] += from->latency[i];
	to->counts.errors += from->counts.errors;
	to->counts.refused += from->counts.refused;
	to->counts.latency_ns += from->counts.latency_ns;
	if (from->counts.latency_max_ns > to->counts.latency_max_ns)
		to->counts.latency_max_ns = from->counts.latency_max_ns;
}

const char *telem_mode_name(uint32_t mode)
{
	static const char *const names[TELEM_MODE_COUNT] = {
		[TELEM_MODE_UNKNOWN] = "-",
		[TELEM_MODE_TRAP] = "trap",
		[TELEM_MODE_MAP] = "map",
		[TELEM_MODE_HYBRID] = "hybrid",
	};

	return names[mode < TELEM_MODE_COUNT ? mode : TELEM_MODE_UNKNOWN];
}

const char *telem_region_name(uint32_t index)
{
	static const char *const names[TELEM_REGIONS] = { "BAR0", "BAR1", "BAR2", "BAR3",
							  "BAR4", "BAR5", "ROM",  "config" };

	return index < TELEM_REGIONS ? names[index] : "-";
}

/* In doubles: a hostile page's counts may be of any size, and their sum beyond 64 bits. */
double telem_percentile(const uint64_t latency[TELEM_LATENCY], double share)
{
	double all = 0, below = 0, want;

	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		all += (double)latency[i];
	if (all <= 0)
		return -1;
	want = all * (share < 0 ? 0 : share > 1 ? 1 : share);
	for (uint32_t i = 0; i < TELEM_LATENCY; i++) {
		double here = (double)latency[i];
		double from = i ? (double)(UINT64_C(1) << i) : 0;

		if (here > 0 && below + here >= want)
			return from + ((double)(UINT64_C(2) << i) - from) * (want - below) / here;
		below += here;
	}
	return (double)(UINT64_C(1) << TELEM_LATENCY); /* only rounding gets here */
}

static void end_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	text_clean(text);
}

void telem_bridge_clean(struct telem_bridge *b)
{
	end_text(b->pci, sizeof(b->pci));
	end_text(b->guest, sizeof(b->guest));
	end_text(b->socket, sizeof(b->socket));
	end_text(b->backend, sizeof(b->backend));
	end_text(b->trouble, sizeof(b->trouble));
	if (b->mode >= TELEM_MODE_COUNT)
		b->mode = TELEM_MODE_UNKNOWN;
	if (b->state >= TELEM_BRIDGE_STATE_COUNT)
		b->state = TELEM_BRIDGE_FAILED;
	if (b->worker_pid < 0)
		b->worker_pid = 0;
	if (b->client_pid < 0)
		b->client_pid = 0;
}
