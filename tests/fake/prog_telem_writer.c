/* SPDX-License-Identifier: MIT */
/*
 * Writes a telemetry page as a run would: prog_telem_writer PATH SECONDS [beat|silent|midwrite|stopped|
 * loading|hostile], or as a bridge would: bridge|bridge-lost|bridge-hostile. It prints "ready" once the page
 * is there, and keeps generating 10 tokens (beat), or trapping 100 accesses (bridge), every 100 ms until
 * SECONDS are over or a signal ends it; the page stays. Who comes late to a token makes up for it, as the
 * speed is something that tests read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/telem.h"

#define MIB   (UINT64_C(1) << 20)
#define TENTH UINT64_C(100000000) /* of a second */

static void put_device(struct telem_device *d, const char *name, uint32_t layers, uint64_t weights)
{
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->planned = (struct telem_bytes) { weights, 64 * MIB, 32 * MIB, TELEM_UNKNOWN };
	d->measured = (struct telem_bytes) { weights, 64 * MIB, 32 * MIB, 16 * MIB };
	d->layers_asked = layers;
	d->layers_verified = layers;
}

static void fill(struct telem_run *run, bool loading)
{
	uint64_t now = telem_now_ns();

	snprintf(run->model, sizeof(run->model), "fake-7b q8_0");
	snprintf(run->plan_id, sizeof(run->plan_id), "0123456789abcdef");
	run->state = loading ? TELEM_STARTING : TELEM_GENERATING;
	run->verified = !loading;
	run->n_seq = 1;
	run->ctx_tokens = 2048;
	run->ctx_used_tokens = 512;
	run->started_ns = now;
	run->ready_ns = loading ? 0 : now;
	run->counts.prompt_tokens = 1000;
	run->counts.prompt_ns = 1000000000;
	run->counts.generated_tokens = 500;
	run->counts.generated_ns = 10000000000;
	run->n_devices = 2;
	put_device(&run->devices[0], "CPU", 5, 256 * MIB);
	put_device(&run->devices[1], "Vulkan0", 4, 128 * MIB);
}

/* Every count absurd, every text without an end and full of commands. */
static void fill_hostile(struct telem_run *run)
{
	memset(run, 0xfe, sizeof(*run));
	memcpy(run->model, "\033[2J\033]0;owned\a\n", 15);
	run->state = 0x7fffffff;
}

static void fill_bridge(struct telem_bridge *b, bool lost)
{
	snprintf(b->pci, sizeof(b->pci), "0000:05:00.0");
	snprintf(b->guest, sizeof(b->guest), "fake-vm");
	snprintf(b->socket, sizeof(b->socket), "/run/berth/fake.sock");
	snprintf(b->backend, sizeof(b->backend), "memory");
	b->mode = TELEM_MODE_TRAP;
	b->state = lost ? TELEM_BRIDGE_LOST : TELEM_BRIDGE_RUNNING;
	if (lost)
		snprintf(b->trouble, sizeof(b->trouble), "every register reads all ones");
	b->generation = 1;
	b->worker_pid = 4711;
	b->client_pid = 4712;
	b->started_ns = b->connected_ns = telem_now_ns();
	b->counts.clients = 1;
	b->counts.dma_maps = 12;
	b->counts.dma_bytes = 2048 * MIB;
	b->counts.interrupts = b->counts.recorder_bytes = TELEM_UNKNOWN;
	b->regions[TELEM_BAR0].size_bytes = 16 * MIB;
	b->regions[TELEM_CONFIG].size_bytes = 4096;
	for (int i = 0; i < 100; i++)
		telem_access(b, TELEM_CONFIG, TELEM_READ, 5000);
}

static void trap(struct telem_writer *w, int tenths)
{
	for (int i = 0; i < tenths; i++) {
		telem_begin(w);
		for (uint64_t k = 0; k < 100; k++)
			telem_access(&w->page->bridge, TELEM_BAR0,
				     k % 3 ? TELEM_READ : TELEM_POSTED, 2000 + 100 * k);
		telem_end(w);
		nanosleep(&(struct timespec) { .tv_nsec = 100000000 }, NULL);
	}
}

static void generate(struct telem_writer *w, int tenths)
{
	struct telem_run *run = &w->page->run;
	uint64_t due = telem_now_ns();

	for (int i = 0; i < tenths; i++, due += TENTH) {
		telem_begin(w);
		run->counts.generated_tokens += 10;
		run->counts.generated_ns += 100000000;
		/* never so full that the monitor warns of it */
		run->ctx_used_tokens = 512 + (run->ctx_used_tokens - 512 + 10) % 512;
		telem_sample(w, due);
		telem_end(w);
		if (telem_now_ns() < due + TENTH)
			nanosleep(&(struct timespec) { .tv_nsec = TENTH }, NULL);
	}
}

static void begin(struct telem_writer *w, bool bridge, const char *how)
{
	telem_begin(w);
	if (!strcmp(how, "bridge-hostile"))
		memset(&w->page->bridge, 0xfe, sizeof(w->page->bridge));
	else if (bridge)
		fill_bridge(&w->page->bridge, !strcmp(how, "bridge-lost"));
	else if (strcmp(how, "hostile"))
		fill(&w->page->run, !strcmp(how, "loading"));
	else
		fill_hostile(&w->page->run);
	if (!strcmp(how, "stopped"))
		w->page->run.state = TELEM_STOPPED;
	if (strcmp(how, "midwrite"))
		telem_end(w);
}

int main(int argc, char **argv)
{
	const char *how = argc > 3 ? argv[3] : "beat";
	bool bridge = !strncmp(how, "bridge", 6);
	struct telem_writer w;
	struct err e;
	int seconds;

	if (argc < 3) {
		fprintf(stderr, "usage: prog_telem_writer PATH SECONDS [HOW]\n");
		return 2;
	}
	seconds = atoi(argv[2]);
	if (telem_create(&w, argv[1], bridge ? TELEM_BRIDGE : TELEM_RUN, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 5;
	}
	begin(&w, bridge, how);
	puts("ready");
	fflush(stdout);
	if (!strcmp(how, "beat"))
		generate(&w, seconds * 10);
	else if (!strcmp(how, "bridge"))
		trap(&w, seconds * 10);
	else
		nanosleep(&(struct timespec) { .tv_sec = seconds }, NULL);
	telem_close(&w);
	return 0;
}
