/* SPDX-License-Identifier: MIT */
#include "device/profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

#define MANUAL "manual" /* the level in which amdgpu takes a mode */
#define CUSTOM "CUSTOM" /* a mode that wants settings of its own */

/* Linux, Documentation/gpu/amdgpu/thermal.rst, power_dpm_force_performance_level. */
static const char *const amd_levels[] = { "auto",
					  "low",
					  "high",
					  MANUAL,
					  "profile_standard",
					  "profile_min_sclk",
					  "profile_min_mclk",
					  "profile_peak",
					  NULL };

/*
 * Sources: amdgpu: the same, power_dpm_force_performance_level and pp_power_profile_mode, which asks for the level
 * manual first. xe: xe_gt_freq.c since Linux 6.18; i915: gt/intel_gt_sysfs_pm.c since 6.14: each GT has its
 * own. NVIDIA's driver has none.
 */
/* clang-format off */
static const struct profiles_row rows[] = {
	{ "amdgpu", "level", PROFILES_LEVELS, "power_dpm_force_performance_level", "auto", amd_levels },
	{ "amdgpu", "mode", PROFILES_TABLE, "pp_power_profile_mode", "BOOTUP_DEFAULT", NULL },
	{ "xe", "profile", PROFILES_BRACKETS, "tile#/gt#/freq0/power_profile", "base", NULL },
	{ "i915", "profile", PROFILES_BRACKETS, "drm/card#/gt/gt#/slpc_power_profile", "base", NULL },
};
/* clang-format on */

/* --- reading --- */

static void levels_parse(const struct profiles_row *row, const char *text, struct marked *m)
{
	*m = (struct marked) { 0 };
	for (uint32_t i = 0; row->names[i]; i++) {
		struct marked_entry *e = &m->list[m->n++];

		e->number = i;
		text_copy(e->name, sizeof(e->name), row->names[i]);
		e->now = strcmp(text, e->name) == 0;
	}
}

void profiles_parse(const struct profiles_row *row, const char *text, struct marked *m)
{
	if (row->how == PROFILES_LEVELS)
		levels_parse(row, text, m);
	else if (row->how == PROFILES_TABLE)
		marked_table(text, m);
	else
		marked_brackets(text, m);
}

/* The entry's name is `stem` and a number: "card1" of "card#". */
static bool fits(const char *name, const char *stem, size_t n)
{
	return strncmp(name, stem, n) == 0 && name[n] &&
	       strspn(name + n, "0123456789") == strlen(name + n);
}

/* Every file that `pattern`, in which a # is a number, means below dir. */
static void find_files(const struct machine *m, const char *dir, const char *pattern,
		       struct profiles *p)
{
	own_free char **names = NULL;
	const char *slash = strchr(pattern, '/'), *hash = strchr(pattern, '#');
	char path[STEP_TARGET];
	int n;

	if (!hash) {
		if (p->n_files < PROFILES_FILES &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, pattern) < sizeof(path) &&
		    machine_exists(m, path))
			text_copy(p->files[p->n_files++], sizeof(p->files[0]), path);
		return;
	}
	if (!slash || slash < hash) { /* a plain folder first: "drm/card#" */
		if (slash && (size_t)snprintf(path, sizeof(path), "%s/%.*s", dir,
					      (int)(slash - pattern), pattern) < sizeof(path))
			find_files(m, path, slash + 1, p);
		return;
	}
	n = machine_list(m, dir, &names);
	for (int i = 0; i < n; i++)
		if (fits(names[i], pattern, (size_t)(hash - pattern)) &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, names[i]) < sizeof(path))
			find_files(m, path, slash + 1, p);
}

static void read_row(const struct machine *m, const struct func *f, const struct profiles_row *row,
		     struct profile_sets *sets)
{
	struct profiles *p = &sets->list[sets->n];
	char text[PROFILES_TEXT];

	*p = (struct profiles) { .row = row };
	find_files(m, f->dir, row->file, p);
	if (p->n_files == 0 || machine_read(m, p->files[0], text, sizeof(text)) < 0)
		return;
	profiles_parse(row, text, &p->choice);
	sets->n += p->choice.n > 0;
}

void profiles_read(const struct scene *s, const struct func *f, bool wake, struct profile_sets *p)
{
	*p = (struct profile_sets) { .why = f->driver[0] ? WHY_NOT_EXPORTED : WHY_NO_DRIVER };
	for (size_t i = 0; i < N_OF(rows) && s->m; i++) {
		if (strcmp(rows[i].driver, f->driver) != 0)
			continue;
		if (f->awake != AWAKE_YES && !wake)
			p->why = WHY_ASLEEP;
		else
			read_row(s->m, f, &rows[i], p);
	}
}

void profiles_words(struct text *t, const struct profiles *p)
{
	for (uint32_t i = 0; i < p->choice.n; i++)
		text_add(t, "%s%s%s", i ? " " : "", p->choice.list[i].name,
			 p->choice.list[i].now ? "*" : "");
}

/* --- steps --- */

