/* SPDX-License-Identifier: MIT */
/* Checks of the desktop: which card draws, which compositor bears a card that comes and goes. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

/* clang-format off */
static const struct compositor {
	const char *program;  /* comm, one of ev_programs[] */
	const char *variable; /* a list of cards, the one that draws first; NULL: by a udev tag */
	const char *hotplug;  /* what it lacks; NULL: cards may come and go */
	const char *source;
} compositors[] = {
	{ "kwin_wayland", "KWIN_DRM_DEVICES", NULL, "KWin" },
	{ "gnome-shell", NULL, "takes a card that comes, but does not let go of one that leaves", "Cardwire#179" },
	{ "sway", "WLR_DRM_DEVICES", "takes no card that comes later", "wlroots#1278" },
	{ "labwc", "WLR_DRM_DEVICES", "takes no card that comes later", "wlroots#1278" },
	{ "river", "WLR_DRM_DEVICES", "takes no card that comes later", "wlroots#1278" },
	{ "wayfire", "WLR_DRM_DEVICES", "takes no card that comes later", "Wayfire#2629" },
	{ "Hyprland", "AQ_DRM_DEVICES", "takes no card that comes later", "aquamarine#137" },
};
/* clang-format on */

/* The compositor that runs; NULL: none of the table. */
static const struct compositor *running(const struct evidence *ev)
{
	for (size_t i = 0; i < ARRAY_LEN(compositors); i++)
		if (ev_running(ev, compositors[i].program))
			return &compositors[i];
	return NULL;
}

static const struct display *connected(const struct gpu *g)
{
	for (uint32_t i = 0; i < g->holders.n_displays && i < DISPLAYS_MAX; i++)
		if (g->holders.displays[i].connected)
			return &g->holders.displays[i];
	return NULL;
}

/* --- the card that draws --- */

/* Somebody chose already; whom, is his business. */
static bool was_chosen(const struct evidence *ev, const struct compositor *c)
{
	static const char *const patterns[] = { "etc/udev/rules.d/*.rules",
						"run/udev/rules.d/*.rules",
						"usr/lib/udev/rules.d/*.rules" };
	const struct ev_file *f;

	if (c->variable)
		return ev_environment(ev, c->variable);
	for (size_t p = 0; p < ARRAY_LEN(patterns); p++)
		for (uint32_t i = 0; (f = ev_next(ev, patterns[p], &i));)
			if (strstr(f->value, "mutter-device-preferred-primary"))
				return true;
	return false;
}

/* "NAME=/dev/dri/card1:/dev/dri/card0": first the one that shall draw, then all others. */
static void choice(const struct exam *x, const struct compositor *c, const struct gpu *first,
		   char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	text_add(&t, "%s=%s", c->variable, first->drm_card.v);
	for (uint32_t i = 0; i < x->r->n_gpus; i++)
		if (&x->r->gpus[i] != first && fact_text_known(&x->r->gpus[i].drm_card))
			text_add(&t, ":%s", x->r->gpus[i].drm_card.v);
}

static void not_primary(const struct exam *x)
{
	const struct compositor *c = running(x->ev);

	for (uint32_t i = 0; c && i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char path[PATH_SIZE], cards[256] = "";

		if (!gpu_is_external(g) || !fact_text_known(&g->drm_card) || !connected(g) ||
		    !fact_known(&g->boot_vga) || g->boot_vga.v || was_chosen(x->ev, c))
			continue;
		if (c->variable)
			choice(x, c, g, cards, sizeof(cards));
		struct finding *f = found(x, g->pci, function_file(path, g->pci, "boot_vga"), "0",
					  cards);

		finding_detail(f, "%s runs, and draws on the firmware's card unless it is told.",
			       c->program);
		if (!c->variable)
			finding_remedy(f, REMEDY_COMMAND,
				       "As root: echo 'SUBSYSTEM==\"drm\", KERNELS==\"{dev}\", "
				       "TAG+=\"mutter-device-preferred-primary\"' > "
				       "/etc/udev/rules.d/61-berth-primary.rules; then log in anew",
				       "rm /etc/udev/rules.d/61-berth-primary.rules", 0);
	}
}

