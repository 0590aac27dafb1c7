/* SPDX-License-Identifier: MIT */
#include "device/tb.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BEHIND_MAX 256

static const struct usb4 *usb4_of(const struct scene *s)
{
	return &s->report->usb4;
}

static const struct tb_router *router_of(const struct scene *s, uint32_t i)
{
	return &usb4_of(s)->routers[i];
}

static const char *text_of(const struct fact_text *f)
{
	return fact_text_known(f) ? f->v : "";
}

void tb_title(struct text *t, const struct scene *s, uint32_t router)
{
	const struct tb_router *r = router_of(s, router);
	const char *vendor = text_of(&r->vendor_name), *device = text_of(&r->device_name);

	text_add(t, "%s", r->name);
	if (vendor[0] || device[0])
		text_add(t, " (%s%s%s)", vendor, vendor[0] && device[0] ? " " : "", device);
}

/* --- which one --- */

static bool is_box(const struct tb_router *r)
{
	return !r->host;
}

static bool by_name(const struct scene *s, uint32_t i, const char *device)
{
	return strcmp(router_of(s, i)->name, device) == 0;
}

/* As git does with its ids: the beginning will do, where it is long enough to be no accident. */
static bool by_uid(const struct scene *s, uint32_t i, const char *device)
{
	const char *uid = s->boxes.box[i].uid;

	return uid[0] && strlen(device) >= 8 && strncasecmp(uid, device, strlen(device)) == 0;
}

static bool by_words(const struct scene *s, uint32_t i, const char *device)
{
	const struct tb_router *r = router_of(s, i);
	char both[160];

	snprintf(both, sizeof(both), "%s %s", text_of(&r->vendor_name), text_of(&r->device_name));
	return strlen(device) >= 2 && strcasestr(both, device);
}

static bool (*const matches[])(const struct scene *s, uint32_t i, const char *device) = {
	by_name,
	by_uid,
	by_words,
};

static int several(const struct scene *s, const char *device, struct err *e,
		   bool (*match)(const struct scene *, uint32_t, const char *))
{
	char names[256];
	struct text t;

	text_init(&t, names, sizeof(names));
	for (uint32_t i = 0; i < usb4_of(s)->n_routers; i++)
		if (is_box(router_of(s, i)) && match(s, i, device))
			text_add(&t, "%s%s", t.len ? ", " : "", router_of(s, i)->name);
	return err_set(e, -EINVAL, "'%s' is more than one box: %s; name one of them", device,
		       names);
}

static int none(const struct scene *s, const char *device, struct err *e)
{
	char names[320];
	struct text t;

	text_init(&t, names, sizeof(names));
	for (uint32_t i = 0; i < usb4_of(s)->n_routers; i++) {
		if (!is_box(router_of(s, i)))
			continue;
		text_add(&t, "%s", t.len ? ", " : "");
		tb_title(&t, s, i);
	}
	if (!t.len)
		return err_set(e, -ENODEV,
			       "no Thunderbolt or USB4 box is plugged in, so not '%s' either",
			       device);
	return err_set(e, -ENODEV, "no box is called '%s'; there is %s", device, names);
}

/* A GPU stands for the box it is in. */
static int by_gpu(const struct scene *s, const char *device, struct err *e)
{
	uint32_t index[PROBE_GPUS_MAX];
	int n = probe_select(s->report, device, index, NULL);
	char names[128];
	struct text t;

	if (n != 1)
		return n > 1 ? err_set(e, -EINVAL, "'%s' is more than one GPU", device)
			     : none(s, device, e);
	const struct gpu *g = &s->report->gpus[index[0]];
	const struct tunnel *u = &g->tunnel;

	if (!u->tunnelled)
		return err_set(e, -EINVAL, "%s is in no Thunderbolt box", g->pci);
	if (u->router >= 0 && u->router_certainty == CERTAINTY_CERTAIN)
		return u->router;
	text_init(&t, names, sizeof(names));
	text_add(&t, "%s", u->candidates);
	if (!t.len && u->router >= 0)
		text_add(&t, "%s", router_of(s, (uint32_t)u->router)->name);
	return err_set(e, -EINVAL, "which box %s is in is not certain%s%s; name the box", g->pci,
		       t.len ? ", perhaps " : "", names);
}

int tb_select(const struct scene *s, const char *device, struct err *e)
{
	for (size_t k = 0; k < sizeof(matches) / sizeof(matches[0]); k++) {
		int found = -1;

		for (uint32_t i = 0; i < usb4_of(s)->n_routers; i++) {
			if (!matches[k](s, i, device) || (k && !is_box(router_of(s, i))))
				continue;
			if (found >= 0)
				return several(s, device, e, matches[k]);
			found = (int)i;
		}
		if (found >= 0 && !is_box(router_of(s, (uint32_t)found)))
			return err_set(e, -EINVAL, "%s is this machine's own controller, no box",
				       device);
		if (found >= 0)
			return found;
	}
	return by_gpu(s, device, e);
}

