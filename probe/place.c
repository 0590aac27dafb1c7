/* SPDX-License-Identifier: MIT */
/*
 * Whether a GPU could be given to a virtual machine: with whom it shares its IOMMU group and its card,
 * how it can be reset, and who uses it. No file read here wakes a device: they are links, and attributes
 * that the kernel keeps (measured on Linux 7.2 for reset_method and d3cold_allowed).
 *
 * Not judged: interrupt remapping, which no file tells without root, and the machine's ACS quirks, which
 * the groups already reflect.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/lines_priv.h"
#include "probe/place_priv.h"
#include "probe/section.h"

#define GROUPS "sys/kernel/iommu_groups"

/*
 * The kernel's words for reset_method (Documentation/ABI/testing/sysfs-bus-pci; pci_reset_fn_methods in
 * drivers/pci/pci.c) and what they leave behind.
 */
static const struct {
	const char *name;
	enum reset_quality alone, shared; /* on a bus of its own, and beside other functions */
} methods[] = {
	/* Function level resets: PCIe 6.6.2, Advanced Features, and quirks written for one chip. */
	{ "device_specific", RESET_GOOD, RESET_GOOD },
	{ "flr", RESET_GOOD, RESET_GOOD },
	{ "af_flr", RESET_GOOD, RESET_GOOD },
	/* ACPI 7.3.25: _RST is a function level reset by the firmware. */
	{ "acpi", RESET_GOOD, RESET_GOOD },
	/* The kernel refuses to reset a bus below one function while others are on it. */
	{ "bus", RESET_GOOD, RESET_WEAK },
	{ "cxl_bus", RESET_GOOD, RESET_WEAK },
	/* D3hot and back: PCI PM 5.4.1 leaves it to the device how much of its state that clears. */
	{ "pm", RESET_WEAK, RESET_WEAK },
};

static const char *const isolations[] = {
	[ISOLATION_UNKNOWN] = "unknown", [ISOLATION_NO_IOMMU] = "no iommu",
	[ISOLATION_ALONE] = "alone",     [ISOLATION_SLOT] = "slot",
	[ISOLATION_SHARED] = "shared",
};

static const char *const qualities[] = {
	[RESET_UNKNOWN] = "unknown",
	[RESET_NONE] = "none",
	[RESET_WEAK] = "weak",
	[RESET_GOOD] = "good",
};

const char *isolation_name(enum isolation i)
{
	return isolations[i];
}

const char *reset_quality_name(enum reset_quality q)
{
	return qualities[q];
}

/* --- deciding --------------------------------------------------------------------------------------- */

static bool is_bridge(const struct peer *p)
{
	return p->class >> 16 == 0x06;
}

/* A host's driver is at work: the group cannot be given away before it lets go. */
static bool is_in_use(const struct fact_text *driver)
{
	if (!fact_text_known(driver))
		return driver->why != WHY_NO_DRIVER;
	return !driver_keeps(driver->v);
}

/* It waits for a guest, or is at one already. */
static bool is_kept(const struct gpu *g)
{
	return fact_text_known(&g->driver) && !is_in_use(&g->driver);
}

static enum isolation isolation_of(const struct gpu *g)
{
	const struct passthrough *p = &g->place;
	enum isolation i = ISOLATION_ALONE;

	if (p->no_iommu)
		return ISOLATION_NO_IOMMU;
	if (!fact_known(&g->iommu_group) || !p->peers_known)
		return ISOLATION_UNKNOWN;
	for (uint32_t k = 0; k < p->n_peers; k++) {
		const struct peer *peer = &p->peers[k];

		if (!peer->in_group || is_bridge(peer))
			continue;
		if (!peer->same_slot)
			return ISOLATION_SHARED;
		i = ISOLATION_SLOT;
	}
	return p->n_peers_left_out ? ISOLATION_SHARED : i;
}