/* What is written to choose an entry. */
static int put_choice(char *to, size_t size, const struct profiles *p, const struct marked_entry *e,
		      struct err *err)
{
	if (p->row->how == PROFILES_TABLE)
		return step_put_sized(to, size, err, "%u", e->number);
	return step_put_sized(to, size, err, "%s", e->name);
}

/* The file's own words cannot be written back where they are a list. */
static int put_undo(struct step *s, const struct profiles *p, const char *file, struct err *e)
{
	const struct marked_entry *now = marked_now(&p->choice);
	int rc;

	if (p->row->how == PROFILES_LEVELS) {
		s->undo = UNDO_BEFORE;
		return 0;
	}
	if (!now || strcmp(now->name, CUSTOM) == 0) {
		s->undo = UNDO_NEVER;
		return step_put(s->why, e, "%s",
				now ? "the settings of " CUSTOM " cannot be written back"
				    : "nothing says which profile was in force");
	}
	s->undo = UNDO_OTHER;
	rc = step_put(s->undo_target, e, "%s", file);
	if (rc == 0)
		rc = put_choice(s->undo_value, sizeof(s->undo_value), p, now, e);
	return rc ? rc : look_set(&s->undone, LOOK_MARKED, now->name, e, "%s", file);
}

static int choose(const struct profiles *p, const struct machine *m,
		  const struct marked_entry *want, struct txn *t, struct err *e)
{
	bool levels = p->row->how == PROFILES_LEVELS;

	for (uint32_t i = 0; i < p->n_files; i++) {
		const char *file = p->files[i];
		struct step *s = txn_add(t, STEP_WRITE, e, "set the %s of %s to %s", p->row->kind,
					 t->device, want->name);
		int rc = s ? step_put(s->target, e, "%s", file) : e->rc;

		if (rc == 0)
			rc = put_choice(s->value, sizeof(s->value), p, want, e);
		if (rc == 0)
			rc = levels ? txn_before(t, m, e) : 0;
		if (rc == 0)
			rc = look_set(&s->after, levels ? LOOK_TEXT : LOOK_MARKED, want->name, e,
				      "%s", file);
		if (rc == 0)
			rc = put_undo(s, p, file, e);
		if (rc)
			return rc;
	}
	return 0;
}

static const struct profiles *of_kind(const struct profile_sets *p, enum profiles_how how)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->list[i].row->how == how)
			return &p->list[i];
	return NULL;
}

static bool is_now(const struct profiles *p, const char *name)
{
	const struct marked_entry *now = marked_now(&p->choice);

	return now && strcmp(now->name, name) == 0;
}

/* amdgpu takes a mode only while its level is manual. */
static int choose_mode(const struct profile_sets *p, const struct machine *m,
		       const struct profiles *modes, const struct marked_entry *want, struct txn *t,
		       struct err *e)
{
	const struct profiles *level = of_kind(p, PROFILES_LEVELS);
	const struct marked_entry *manual = level ? marked_find(&level->choice, MANUAL) : NULL;
	int rc = 0;

	if (strcmp(want->name, CUSTOM) == 0)
		return err_set(e, -EOPNOTSUPP,
			       "%s: " CUSTOM
			       " wants settings of its own, which are not written here",
			       t->device);
	if (manual && !manual->now)
		rc = choose(level, m, manual, t, e);
	return rc ? rc : choose(modes, m, want, t, e);
}

static int take_usual(const struct profile_sets *p, const struct machine *m, struct txn *t,
		      struct err *e)
{
	int rc = 0;

	/* The mode first: only the level manual takes it */
	for (uint32_t i = p->n; i-- > 0 && rc == 0;) {
		const struct profiles *one = &p->list[i];
		const struct marked_entry *usual = marked_find(&one->choice, one->row->usual);
		bool level = one->row->how == PROFILES_LEVELS;

		if (!usual || (is_now(one, one->row->usual) && !(level && t->n)))
			continue;
		rc = one->row->how == PROFILES_TABLE ? choose_mode(p, m, one, usual, t, e)
						     : choose(one, m, usual, t, e);
	}
	return rc;
}

static int no_such(const struct profile_sets *p, const char *device, const char *name,
		   struct err *e)
{
	char have[480];
	struct text t;

	text_init(&t, have, sizeof(have));
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t k = 0; k < p->list[i].choice.n; k++)
			text_add(&t, "%s%s", t.len ? ", " : "", p->list[i].choice.list[k].name);
	return err_set(e, -EINVAL, "%s has no profile '%.40s'; it has %s", device, name, have);
}

int profiles_steps(const struct profile_sets *p, const struct machine *m, const char *device,
		   const char *name, struct txn *t, struct err *e)
{
	if (marked_find(&(struct marked) { .n = 1, .list = { { .name = PROFILES_DEFAULT } } },
			name))
		return take_usual(p, m, t, e);
	for (uint32_t i = 0; i < p->n; i++) {
		const struct profiles *one = &p->list[i];
		const struct marked_entry *want = marked_find(&one->choice, name);

		if (!want)
			continue;
		if (want->now)
			return 0;
		return one->row->how == PROFILES_TABLE ? choose_mode(p, m, one, want, t, e)
						       : choose(one, m, want, t, e);
	}
	return no_such(p, device, name, e);
}