/* --- what is in it --- */

/* Whether a box is `above`, or is plugged into it, at any depth. Bounded, as a captured machine may lie. */
static bool is_below(const struct scene *s, uint32_t router, uint32_t above)
{
	const char *name = router_of(s, router)->name;

	for (uint32_t depth = 0; depth <= usb4_of(s)->n_routers; depth++) {
		if (strcmp(name, router_of(s, above)->name) == 0)
			return true;
		const char *parent = "";

		for (uint32_t i = 0; i < usb4_of(s)->n_routers; i++)
			if (strcmp(router_of(s, i)->name, name) == 0)
				parent = router_of(s, i)->parent;
		if (!parent[0])
			return false;
		name = parent;
	}
	return false;
}

static bool is_under(const struct scene *s, const struct func *f, const char *port)
{
	for (uint32_t depth = 0; f && depth < 64; depth++) {
		if (strcmp(f->pci, port) == 0)
			return true;
		f = f->above[0] ? scene_func(s, f->above) : NULL;
	}
	return false;
}

/* A GPU below the port is certainly in a box that has nothing to do with this one. */
static bool leads_elsewhere(const struct scene *s, const char *port, uint32_t router)
{
	for (uint32_t i = 0; i < s->report->n_gpus; i++) {
		const struct tunnel *u = &s->report->gpus[i].tunnel;
		const struct func *f = scene_func(s, s->report->gpus[i].pci);

		if (u->tunnelled && u->router >= 0 && u->router_certainty == CERTAINTY_CERTAIN &&
		    is_under(s, f, port) && !is_below(s, (uint32_t)u->router, router) &&
		    !is_below(s, router, (uint32_t)u->router))
			return true;
	}
	return false;
}

/* A port that the box's domain may tunnel through. */
static bool is_tunnel_port(const struct scene *s, const struct tb_domain *d, const struct func *f)
{
	const struct func *nhi = d->nhi[0] ? scene_func(s, d->nhi) : NULL;

	if (!f->bridge)
		return false;
	for (uint32_t i = 0; i < d->n_ports; i++)
		if (strcmp(d->ports[i], f->pci) == 0)
			return true;
	/* A controller that is a chip of its own: the other ports of its switch, but not its own. */
	if (d->above[0] && strcmp(f->above, d->above) == 0 && (!nhi || strcmp(nhi->above, f->pci)))
		return true;
	for (uint32_t i = 0; i < s->report->n_gpus; i++) {
		const struct tunnel *u = &s->report->gpus[i].tunnel;

		if (u->tunnelled && u->domain >= 0 && &usb4_of(s)->domains[u->domain] == d &&
		    strcmp(u->port, f->pci) == 0)
			return true;
	}
	return false;
}

static bool has(const struct func *const *set, uint32_t n, const struct func *f)
{
	for (uint32_t i = 0; i < n; i++)
		if (set[i] == f)
			return true;
	return false;
}

uint32_t tb_behind(const struct scene *s, uint32_t router, const struct func **set, uint32_t max)
{
	const struct tb_router *r = router_of(s, router);
	const struct func *below[BEHIND_MAX];
	uint32_t n = 0;

	if (r->domain < 0)
		return 0;
	for (uint32_t i = 0; i < s->n_funcs; i++) {
		const struct func *port = &s->funcs[i];

		if (!is_tunnel_port(s, &usb4_of(s)->domains[r->domain], port) ||
		    leads_elsewhere(s, port->pci, router))
			continue;
		uint32_t m = scene_below(s, port, below, BEHIND_MAX);

		for (uint32_t k = 0; k < m && k < BEHIND_MAX && n < max; k++)
			if (!has(set, n, below[k]))
				set[n++] = below[k];
	}
	return n;
}

int tb_router_behind(const struct scene *s, const char *pci)
{
	const struct func *f = scene_func(s, pci);
	int found = -1;

	/* Of what is no GPU the probe says nothing: it is where a GPU of the same tunnel is. */
	for (uint32_t i = 0; f && i < s->report->n_gpus; i++) {
		const struct tunnel *u = &s->report->gpus[i].tunnel;

		if (!u->tunnelled || u->router < 0 || u->router_certainty != CERTAINTY_CERTAIN ||
		    !is_under(s, f, u->port))
			continue;
		if (found >= 0 && found != u->router)
			return -1;
		found = u->router;
	}
	return found;
}