/* --- cards that come and go --- */

static void needs_logout(const struct exam *x)
{
	const struct compositor *c = running(x->ev);

	for (uint32_t i = 0; c && c->hotplug && i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		if (!gpu_is_external(g) || !fact_text_known(&g->drm_card))
			continue;
		finding_detail(found(x, g->pci, "running programs", c->program, NULL),
			       "It %s (%s).", c->hotplug, c->source);
	}
}

/* --- monitors --- */

static bool is_panel(const struct display *d)
{
	return strncmp(d->connector, "eDP", 3) == 0 || strncmp(d->connector, "LVDS", 4) == 0 ||
	       strncmp(d->connector, "DSI", 3) == 0;
}

/* A monitor, not the laptop's own panel, at a GPU that is not in a box. */
static const struct display *monitor_elsewhere(const struct report *r, const struct gpu **at)
{
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];

		if (gpu_is_external(g) || !fact_text_known(&g->drm_card))
			continue;
		for (uint32_t k = 0; k < g->holders.n_displays && k < DISPLAYS_MAX; k++) {
			const struct display *d = &g->holders.displays[k];

			if (!d->connected || is_panel(d))
				continue;
			*at = g;
			return d;
		}
	}
	return NULL;
}

static void monitor_on_host(const struct exam *x)
{
	const struct gpu *at;
	const struct display *d = monitor_elsewhere(x->r, &at);

	for (uint32_t i = 0; d && i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		const char *card = strrchr(at->drm_card.v, '/');
		char path[PATH_SIZE];

		if (!gpu_is_external(g) || !g->holders.n_displays || connected(g) || !card)
			continue;
		snprintf(path, sizeof(path), "/sys/class/drm/%s-%s/status", card + 1, d->connector);
		finding_detail(found(x, g->pci, path, "connected", NULL), "It is at %.23s.",
			       at->pci);
	}
}

/* clang-format off */
const struct doctor_check checks_desktop[] = {
	{ 59, "desktop-not-on-box", SEV_NOTE, CONF_POSSIBLE,
	  "The desktop draws on another card than the one in the box, whose monitor it then copies each picture to",
	  "boot_vga = 0 and a connected monitor of a card in a box; the compositor that runs, and its variable or udev tag", { NULL }, not_primary,
	  REMEDY_COMMAND, "Put {arg} into the session's environment (~/.config/environment.d/berth.conf), and log in anew",
	  "rm ~/.config/environment.d/berth.conf, and log in anew", 0, "all-ways-egpu", NULL },
	{ 60, "desktop-needs-logout", SEV_NOTE, CONF_LIKELY,
	  "The compositor does not bear that cards come and go: plugging the box in or out asks for a new login",
	  "programs that run: sway, labwc, river, wayfire, Hyprland, gnome-shell; with a card in a box", { NULL }, needs_logout, REMEDY_NONE,
	  "Log out before the box is plugged in or out. KWin (Wayland) bears both.", "", 0, "wlroots#1278, Wayfire#2629, aquamarine#137, Cardwire#179",
	  NULL },
	{ 61, "monitor-not-on-box", SEV_NOTE, CONF_LIKELY,
	  "The monitor is plugged into the machine and not into the box, so each picture that the card draws goes back through the cable",
	  "sys/class/drm/card*-*/status = connected, of the machine's own GPU and of the card in a box", { NULL }, monitor_on_host, REMEDY_CABLE,
	  "Plug the monitor into the card in the box. For compute alone it is well as it is.", "Plug it back.", 0, "Arch wiki, External GPU", NULL },
	{ 0 },
};
/* clang-format on */