/* Whether another function is on its bus: a reset of the bus would hit that too. */
static bool shares_bus(const struct gpu *g)
{
	size_t bus = strlen(g->pci) - strlen("00.0");

	for (uint32_t i = 0; i < g->place.n_peers; i++)
		if (strncmp(g->place.peers[i].pci, g->pci, bus) == 0)
			return true;
	return false;
}

static enum reset_quality quality_of(const char *word, size_t len, bool shared)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strlen(methods[i].name) == len && memcmp(methods[i].name, word, len) == 0)
			return shared ? methods[i].shared : methods[i].alone;
	return RESET_UNKNOWN;
}

/* The file came with 5.15, and is there for what can be reset at all. */
static bool kernel_lists_resets(const struct fact_text *kernel)
{
	char *end;
	unsigned long major = fact_text_known(kernel) ? strtoul(kernel->v, &end, 10) : 0;

	return major > 5 || (major == 5 && *end == '.' && strtoul(end + 1, NULL, 10) >= 15);
}

/* The best there is: the kernel takes the next when one fails. */
static enum reset_quality reset_of(const struct report *r, const struct gpu *g)
{
	const struct fact_text *f = &g->place.reset_methods;
	enum reset_quality best = RESET_UNKNOWN;
	bool shared = shares_bus(g);

	/* d3cold_allowed is always beside it: where that is missing, nobody looked here. */
	if (!fact_text_known(f))
		return f->why == WHY_NOT_EXPORTED && fact_known(&g->place.d3cold_allowed) &&
				       kernel_lists_resets(&r->kernel)
			       ? RESET_NONE
			       : RESET_UNKNOWN;
	if (!f->v[0])
		return RESET_NONE;
	for (const char *at = f->v; *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");
		enum reset_quality q = quality_of(at, len, shared);

		best = q > best ? q : best;
		at += len;
	}
	return best;
}

