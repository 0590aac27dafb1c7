/* SPDX-License-Identifier: MIT */
/* Runs at work, crashed, gone, and called what nobody should call them. */
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "tests/screen/scenes/scenes.h"

static void put_on(struct telem_run *run, const char *pci, const char *name, uint32_t layers,
		   uint64_t weights)
{
	struct telem_device *d = &run->devices[run->n_devices++];

	text_copy(d->pci, sizeof(d->pci), pci);
	text_copy(d->name, sizeof(d->name), name);
	d->layers_asked = d->layers_verified = layers;
	d->planned = (struct telem_bytes) { weights * MIB, 1024 * MIB, 300 * MIB, TELEM_UNKNOWN };
	d->measured = (struct telem_bytes) { weights * MIB, 1024 * MIB, 320 * MIB, 40 * MIB };
}

static struct run_seen *add_run(struct snapshot *s, const char *name, const char *model,
				uint32_t pid)
{
	struct run_seen *r = &s->runs[s->n_runs++];
	struct telem_run *run = &r->page.run;

	*r = (struct run_seen) { .life = TELEM_ALIVE, .supervised = true, .starts = 1 };
	snprintf(r->file, sizeof(r->file), "run-%u.telem", pid);
	text_copy(r->name, sizeof(r->name), name);
	text_copy(r->phase, sizeof(r->phase), "ready");
	r->page.header.writer_pid = (int32_t)pid;
	text_copy(run->model, sizeof(run->model), model);
	text_clean(run->model);
	text_copy(run->plan_id, sizeof(run->plan_id), "0123456789abcdef0123");
	run->state = TELEM_GENERATING;
	run->verified = 1;
	run->n_seq = 4;
	run->started_ns = 5 * SECOND;
	run->ctx_tokens = 32768;
	return r;
}

/* What a run has done `seconds` after it began, at so many tokens a second. */
static void work(struct run_seen *r, const struct snapshot *s, uint32_t seconds, uint32_t rate)
{
	struct telem_run *run = &r->page.run;

	run->ctx_used_tokens = 4000 + seconds * rate;
	run->counts = (struct telem_counts) { .prompt_tokens = 2000 + seconds * 100,
					      .prompt_ns = SECOND + seconds * (SECOND / 18),
					      .generated_tokens = 1 + seconds * rate,
					      .generated_ns = seconds * SECOND,
					      .requests = 12 + seconds / 10,
					      .first_tokens = 12,
					      .first_token_ns = 12 * (SECOND / 3),
					      .last_first_token_ns = SECOND / 100 * 41 };
	for (uint32_t i = 0; i < 3; i++)
		run->ring[i] = (struct telem_sample) {
			.t_ns = s->now_ns - (2 - i) * SECOND,
			.generated_tokens = run->counts.generated_tokens - (2 - i) * rate,
		};
	run->ring_next = 3;
}

void scene_calm_runs(const struct scene *sc, struct snapshot *s)
{
	struct run_seen *r;

	if (sc->report->n_gpus == 0) {
		r = add_run(s, "embed", "embed-0.6b f16", 4300);
		put_on(&r->page.run, "", "CPU", 28, 1200);
		work(r, s, sc->step, 9);
		return;
	}
	r = add_run(s, "chat", "chat-55b Q4_K_M", 4100);
	put_on(&r->page.run, "0000:01:00.0", "CUDA0", 50, 9000);
	if (sc->report->n_gpus > 1)
		put_on(&r->page.run, "0000:02:00.0", "CUDA1", 31, 6000);
	work(r, s, sc->step, 31);
	r->page.run.queue = 1;
	r->page.run.busy = 3;
	if (sc->report->n_gpus > 2) {
		r = add_run(s, "coder", "coder-11b Q6_K", 4200);
		put_on(&r->page.run, "0000:03:00.0", "Vulkan0", 41, 8500);
		work(r, s, sc->step, 21);
	}
}

void scene_trouble_runs(const struct scene *sc, struct snapshot *s)
{
	struct run_seen *r = add_run(s, "chat", "chat-55b Q4_K_M", sc->step < 30 ? 4100 : 4177);

	put_on(&r->page.run, "0000:01:00.0", "CUDA0", 50, 9000);
	work(r, s, sc->step < 30 ? sc->step : sc->step - 30, 31);
	if (sc->step >= 15) {
		text_copy(r->last_class, sizeof(r->last_class), "segmentation fault");
		text_copy(r->last_sentence, sizeof(r->last_sentence),
			  "the core ended by signal 11");
	}
	if (sc->step >= 15 && sc->step < 30) {
		r->life = TELEM_DEAD;
		text_copy(r->phase, sizeof(r->phase), "waiting");
	}
	if (sc->step >= 30) {
		r->starts = 2;
		r->page.run.started_ns = 1030 * SECOND;
	}
	r = add_run(s, "", "gone-7b Q8_0", 4500);
	put_on(&r->page.run, "0000:01:00.0", "CUDA0", 33, 3000);
	work(r, s, 10, 12);
	r->phase[0] = '\0';
	r->supervised = false;
	r->life = sc->step > 10 ? TELEM_DEAD : TELEM_ALIVE;
	r = add_run(s, "next", "", 0);
	r->rc = -ENOENT;
	r->file[0] = '\0';
	r->starts = 3;
	text_copy(r->phase, sizeof(r->phase), "waiting");
	text_copy(r->last_class, sizeof(r->last_class), "oom");
	text_copy(r->last_sentence, sizeof(r->last_sentence), "the GPU had 1.2 GiB too little");
}

void scene_odd_names(struct scene *sc, struct snapshot *s)
{
	static const char *const names[] = { "\xe4\xb8\xad\xe6\x96\x87\xe6\xa8\xa1\xe5\x9e\x8b 7B",
					     "\033[2J\033]0;owned\a", "\xff\xfe broken \xc0\x80",
					     "e\xcc\x81\xe2\x80\xaegpj \xf0\x9f\x98\x80" };

	for (uint32_t i = 0; i < sc->report->n_gpus; i++)
		sc->report->gpus[i].name = fact_text_of(names[i % 4], SRC_PCI);
	for (uint32_t i = 0; i < 4; i++) {
		struct run_seen *r = add_run(s, "", names[i], 4100 + i);

		r->phase[0] = '\0';
		put_on(&r->page.run, "", "CPU", 28, 1200);
		work(r, s, sc->step, 9);
	}
}
