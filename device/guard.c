/* SPDX-License-Identifier: MIT */
#include "device/guard.h"

#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/step.h"

#define NAMED_MAX 4 /* users in one sentence; the rest is a number */

/* --- words ------------------------------------------------------------------------------------------------ */

/* Who could be asked to leave first stands first, and what to tell the person. */
static const struct {
	enum hold_kind kind;
	const char *what_to_do; /* NULL: it goes without saying */
} kinds[] = {
	{ HOLD_RUN, "end the run with 'berth stop'" },
	{ HOLD_BRIDGE, "end the bridge, once its virtual machine has let go of the device" },
	{ HOLD_VM, "shut the virtual machine down" },
	{ HOLD_PROCESS, "close the program" },
	{ HOLD_MAP, "close the program" },
	{ HOLD_MOUNT, "unmount it" },
	{ HOLD_SWAP, "switch it off with swapoff" },
	{ HOLD_STACK, "take apart what is built on the disk" },
	{ HOLD_NET, "take the interface down" },
	{ HOLD_DISPLAY, "end the session on that screen" },
	{ HOLD_VFS, "give its virtual functions back (0 to sriov_numvfs)" },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))
_Static_assert(N_KINDS == HOLD_KIND_COUNT, "every kind of user has its row");

static void process_words(struct text *t, const struct hold *h)
{
	text_add(t, "process %u", h->pid);
	if (h->who[0])
		text_add(t, " (%s)", h->who);
}

void hold_words(struct text *t, const struct hold *h)
{
	switch (h->kind) {
	case HOLD_RUN:
		text_add(t, "run %s%s(process %u) uses it", h->who, h->who[0] ? " " : "", h->pid);
		break;
	case HOLD_VM:
		text_add(t, "the virtual machine %s (process %u) has it", h->who, h->pid);
		break;
	case HOLD_BRIDGE:
		text_add(t, "berth bridge (process %u) serves it", h->pid);
		break;
	case HOLD_PROCESS:
		process_words(t, h);
		if (h->what[0])
			text_add(t, " has %s open", h->what);
		else
			text_add(t, " uses it");
		break;
	case HOLD_MAP:
		process_words(t, h);
		text_add(t, " has its registers open");
		break;
	case HOLD_MOUNT:
		text_add(t, "%s is mounted from %s", h->who, h->what);
		break;
	case HOLD_SWAP:
		text_add(t, "%s is swapped to", h->who);
		break;
	case HOLD_STACK:
		text_add(t, "%s is built on %s", h->who, h->what);
		break;
	case HOLD_NET:
		text_add(t, "network interface %s is up", h->who);
		if (h->what[0])
			text_add(t, " and has %s", h->what);
		break;
	case HOLD_DISPLAY:
		text_add(t, "it shows a picture on %s", h->who);
		break;
	case HOLD_VFS:
		text_add(t, "it has %s virtual function%s", h->who,
			 strcmp(h->who, "1") == 0 ? "" : "s");
		break;
	case HOLD_KIND_COUNT:
		break;
	}
}

/* --- class ------------------------------------------------------------------------------------------------- */

static bool card_is_shown(const struct scene *s, const struct func *f)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n = scene_slot(s, f, slot, SCENE_SLOT_MAX);

	for (uint32_t i = 0; i < n; i++)
		if (slot[i]->shown)
			return true;
	return false;
}

int guard_class(const struct scene *s, const struct func *f, enum harm harm, bool any,
		struct err *e)
{
	/* Base class 06: bridges of every kind. Without their driver a whole part of the machine goes. */
	if (f->class >> 16 == 0x06 && harm != HARM_DEVICE && harm != HARM_POWER)
		return err_set(
			e, -EINVAL,
			"%s carries other devices (%s): what lies below it would go with it; name the "
			"device itself",
			f->pci, class_words(f->class));
	if (any || card_is_shown(s, f))
		return 0;
	if (!f->class)
		return err_set(e, -EINVAL, "what %s is cannot be read; --any takes it all the same",
			       f->pci);
	return err_set(e, -EINVAL, "%s is no GPU or accelerator (%s); --any takes it all the same",
		       f->pci, class_words(f->class));
}

/* --- who is hit ------------------------------------------------------------------------------------------------ */

/* A function of the set, a virtual function of one, or below a bridge of it. */
static bool is_hit(const struct func *const *set, uint32_t n, const struct func *f)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(set[i]->dir);

		if (f == set[i] || strcmp(f->physfn, set[i]->pci) == 0 ||
		    (set[i]->bridge && strncmp(f->dir, set[i]->dir, len) == 0 &&
		     f->dir[len] == '/'))
			return true;
	}
	return false;
}

