/* SPDX-License-Identifier: MIT */
/*
 * Who holds a GPU and what it shows, as a section of the report. The displays are files; the processes
 * are gathered once and kept as one answer, without names that tell about their owner.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/claims.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

#define SHOWN 6 /* processes and displays in a line, unless all are asked for */

/* clang-format off */
static const struct field proc_rows[] = {
	FIELD_KEY(struct gpu_proc, vram, "vram_bytes", FIELD_FACT, UNIT_BYTES, "VRAM"),
	FIELD_KEY(struct gpu_proc, host, "host_bytes", FIELD_FACT, UNIT_BYTES, "RAM"),
	FIELD(struct gpu_proc, engines, FIELD_FACT_TEXT, UNIT_NONE, "engines"),
};

/*
 * Programs whose names a capture keeps: what people ask about when a GPU is full, and nothing that tells
 * who they are. Ends of names are cut as the kernel cuts them, at 15 bytes.
 */
static const char *const public_names[] = {
	"berth", "ollama", "ollama_llama_se", "llama-server", "llama-cli", "llama-bench", "koboldcpp",
	"lmstudio", "vllm", "VLLM::EngineCor", "pt_main_thread", "python", "python3", "ComfyUI", "whisper-server", "sd-server", "core",
	"Xorg", "Xwayland", "gnome-shell", "kwin_wayland", "kwin_x11", "plasmashell", "sway", "Hyprland",
	"weston", "cosmic-comp", "mutter", "gdm", "sddm", "systemd-logind", "firefox", "chrome",
	"chromium", "steam", "steamwebhelper", "gamescope", "mpv", "vlc", "ffmpeg", "obs", "blender",
	"nvidia-persiste", "nvidia-smi", "nvtop", "btop", "qemu-system-x86", "code", "Isolated Web Co",
};
/* clang-format on */

/* --- displays: cached by the kernel, so that reading them wakes nothing ------------------------------- */

static bool read_display(const struct look *l, const char *dir, struct display *d)
{
	char status[32], enabled[32];

	if (src_read_in(l->s, dir, "status", status, sizeof(status)) < 0)
		return false;
	d->connected = strcmp(status, "connected") == 0;
	d->enabled = src_read_in(l->s, dir, "enabled", enabled, sizeof(enabled)) > 0 &&
		     strcmp(enabled, "enabled") == 0;
	d->dpms = src_fact_text(l->s, dir, "dpms", SRC_SYSFS);
	return true;
}

static void add_display(struct holders *h, const struct display *d)
{
	/* Those with something attached count; of the others as many as fit. */
	if (h->n_displays < DISPLAYS_MAX) {
		h->displays[h->n_displays++] = *d;
		return;
	}
	for (uint32_t i = h->n_displays; d->connected && i-- > 0;)
		if (!h->displays[i].connected) {
			h->displays[i] = *d;
			return;
		}
}

/* drm/card0 holds a folder "card0-DP-1" of every connector. */
static void read_displays(const struct look *l)
{
	const char *card = fact_text_known(&l->g->drm_card) ? strrchr(l->g->drm_card.v, '/') : NULL;
	char dir[PATH_SIZE], one[PATH_SIZE];
	own_free char **names = NULL;

	l->g->holders.n_displays = 0;
	if (!card || (size_t)snprintf(dir, sizeof(dir), "%s/drm%s", l->dir, card) >= sizeof(dir))
		return;
	size_t len = strlen(++card);
	int n = machine_list(l->s->m, dir, &names);

	for (int i = 0; i < n; i++) {
		struct display d = { 0 };

		if (strncmp(names[i], card, len) != 0 || names[i][len] != '-')
			continue;
		text_copy(d.connector, sizeof(d.connector), names[i] + len + 1);
		text_clean(d.connector);
		if ((size_t)snprintf(one, sizeof(one), "%s/%s", dir, names[i]) < sizeof(one) &&
		    read_display(l, one, &d))
			add_display(&l->g->holders, &d);
	}
}

/* --- the answer ------------------------------------------------------------------------------------------ */

bool process_is_public(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(public_names); i++)
		if (strcmp(public_names[i], name) == 0)
			return true;
	return false;
}

/* One process as it is the same in every GPU's list: its number counts from 1. */
struct scrub {
	uint32_t n;
	uint32_t pids[PROBE_GPUS_MAX * PROCS_MAX];
};

static void scrub_proc(struct scrub *s, struct gpu_proc *p)
{
	uint32_t i = 0;

	while (i < s->n && s->pids[i] != p->pid)
		i++;
	if (i == s->n)
		s->pids[s->n++] = p->pid;
	p->pid = i + 1;
	if (!process_is_public(p->name))
		strcpy(p->name, "process");
}

static json_t *procs_to_json(const struct holders *h)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < h->n_procs; i++) {
		json_t *p = json_object();

		json_put_int(p, "pid", h->procs[i].pid);
		json_put_text_or_null(p, "name", h->procs[i].name);
		fields_to_json(p, proc_rows, ARRAY_LEN(proc_rows), &h->procs[i]);
		json_array_append_new(a, p);
	}
	return a;
}

static json_t *answer_of(const struct claims *c, const struct report *r, bool scrubbed)
{
	json_t *o = json_answer("berth.answer.procs/1"), *devices = json_object();
	own_free struct scrub *s = calloc(1, sizeof(*s));
	own_free struct holders *h = calloc(1, sizeof(*h));

	json_put_fact(o, "unseen", &c->unseen);
	for (uint32_t i = 0; s && h && i < r->n_gpus; i++) {
		json_t *d = json_object();

		claims_of_gpu(c, i, h);
		for (uint32_t k = 0; scrubbed && k < h->n_procs; k++)
			scrub_proc(s, &h->procs[k]);
		json_object_set_new(d, "processes", procs_to_json(h));
		json_put_int(d, "left_out", h->n_left_out);
		json_object_set_new(devices, r->gpus[i].pci, d);
	}
	json_object_set_new(o, "devices", devices);
	return o;
}