static void reason(struct passthrough *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void reason(struct passthrough *p, const char *fmt, ...)
{
	va_list ap;

	if (p->n_reasons == REASONS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(p->reasons[p->n_reasons], sizeof(p->reasons[0]), fmt, ap);
	va_end(ap);
	text_clean(p->reasons[p->n_reasons++]); /* a name may be cut inside a character */
}

static void add_function(struct text *t, const struct peer *p)
{
	text_add(t, "%s%s (%.16s)", t->len ? ", " : "", p->pci,
		 fact_text_known(&p->driver) ? p->driver.v : "driver unknown");
}

static void judge_group(const struct gpu *g, struct passthrough *p)
{
	char list[80] = "";
	uint32_t n = 0, more = p->n_peers_left_out;
	struct text t;

	if (p->isolation == ISOLATION_NO_IOMMU)
		reason(p, "no IOMMU serves it: switch VT-d or AMD-Vi on, in the firmware's setup "
			  "and the kernel");
	else if (fact_known(&g->iommu_group) && !p->peers_known)
		reason(p, "who else is in group %lld is unknown", (long long)g->iommu_group.v);
	else if (p->isolation == ISOLATION_UNKNOWN)
		reason(p, "its IOMMU group is unknown (%s)", why_name(g->iommu_group.why));
	text_init(&t, list, sizeof(list));
	for (uint32_t i = 0; i < p->n_peers; i++) {
		const struct peer *peer = &p->peers[i];

		if (!peer->in_group || peer->same_slot || is_bridge(peer) ||
		    !is_in_use(&peer->driver))
			continue;
		if (n++ < 2)
			add_function(&t, peer);
		else
			more++;
	}
	if (!n && !more)
		return;
	if (n && more)
		text_add(&t, " and %u more", more);
	else if (more)
		text_add(&t, "%u devices", more);
	reason(p, "group %lld also holds %s", (long long)g->iommu_group.v, list);
}

/*
 * A card held for a guest whose sound stayed with the host. While the host holds all of it, whoever
 * takes it takes all of it.
 */
static void judge_card(const struct gpu *g, struct passthrough *p)
{
	char list[80] = "";
	struct text t;

	text_init(&t, list, sizeof(list));
	for (uint32_t i = 0; is_kept(g) && i < p->n_peers; i++) {
		const struct peer *peer = &p->peers[i];

		if (peer->same_slot && is_in_use(&peer->driver))
			add_function(&t, peer);
	}
	if (t.len)
		reason(p, "of the same card the host uses %s", list);
}

static void judge_users(const struct gpu *g, struct passthrough *p)
{
	const struct holders *h = &g->holders;
	char list[64] = "";
	struct text t;

	if (is_kept(g))
		return;
	/* Without a driver too: the firmware's frame buffer may be what shows the console. */
	if (fact_known(&g->boot_vga) && g->boot_vga.v)
		reason(p, "it is the firmware's boot display");
	text_init(&t, list, sizeof(list));
	for (uint32_t i = 0; i < h->n_displays; i++)
		if (h->displays[i].connected && h->displays[i].enabled)
			text_add(&t, "%s%s", t.len ? ", " : "", h->displays[i].connector);
	if (t.len)
		reason(p, "it shows a picture on %s", list);
	uint32_t others = h->n_procs + h->n_left_out;

	if (others == 1)
		reason(p, "process %u (%s) uses it", h->procs[0].pid, h->procs[0].name);
	else if (others)
		reason(p, "%u processes use it, among them %u (%s)", others, h->procs[0].pid,
		       h->procs[0].name);
	if (fact_known(&g->vfs) && g->vfs.v)
		reason(p, "it has %lld virtual functions", (long long)g->vfs.v);
}

void place_decide(const struct report *r, struct gpu *g)
{
	struct passthrough *p = &g->place;

	p->n_reasons = 0;
	p->isolation = isolation_of(g);
	p->reset_quality = reset_of(r, g);
	judge_group(g, p);
	judge_card(g, p);
	if (p->reset_quality == RESET_NONE)
		reason(p, "nothing resets it: after a guest it stays as the guest left it");
	judge_users(g, p);
	p->ready = p->n_reasons == 0;
}

/* --- files ------------------------------------------------------------------------------------------ */

static bool join(char path[PATH_SIZE], const char *dir, const char *name)
{
	return (size_t)snprintf(path, PATH_SIZE, "%s/%s", dir, name) < PATH_SIZE;
}

static struct fact_text read_driver(const struct source *s, const char *dir)
{
	char path[PATH_SIZE], name[MACHINE_NAME_MAX];
	int rc = join(path, dir, "driver") ? src_link_name(s, path, name, sizeof(name)) : -EFBIG;

	if (rc)
		return fact_text_unknown(rc == -ENOENT ? WHY_NO_DRIVER : why_of(rc));
	return fact_text_of(name, SRC_SYSFS);
}

static uint32_t read_class(const struct source *s, const char *dir)
{
	char path[PATH_SIZE];
	uint64_t class;

	return join(path, dir, "class") && src_read_u64(s, path, &class) == 0 && class <= UINT32_MAX
		       ? (uint32_t) class
		       : 0;
}

static struct peer *add_peer(const struct source *s, struct passthrough *p, const char *name,
			     const char *dir)
{
	if (p->n_peers == PEERS_MAX) {
		p->n_peers_left_out++;
		return NULL;
	}
	struct peer *peer = &p->peers[p->n_peers++];

	text_copy(peer->pci, sizeof(peer->pci), name);
	text_clean(peer->pci);
	peer->class = read_class(s, dir);
	peer->driver = read_driver(s, dir);
	return peer;
}

static void read_member(const struct look *l, const char *devices, const char *name)
{
	char path[PATH_SIZE], dir[PATH_SIZE], target[PATH_SIZE];

	if (!join(path, devices, name))
		return;
	/* Whatever it is, the name must be in a capture: it is all that a group's folder holds. */
	if (src_link(l->s, path, target, sizeof(target)))
		src_exists(l->s, path);
	if (strcmp(name, l->g->pci) == 0) {
		l->g->place.peers_known = true;
		return;
	}
	src_folder(l->s, path, dir, sizeof(dir));
	struct peer *peer = add_peer(l->s, &l->g->place, name, dir);

	if (peer)
		peer->in_group = true;
}

static void read_group(const struct look *l)
{
	char group[PATH_SIZE], devices[PATH_SIZE], name[64];
	own_free char **names = NULL;
	struct passthrough *p = &l->g->place;

	if (!fact_known(&l->g->iommu_group)) {
		p->no_iommu = l->g->iommu_group.why == WHY_NOT_EXPORTED && src_exists(l->s, GROUPS);
		p->group_type = fact_text_unknown(l->g->iommu_group.why);
		return;
	}
	snprintf(group, sizeof(group), GROUPS "/%" PRId64, l->g->iommu_group.v);
	p->group_type = src_fact_text(l->s, group, "type", SRC_SYSFS);
	/* vfio's mode without an IOMMU makes groups of its own, named so (drivers/vfio/group.c). */
	p->no_iommu = src_read_in(l->s, group, "name", name, sizeof(name)) > 0 &&
		      strcmp(name, "vfio-noiommu") == 0;
	int n = join(devices, group, "devices") ? machine_list(l->s->m, devices, &names) : -EFBIG;

	for (int i = 0; i < n; i++)
		read_member(l, devices, names[i]);
}

static bool is_virtual_function(const struct source *s, const char *dir)
{
	char path[PATH_SIZE], target[PATH_SIZE];

	return join(path, dir, "physfn") && src_link(s, path, target, sizeof(target)) == 0;
}

static struct peer *peer_at(struct passthrough *p, const char *pci)
{
	for (uint32_t i = 0; i < p->n_peers; i++)
		if (strcmp(p->peers[i].pci, pci) == 0)
			return &p->peers[i];
	return NULL;
}

/* The functions beside it: its sound, its USB. Virtual functions share the slot, but are not its own. */
static void read_slot(const struct look *l)
{
	struct passthrough *p = &l->g->place;
	size_t len = strlen(l->g->pci);

	if (is_virtual_function(l->s, l->dir))
		return;
	for (char f = '0'; f <= '7'; f++) {
		char pci[24], dir[PATH_SIZE];
		struct peer *peer;

		memcpy(pci, l->g->pci, sizeof(pci));
		pci[len - 1] = f;
		if (strcmp(pci, l->g->pci) == 0)
			continue;
		sysfs_dir(l->s, pci, dir, sizeof(dir));
		if (!read_class(l->s, dir) || is_virtual_function(l->s, dir))
			continue;
		peer = peer_at(p, pci);
		if (!peer)
			peer = add_peer(l->s, p, pci, dir);
		if (peer)
			peer->same_slot = true;
	}
}

static void read_place(const struct look *l)
{
	struct passthrough *p = &l->g->place;
	char words[64];

	read_group(l);
	read_slot(l);
	long n = src_read_in(l->s, l->dir, "reset_method", words, sizeof(words));

	/* An empty file is an answer: somebody switched all of them off. */
	p->reset_methods = n < 0 ? fact_text_unknown(why_of((int)n))
				 : fact_text_of(words, SRC_SYSFS);
	p->d3cold_allowed = src_fact(l->s, l->dir, "d3cold_allowed", 0, 1, SRC_SYSFS);
}

/* --- JSON and text ---------------------------------------------------------------------------------- */

static json_t *peer_to_json(const struct peer *p)
{
	json_t *o = json_object();
	char class[16];

	snprintf(class, sizeof(class), "0x%06x", p->class);
	json_put_text(o, "pci", p->pci);
	json_put_text_or_null(o, "class", p->class ? class : "");
	json_put_fact_text(o, "driver", &p->driver);
	json_put_bool(o, "same_slot", p->same_slot);
	json_put_bool(o, "in_group", p->in_group);
	return o;
}

static void decide(struct report *r, struct gpu *g)
{
	place_decide(r, g);
}

static void put_json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	const struct passthrough *p = &g->place;
	json_t *o = json_object(), *peers = json_array(), *reasons = json_array();

	(void)r;
	for (uint32_t i = 0; i < p->n_peers; i++)
		json_array_append_new(peers, peer_to_json(&p->peers[i]));
	for (uint32_t i = 0; i < p->n_reasons; i++)
		json_array_append_new(reasons, json_string(p->reasons[i]));
	json_put_fact_text(o, "group_type", &p->group_type);
	json_put_text(o, "isolation", isolation_name(p->isolation));
	json_object_set_new(o, "peers", peers);
	json_put_int(o, "peers_left_out", p->n_peers_left_out);
	json_put_fact_text(o, "reset_methods", &p->reset_methods);
	json_put_text(o, "reset_quality", reset_quality_name(p->reset_quality));
	json_put_fact(o, "d3cold_allowed", &p->d3cold_allowed);
	json_put_bool(o, "passthrough_ready", p->ready);
	json_object_set_new(o, "passthrough_reasons", reasons);
	json_object_set_new(gpu, "place", o);
}

static void print_details(FILE *to, const struct gpu *g)
{
	const struct passthrough *p = &g->place;
	struct line l;

	line_init(&l);
	line_part(&l, "isolation %s", isolation_name(p->isolation));
	if (fact_text_known(&p->group_type))
		line_part(&l, "group type %s", p->group_type.v);
	line_part(&l, "resets %s", reset_quality_name(p->reset_quality));
	if (fact_text_known(&p->reset_methods) && p->reset_methods.v[0])
		text_add(&l.t, " (%s)", p->reset_methods.v);
	if (fact_known(&p->d3cold_allowed))
		line_part(&l, "D3cold %s", p->d3cold_allowed.v ? "allowed" : "forbidden");
	for (uint32_t i = 0; i < p->n_peers; i++) {
		const struct peer *peer = &p->peers[i];

		line_part(&l, "%s %s (%s)%s", peer->same_slot ? "beside" : "with", peer->pci,
			  fact_text_known(&peer->driver) ? peer->driver.v
							 : why_name(peer->driver.why),
			  peer->in_group ? "" : " in another group");
	}
	if (p->n_peers_left_out)
		line_part(&l, "and %u more", p->n_peers_left_out);
	line_print(to, "", l.buf);
}

static void print(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	const struct passthrough *p = &g->place;
	const struct fact *unseen = &g->holders.unseen;
	struct line l;

	(void)r;
	line_init(&l);
	if (p->ready) {
		line_part(&l, "ready");
		for (uint32_t i = 0; i < p->n_peers; i++)
			if (p->peers[i].same_slot)
				line_part(&l, "together with %s", p->peers[i].pci);
		if (p->reset_quality == RESET_UNKNOWN)
			line_part(&l, "but how it can be reset is unknown");
		if (p->reset_quality == RESET_WEAK)
			line_part(&l, "with a weak reset (%s)", p->reset_methods.v);
		if (fact_known(unseen) && unseen->v)
			line_part(&l, "but %lld processes could not be looked at",
				  (long long)unseen->v);
	} else {
		text_add(&l.t, "not ready: ");
		for (uint32_t i = 0; i < p->n_reasons; i++)
			text_add(&l.t, "%s%s", i ? "; " : "", p->reasons[i]);
	}
	line_print(to, "to a VM", l.buf);
	if (verbose)
		print_details(to, g);
}

const struct section section_place = {
	.name = "place",
	.read = read_place,
	.decide = decide,
	.json = put_json,
	.text = print,
};