static size_t rank(enum hold_kind k)
{
	size_t i = 0;

	while (i < N_KINDS && kinds[i].kind != k)
		i++;
	return i;
}

/*
 * Programs that keep a mixer or an input open only to hear of changes, and close it when the device goes: on a desktop
 * these always have the sound of every card. Source: WirePlumber's ALSA monitor and PulseAudio's module-udev-detect act
 * on udev's removal; logind revokes and closes. Whoever plays something has another file open (pcmC1D3p).
 */
static const struct {
	const char *who, *what; /* beginnings */
} yielding[] = {
	{ "wireplumber", "/dev/snd/control" },
	{ "pipewire", "/dev/snd/control" },
	{ "pulseaudio", "/dev/snd/control" },
	{ "systemd-logind", "/dev/input/" },
	{ "acpid", "/dev/input/" },
	{ "upowerd", "/dev/input/" },
};

static bool yields(const struct hold *h)
{
	for (size_t i = 0; h->kind == HOLD_PROCESS && i < sizeof(yielding) / sizeof(yielding[0]);
	     i++)
		if (strncmp(h->who, yielding[i].who, strlen(yielding[i].who)) == 0 &&
		    strncmp(h->what, yielding[i].what, strlen(yielding[i].what)) == 0)
			return true;
	return false;
}

/* One process that has two files of a card open is one user. */
static bool is_told(const struct scene *s, const uint32_t *holds, uint32_t n, const struct hold *h)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct hold *o = &s->holds[holds[i]];

		/* One that goes by itself does not speak for another that does not. */
		if (h->pid && o->pid == h->pid && yields(o) == yields(h))
			return true;
		if (!h->pid && o->kind == h->kind && strcmp(o->who, h->who) == 0 &&
		    (o->func == h->func || h->kind != HOLD_VFS))
			return true;
	}
	return false;
}

uint32_t guard_users(const struct scene *s, const struct func *const *set, uint32_t n,
		     uint32_t *holds, uint32_t max)
{
	uint32_t count = 0;

	for (size_t k = 0; k < N_KINDS; k++)
		for (uint32_t i = 0; i < s->n_holds && count < max; i++) {
			const struct hold *h = &s->holds[i];

			if (rank(h->kind) == k && h->func < s->n_funcs &&
			    is_hit(set, n, &s->funcs[h->func]) && !is_told(s, holds, count, h))
				holds[count++] = i;
		}
	return count;
}

/* --- displays ------------------------------------------------------------------------------------------------------ */

/* Of the display class with connectors; a 3D controller (0302) has none. */
static bool is_display(const struct func *f)
{
	return f->class >> 16 == 0x03 && f->class >> 8 != 0x0302 && !driver_keeps(f->driver);
}

static const char *display_reason(const struct scene *s, const struct func *const *set, uint32_t n,
				  const struct func **which)
{
	bool other = s->other_display, mine = false;

	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const struct func *f = &s->funcs[i];

		if (!is_display(f))
			continue;
		bool hit = is_hit(set, n, f);

		/* One without a driver shows nothing, unless the firmware's picture is on it. */
		other |= !hit && (f->driver[0] || f->boot_vga == 1);
		if (!hit)
			continue;
		if (f->boot_vga == 1) {
			*which = f;
			return "is the boot display: the console and the firmware's picture are on it";
		}
		if (f->driver[0] && !mine)
			*which = f;
		mine |= f->driver[0] != '\0';
	}
	return mine && !other ? "is the only display of this machine" : NULL;
}

/* --- deciding --------------------------------------------------------------------------------------------------------- */

/* What each harm does to the device. */
static const char *const harms[HARM_COUNT] = {
	[HARM_DRIVER] = "loses its driver",
	[HARM_DEVICE] = "leaves",
	[HARM_RESET] = "is reset",
	[HARM_POWER] = "",
};

static void add_users(struct text *t, const struct scene *s, const uint32_t *holds, uint32_t n)
{
	for (uint32_t i = 0; i < n && i < NAMED_MAX; i++) {
		text_add(t, "%s", t->len ? ", " : "");
		hold_words(t, &s->holds[holds[i]]);
	}
	if (n > NAMED_MAX)
		text_add(t, " and %u more", n - NAMED_MAX);
}