static json_t *ask(const struct run *run, const struct want *w)
{
	const struct report *r = &run->merged;
	struct claims c = { 0 };
	json_t *o = NULL;

	if (w->no_procs || !r->n_gpus)
		return NULL;
	claims_walk(&c, run->m, r, w->wake, NULL);
	claims_kfd(&c, run->m, r);
	claims_nvml(&c, run->m, run);
	/* A folder without processes says nothing about them. */
	if (c.n_seen)
		o = answer_of(&c, r, w->rec);
	claims_fini(&c);
	return o;
}

static void take_procs(struct holders *h, const json_t *a)
{
	const json_t *o;
	size_t i;

	h->n_procs = 0;
	json_array_foreach(a, i, o)
	{
		json_int_t pid = json_integer_value(json_object_get(o, "pid"));
		const char *name = json_string_value(json_object_get(o, "name"));

		if (h->n_procs == PROCS_MAX)
			return;
		if (pid <= 0 || pid > INT32_MAX)
			continue;
		struct gpu_proc *p = &h->procs[h->n_procs++];

		*p = (struct gpu_proc) { .pid = (uint32_t)pid };
		text_copy(p->name, sizeof(p->name), name ? name : "");
		text_clean(p->name);
		rows_from_json(o, proc_rows, ARRAY_LEN(proc_rows), p);
	}
}

static void take(struct report *r, const json_t *answer)
{
	const json_t *devices = json_object_get(answer, "devices");
	struct fact unseen = json_get_fact(answer, "unseen");

	if (fact_known(&unseen) && unseen.v < 0)
		unseen = fact_unknown(WHY_GARBLED);
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const json_t *d = json_object_get(devices, r->gpus[i].pci);
		struct holders *h = &r->gpus[i].holders;
		json_int_t left_out = json_integer_value(json_object_get(d, "left_out"));

		h->unseen = unseen;
		take_procs(h, json_object_get(d, "processes"));
		h->n_left_out = left_out > 0 && left_out <= CLAIMS_MAX ? (uint32_t)left_out : 0;
	}
}

/* --- output ---------------------------------------------------------------------------------------------- */

static void json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	const struct holders *h = &g->holders;
	json_t *displays = json_array();

	(void)r;
	json_object_set_new(gpu, "processes", procs_to_json(h));
	json_put_int(gpu, "processes_left_out", h->n_left_out);
	json_put_fact(gpu, "processes_unseen", &h->unseen);
	for (uint32_t i = 0; i < h->n_displays; i++) {
		const struct display *d = &h->displays[i];
		json_t *o = json_object();

		json_put_text(o, "connector", d->connector);
		json_put_bool(o, "connected", d->connected);
		json_put_bool(o, "enabled", d->enabled);
		json_put_fact_text(o, "dpms", &d->dpms);
		json_array_append_new(displays, o);
	}
	json_object_set_new(gpu, "displays", displays);
}

static void text_proc(struct line *l, const struct gpu_proc *p, bool verbose)
{
	char size[TEXT_SIZE_MAX];

	line_part(l, "%s (%u)", p->name[0] ? p->name : "process", p->pid);
	if (fact_known(&p->vram) && p->vram.v)
		text_add(&l->t, " %s", text_size(size, (uint64_t)p->vram.v));
	if (fact_known(&p->host) && p->host.v && (verbose || !fact_known(&p->vram) || !p->vram.v))
		text_add(&l->t, " %s%s of RAM", fact_known(&p->vram) && p->vram.v ? "and " : "",
			 text_size(size, (uint64_t)p->host.v));
	if (verbose && fact_text_known(&p->engines))
		text_add(&l->t, " (%s)", p->engines.v);
}

static void text_procs(FILE *to, const struct holders *h, bool verbose)
{
	uint32_t shown = verbose || h->n_procs <= SHOWN ? h->n_procs : SHOWN;
	uint32_t more = h->n_procs - shown + h->n_left_out;
	struct line l;

	line_init(&l);
	for (uint32_t i = 0; i < shown; i++)
		text_proc(&l, &h->procs[i], verbose);
	if (more)
		line_part(&l, "%u more", more);
	if (verbose && fact_known(&h->unseen) && h->unseen.v)
		text_add(&l.t, "%s%lld processes of others, which only root sees, may hold it too",
			 l.t.len ? "; " : "", (long long)h->unseen.v);
	if (l.t.len)
		line_print(to, "held by", l.buf);
}

static void text_displays(FILE *to, const struct holders *h)
{
	struct line l;

	line_init(&l);
	for (uint32_t i = 0; i < h->n_displays; i++) {
		const struct display *d = &h->displays[i];

		if (!d->connected)
			continue;
		line_part(&l, "%s", d->connector);
		if (!d->enabled)
			text_add(&l.t, " (not in use)");
		else if (fact_text_known(&d->dpms) && strcmp(d->dpms.v, "On") != 0)
			text_add(&l.t, " (%s)", d->dpms.v);
	}
	if (l.t.len)
		line_print(to, "displays", l.buf);
}

static void text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	(void)r;
	text_displays(to, &g->holders);
	text_procs(to, &g->holders, verbose);
}

const struct section section_holders = { .name = "holders",
					 .answer = "procs",
					 .asks_folders = true,
					 .read = read_displays,
					 .ask = ask,
					 .take = take,
					 .json = json,
					 .text = text };
