/* SPDX-License-Identifier: MIT */
/* What a uevent means, and how it is said. */
#include <stdio.h>
#include <string.h>

#include "probe/diff.h"
#include "probe/probe_priv.h"
#include "probe/watch.h"

static const char *const kind_names[WATCH_COUNT] = {
	[WATCH_NONE] = "none",
	[WATCH_APPEAR] = "appear",
	[WATCH_VANISH] = "vanish",
	[WATCH_BIND] = "bind",
	[WATCH_UNBIND] = "unbind",
	[WATCH_AUTHORISE] = "authorise",
	[WATCH_DEAUTHORISE] = "deauthorise",
	[WATCH_CHANGE] = "change",
};

static const char *const sentences[WATCH_COUNT] = {
	[WATCH_NONE] = "",
	[WATCH_APPEAR] = "appeared",
	[WATCH_VANISH] = "vanished",
	[WATCH_BIND] = "is bound",
	[WATCH_UNBIND] = "was unbound",
	[WATCH_AUTHORISE] = "was authorised",
	[WATCH_DEAUTHORISE] = "is no longer authorised",
	[WATCH_CHANGE] = "changed",
};

const char *watch_kind_name(enum watch_kind k)
{
	return kind_names[k];
}

static enum watch_kind kind_of(const char *action)
{
	static const struct {
		const char *action;
		enum watch_kind kind;
	} actions[] = {
		{ "add", WATCH_APPEAR },    { "remove", WATCH_VANISH }, { "bind", WATCH_BIND },
		{ "unbind", WATCH_UNBIND }, { "change", WATCH_CHANGE },
	};

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].action, action) == 0)
			return actions[i].kind;
	return WATCH_NONE;
}

static bool decide_pci(const struct uevent *u, const struct report *known, struct watch_event *w)
{
	const struct gpu *g = report_gpu(known, u->sysname);

	/* The class is in the event: a function that is gone has no files any more. */
	if (!addr_ok(u->sysname) || !(g || (u->class != UINT32_MAX && class_is_ours(u->class))))
		return false;
	text_copy(w->pci, sizeof(w->pci), u->sysname);
	text_copy(w->driver, sizeof(w->driver), u->driver);
	if (!*w->driver && w->kind == WATCH_UNBIND && g && fact_text_known(&g->driver))
		text_copy(w->driver, sizeof(w->driver), g->driver.v);
	if (g && fact_text_known(&g->name))
		text_copy(w->name, sizeof(w->name), g->name.v);
	return true;
}

/* Nodes come and go with their driver; what a driver says of its device is news. */
static bool decide_drm(const struct uevent *u, const struct report *known, struct watch_event *w)
{
	if (w->kind != WATCH_CHANGE || !(*u->wedged || u->hotplug))
		return false;
	addr_of_path(w->pci, sizeof(w->pci), u->devpath);
	const struct gpu *g = report_gpu(known, w->pci);

	if (!g)
		return false;
	if (fact_text_known(&g->name))
		text_copy(w->name, sizeof(w->name), g->name.v);
	if (*u->wedged)
		snprintf(w->what, sizeof(w->what), "the driver gave it up; to recover: %.50s",
			 u->wedged);
	else
		text_copy(w->what, sizeof(w->what), "a display came or went");
	return true;
}

static const struct tb_router *router_of(const struct report *known, const char *name)
{
	for (uint32_t i = 0; i < known->usb4.n_routers && i < TB_ROUTERS_MAX; i++)
		if (strcmp(known->usb4.routers[i].name, name) == 0)
			return &known->usb4.routers[i];
	return NULL;
}

/* Routers are "0-1"; domains, ports, retimers and XDomain links have other names. */
static bool is_router(const char *name)
{
	size_t n = strspn(name, "0123456789"), m;

	if (!n || name[n] != '-')
		return false;
	m = strspn(name + n + 1, "0123456789abcdef");
	return m && !name[n + 1 + m];
}

static bool decide_router(const struct uevent *u, const struct report *known, struct watch_event *w)
{
	if (!is_router(u->sysname) || w->kind == WATCH_BIND || w->kind == WATCH_UNBIND)
		return false;
	const struct tb_router *r = router_of(known, u->sysname);

	text_copy(w->router, sizeof(w->router), u->sysname);
	if (r && fact_text_known(&r->device_name))
		text_copy(w->name, sizeof(w->name), r->device_name.v);
	if (w->kind == WATCH_CHANGE && u->authorized >= 0)
		w->kind = u->authorized ? WATCH_AUTHORISE : WATCH_DEAUTHORISE;
	return true;
}

bool watch_decide(const struct uevent *u, const struct report *known, struct watch_event *w)
{
	static const struct {
		const char *subsystem;
		bool (*decide)(const struct uevent *, const struct report *, struct watch_event *);
	} rows[] = { { "pci", decide_pci },
		     { "drm", decide_drm },
		     { "thunderbolt", decide_router } };

	*w = (struct watch_event) { .kind = kind_of(u->action) };
	for (size_t i = 0; w->kind && i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].subsystem, u->subsystem) == 0)
			return rows[i].decide(u, known, w);
	return false;
}

json_t *watch_to_json(const struct watch_event *w, const char *time)
{
	json_t *o = json_answer("berth.probe.watch/1");

	json_put_text(o, "time", time);
	json_put_text(o, "event", watch_kind_name(w->kind));
	json_put_text_or_null(o, "pci", w->pci);
	json_put_text_or_null(o, "router", w->router);
	json_put_text_or_null(o, "name", w->name);
	json_put_text_or_null(o, "driver", w->driver);
	json_put_text_or_null(o, "what", w->what);
	json_object_set_new(o, "changes", w->changes ? json_incref(w->changes) : json_array());
	return o;
}

void watch_text(struct text *t, const struct watch_event *w, const char *time)
{
	bool by = *w->driver && (w->kind == WATCH_BIND || w->kind == WATCH_UNBIND);
	json_t *change;
	size_t i;

	text_add(t, "%s  %s%s  %s%s%s%s%s", time, *w->router ? "router " : "",
		 *w->router ? w->router : w->pci, w->name, *w->name ? " " : "", sentences[w->kind],
		 by ? (w->kind == WATCH_BIND ? " to " : " from ") : "", by ? w->driver : "");
	if (*w->what)
		text_add(t, ": %s", w->what);
	json_array_foreach(w->changes, i, change)
	{
		const char *key = json_string_value(json_object_get(change, "key"));

		/* The sentence says it already. */
		if (by && key && strcmp(key, "driver") == 0)
			continue;
		text_add(t, "; ");
		diff_change_text(t, change);
	}
}