/* What to do about the kinds of users there are, each once. */
static void add_advice(struct text *t, const struct scene *s, const uint32_t *holds, uint32_t n)
{
	const char *last = NULL;

	for (uint32_t i = 0; i < n; i++) {
		const char *advice = kinds[rank(s->holds[holds[i]].kind)].what_to_do;

		if (advice && advice != last && !strstr(t->buf, advice))
			text_add(t, "%s%s", t->len ? ", " : "", advice);
		last = advice;
	}
}

static int refuse_display(const struct scene *s, const struct func *which, const char *why,
			  const uint32_t *holds, uint32_t n, struct err *e)
{
	char users[480] = "";
	struct text t;

	text_init(&t, users, sizeof(users));
	add_users(&t, s, holds, n);
	return err_set(e, -EBUSY, "%s %s%s%s; --force does it all the same", which->pci, why,
		       n ? "; and " : "", users);
}

static int refuse(const struct scene *s, const struct func *first, const uint32_t *holds,
		  uint32_t n, struct err *e)
{
	char users[480] = "", advice[240] = "";
	struct text t;

	text_init(&t, users, sizeof(users));
	add_users(&t, s, holds, n);
	text_init(&t, advice, sizeof(advice));
	add_advice(&t, s, holds, n);
	return err_set(e, -EBUSY, "%s is in use: %s; %s, or give --force", first->pci, users,
		       advice);
}

/* Those who do not go by themselves. */
static uint32_t insisting(const struct scene *s, uint32_t *holds, uint32_t n)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!yields(&s->holds[holds[i]]))
			holds[left++] = holds[i];
	return left;
}

static void warn_users(struct txn *t, const struct scene *s, enum harm harm, const uint32_t *holds,
		       uint32_t n)
{
	for (uint32_t i = 0; t && i < n; i++) {
		char words[200];
		struct text w;

		text_init(&w, words, sizeof(words));
		hold_words(&w, &s->holds[holds[i]]);
		txn_warn(t, "%s %s although %s", s->funcs[s->holds[holds[i]].func].pci, harms[harm],
			 words);
	}
}

static void warn_unseen(struct txn *t, const struct scene *s)
{
	if (!t)
		return;
	if (fact_known(&s->unseen) && s->unseen.v > 0)
		txn_warn(
			t,
			"%lld processes of others may use it, too: only root sees what they have open",
			(long long)s->unseen.v);
	if (s->n_holds_left_out)
		txn_warn(t, "%u more users were not looked at", s->n_holds_left_out);
}

static const struct func *stuck_one(const struct func *const *set, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (set[i]->stuck)
			return set[i];
	return NULL;
}

/* No --force helps then: whoever writes to it hangs, and cannot be ended. */
static int check_stuck(const struct func *const *set, uint32_t n, struct err *e)
{
	const struct func *stuck = stuck_one(set, n);

	return !stuck ? 0
		      : err_set(e, -EBUSY,
				"%s is locked by the kernel: its driver%s%s has been told to let go and waits "
				"for its last user, or hangs; end that user first",
				stuck->pci, stuck->driver[0] ? " " : "", stuck->driver);
}

/* displays: whether the boot display and the only one are a reason, too. */
static int check(const struct scene *s, const struct func *const *set, uint32_t n, enum harm harm,
		 bool displays, bool force, struct txn *t, struct err *e)
{
	own_free uint32_t *holds = calloc(s->n_holds + 1, sizeof(*holds));
	const struct func *which = NULL;
	int rc = holds ? check_stuck(set, n, e) : err_set(e, -ENOMEM, "out of memory");

	if (rc || harm == HARM_POWER || !n)
		return rc;
	uint32_t users = insisting(s, holds, guard_users(s, set, n, holds, s->n_holds));
	const char *display = displays ? display_reason(s, set, n, &which) : NULL;

	if (display && !force)
		return refuse_display(s, which, display, holds, users, e);
	if (users && !force)
		return refuse(s, set[0], holds, users, e);
	if (display && t)
		txn_warn(t, "%s %s: the screen goes dark", which->pci, display);
	warn_users(t, s, harm, holds, users);
	warn_unseen(t, s);
	return 0;
}

int guard_check(const struct scene *s, const struct func *const *set, uint32_t n, enum harm harm,
		bool force, struct txn *t, struct err *e)
{
	return check(s, set, n, harm, true, force, t, e);
}

int guard_return(const struct scene *s, const struct func *const *set, uint32_t n, enum harm harm,
		 bool force, struct txn *t, struct err *e)
{
	return check(s, set, n, harm, false, force, t, e);
}