/* Of a domain, the one box that is plugged into the machine itself; -1: there are several, or none is known. */
static int lone_first(const struct scene *s, int domain)
{
	const struct usb4 *u = usb4_of(s);
	int found = -1;

	for (uint32_t i = 0; i < u->n_routers; i++) {
		const struct tb_router *r = router_of(s, i);
		bool first = false;

		for (uint32_t k = 0; k < u->n_routers; k++)
			first |= u->routers[k].host && strcmp(u->routers[k].name, r->parent) == 0;
		if (r->host || r->domain != domain || !first)
			continue;
		if (found >= 0)
			return -1;
		found = (int)i;
	}
	return u->n_left_out ? -1 : found;
}

int tb_row(const struct scene *s, const char *pci)
{
	const struct func *f = scene_func(s, pci);

	for (uint32_t i = 0; f && i < s->report->n_gpus; i++) {
		const struct tunnel *u = &s->report->gpus[i].tunnel;

		if (u->tunnelled && u->domain >= 0 && u->domain_certainty == CERTAINTY_CERTAIN &&
		    is_under(s, f, u->port))
			return lone_first(s, u->domain);
	}
	return -1;
}

bool tb_in_row(const struct scene *s, uint32_t router, uint32_t first)
{
	return is_below(s, router, first);
}

/* --- letting go --- */

static bool authorised(const struct tb_router *r)
{
	return fact_known(&r->authorized) && r->authorized.v > 0;
}

static uint32_t depth_of(const struct scene *s, uint32_t router)
{
	uint32_t depth = 0;

	for (uint32_t i = 0; i < usb4_of(s)->n_routers; i++)
		depth += is_below(s, router, i);
	return depth;
}

static int step_deauthorise(const struct scene *s, uint32_t router, struct txn *t, struct err *e)
{
	char title[96];
	struct text w;

	text_init(&w, title, sizeof(title));
	tb_title(&w, s, router);
	struct step *p = txn_add(t, STEP_WRITE, e, "deauthorise %s", title);

	if (!p)
		return -EFBIG;
	int rc = step_put(p->target, e, "sys/bus/thunderbolt/devices/%s/authorized",
			  router_of(s, router)->name);

	if (!rc)
		rc = step_put(p->value, e, "0");
	if (!rc)
		rc = txn_before(t, s->m, e);
	if (!rc)
		rc = look_set(&p->after, LOOK_TEXT, "0", e, "%s", p->target);
	p->undo = UNDO_BEFORE;
	return rc;
}

static const struct tb_domain *domain_of(const struct scene *s, uint32_t router)
{
	int domain = router_of(s, router)->domain;

	return domain >= 0 ? &usb4_of(s)->domains[domain] : NULL;
}

int tb_steps_deauthorise(const struct scene *s, uint32_t router, struct txn *t, struct err *e)
{
	const struct tb_domain *d = domain_of(s, router);
	uint32_t deepest = depth_of(s, router);

	if (!is_box(router_of(s, router)))
		return err_set(e, -EINVAL, "%s is this machine's own controller, no box",
			       router_of(s, router)->name);
	if (!d || !fact_known(&d->deauthorization) || d->deauthorization.v != 1)
		return err_set(
			e, -EOPNOTSUPP,
			"%s cannot be deauthorised: its controller (%s) does not offer it "
			"(deauthorization is not 1); pull its cable instead, after 'berth device "
			"eject' of what is in it",
			router_of(s, router)->name, d ? d->name : "of no known domain");
	for (uint32_t i = 0; i < usb4_of(s)->n_routers; i++)
		if (is_below(s, i, router) && depth_of(s, i) > deepest)
			deepest = depth_of(s, i);
	/* The kernel lets go of those behind it by itself, but would not let them in again on undo. */
	for (uint32_t depth = deepest; depth > 0; depth--)
		for (uint32_t i = 0; i < usb4_of(s)->n_routers; i++) {
			if (!is_below(s, i, router) || depth_of(s, i) != depth ||
			    !authorised(router_of(s, i)))
				continue;
			int rc = step_deauthorise(s, i, t, e);

			if (rc)
				return rc;
		}
	return 0;
}

/* --- for list --- */

void tb_words(const struct scene *s, uint32_t router, struct text *t)
{
	const struct tb_router *r = router_of(s, router);
	const struct bolt_device *b = boxes_bolt(&s->boxes, router);
	const struct tb_domain *d = domain_of(s, router);

	if (!fact_known(&r->authorized))
		text_add(t, "whether it is authorised is not told");
	else if (r->authorized.v == 0)
		text_add(t, "not authorised: berth device authorise %s", r->name);
	else
		text_add(t, "authorised%s", r->authorized.v == 2 ? " by its key" : "");
	if (b && b->stored)
		text_add(t, ", enrolled with boltd (policy %s)",
			 b->policy[0] ? b->policy : "not told");
	else if (s->boxes.bolt.here == BOLT_RUNS)
		text_add(t, ", not enrolled with boltd");
	if (d && fact_known(&d->iommu_dma_protection) && !d->iommu_dma_protection.v)
		text_add(t, ", no IOMMU guards memory against it");
}
