/* SPDX-License-Identifier: MIT */
/*
 * Thunderbolt and USB4 domains and routers, from sys/bus/thunderbolt/devices.
 *
 * None of the files read here resumes a sleeping controller: their show functions in the kernel's
 * drivers/thunderbolt (domain.c, switch.c of Linux 5.4 to 7.2) print what the driver has in memory. That
 * matters, because a box that nobody authorised leaves its controller asleep. boot_acl and the contents
 * of the firmware do resume it, so they are not read; nvm_version spins while the domain is busy, so it
 * is read only when the controller is awake. unique_id and key name one person's box: never read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/lines_priv.h"
#include "probe/section.h"
#include "probe/usb4_priv.h"

#define BUS "sys/bus/thunderbolt/devices"

/* clang-format off */
static const struct field domain_fields[] = {
	FIELD(struct tb_domain, name, FIELD_TEXT, UNIT_NONE, "name"),
	FIELD(struct tb_domain, nhi, FIELD_TEXT, UNIT_NONE, "host controller"),
	FIELD(struct tb_domain, security, FIELD_FACT_TEXT, UNIT_NONE, "security"),
	FIELD(struct tb_domain, iommu_dma_protection, FIELD_FACT, UNIT_NONE, "IOMMU protection"),
	FIELD(struct tb_domain, deauthorization, FIELD_FACT, UNIT_NONE, "deauthorization"),
};

static const struct field router_fields[] = {
	FIELD(struct tb_router, name, FIELD_TEXT, UNIT_NONE, "name"),
	FIELD(struct tb_router, parent, FIELD_TEXT, UNIT_NONE, "parent"),
	FIELD(struct tb_router, host, FIELD_BOOL, UNIT_NONE, "host"),
	FIELD(struct tb_router, authorized, FIELD_FACT, UNIT_NONE, "authorised"),
	FIELD(struct tb_router, vendor_name, FIELD_FACT_TEXT, UNIT_NONE, "vendor"),
	FIELD(struct tb_router, device_name, FIELD_FACT_TEXT, UNIT_NONE, "device"),
	FIELD(struct tb_router, generation, FIELD_FACT, UNIT_NONE, "generation"),
	FIELD(struct tb_router, rx_lane_mbps, FIELD_FACT, UNIT_NONE, "lane in"),
	FIELD(struct tb_router, rx_lanes, FIELD_FACT, UNIT_NONE, "lanes in"),
	FIELD(struct tb_router, tx_lane_mbps, FIELD_FACT, UNIT_NONE, "lane out"),
	FIELD(struct tb_router, tx_lanes, FIELD_FACT, UNIT_NONE, "lanes out"),
	FIELD(struct tb_router, asymmetric, FIELD_BOOL, UNIT_NONE, "asymmetric"),
	FIELD(struct tb_router, nvm_version, FIELD_FACT_TEXT, UNIT_NONE, "firmware"),
	FIELD(struct tb_router, nvm_authenticate, FIELD_FACT, UNIT_NONE, "firmware update"),
	FIELD(struct tb_router, safe_mode, FIELD_BOOL, UNIT_NONE, "safe mode"),
};
/* clang-format on */

bool tb_route_parse(const char *name, unsigned *domain, uint64_t *route)
{
	size_t digits = strspn(name, "0123456789");
	size_t hex = name[digits] == '-' ? strspn(name + digits + 1, "0123456789abcdef") : 0;

	if (!digits || digits > 6 || !hex || hex > 16 || name[digits + 1 + hex])
		return false;
	*domain = (unsigned)strtoul(name, NULL, 10);
	*route = strtoull(name + digits + 1, NULL, 16);
	return true;
}

unsigned tb_route_depth(uint64_t route)
{
	unsigned depth = 0;

	for (; route; route >>= 8)
		depth++;
	return depth;
}

struct fact tb_speed_parse(const char *text)
{
	size_t whole = strspn(text, "0123456789"), part = 0;
	int64_t mbps = 0, scale = 100;

	for (size_t i = 0; i < whole && mbps < INT32_MAX; i++)
		mbps = mbps * 10 + (text[i] - '0') * 1000;
	if (text[whole] == '.')
		part = 1 + strspn(text + whole + 1, "0123456789");
	for (size_t i = 1; i < part; i++, scale /= 10)
		mbps += (text[whole + i] - '0') * scale;
	/* No lane is a thousand times today's; 0 is what the kernel writes of a link it does not know. */
	if (!whole || strcmp(text + whole + part, " Gb/s") || !mbps || mbps > 1000000)
		return fact_unknown(WHY_GARBLED);
	return fact_of(mbps, SRC_SYSFS);
}

/* The k-th part of a path from its end, 0 the last; false when there are not so many, or it is long. */
static bool part_from_end(const char *dir, unsigned k, char *part, size_t size)
{
	const char *end = dir + strlen(dir), *start;

	for (;; end = start - 1) {
		start = end;
		while (start > dir && start[-1] != '/')
			start--;
		if (k-- == 0)
			break;
		if (start == dir)
			return false;
	}
	return (size_t)snprintf(part, size, "%.*s", (int)(end - start), start) < size;
}

/* The k-th part when it is a PCI address, else empty. */
static void address_from_end(const char *dir, unsigned k, char pci[24])
{
	if (!part_from_end(dir, k, pci, 24) || !addr_ok(pci))
		pci[0] = '\0';
}

static bool is_bridge(const struct source *s, const char *pci)
{
	char dir[PATH_SIZE], path[PATH_SIZE];
	uint64_t class;

	sysfs_dir(s, pci, dir, sizeof(dir));
	return (size_t)snprintf(path, sizeof(path), "%s/class", dir) < sizeof(path) &&
	       src_read_u64(s, path, &class) == 0 && class >> 8 == 0x0604;
}

/*
 * The kernel links each port that the firmware says belongs to a host controller to that controller
 * (tb_acpi_add_links). The controller's folder names them; its USB controllers among them are no ports.
 */
static void read_ports(const struct source *s, struct tb_domain *d)
{
	char dir[PATH_SIZE], link[PATH_SIZE], target[PATH_SIZE];
	static const char prefix[] = "consumer:pci:";
	own_free char **names = NULL;

	if (!d->nhi[0])
		return;
	sysfs_dir(s, d->nhi, dir, sizeof(dir));
	int n = machine_list(s->m, dir, &names);

	for (int i = 0; i < n && d->n_ports < TB_PORTS_MAX; i++) {
		const char *pci = names[i] + strlen(prefix);

		if (strncmp(names[i], prefix, strlen(prefix)) != 0 || !addr_ok(pci) ||
		    (size_t)snprintf(link, sizeof(link), "%s/%s", dir, names[i]) >= sizeof(link) ||
		    src_link(s, link, target, sizeof(target)) || !is_bridge(s, pci))
			continue;
		text_copy(d->ports[d->n_ports++], sizeof(d->ports[0]), pci);
	}
}

static void read_domain(const struct source *s, const char *name, struct tb_domain *d)
{
	char link[PATH_SIZE], dir[PATH_SIZE];

	snprintf(link, sizeof(link), BUS "/%s", name);
	src_folder(s, link, dir, sizeof(dir));
	text_copy(d->name, sizeof(d->name), name);
	address_from_end(dir, 1, d->nhi);
	address_from_end(dir, 3, d->above);
	d->security = src_fact_text(s, dir, "security", SRC_SYSFS);
	d->iommu_dma_protection = src_fact(s, dir, "iommu_dma_protection", 0, 1, SRC_SYSFS);
	d->deauthorization = src_fact(s, dir, "deauthorization", 0, 1, SRC_SYSFS);
	read_ports(s, d);
}

static struct fact read_speed(const struct source *s, const char *dir, const char *name)
{
	char buf[64];
	long n = src_read_in(s, dir, name, buf, sizeof(buf));

	return n < 0 ? fact_unknown(why_of((int)n)) : tb_speed_parse(buf);
}

static void read_link(const struct source *s, const char *dir, struct tb_router *t)
{
	t->rx_lane_mbps = read_speed(s, dir, "rx_speed");
	t->tx_lane_mbps = read_speed(s, dir, "tx_speed");
	t->rx_lanes = src_fact(s, dir, "rx_lanes", 1, 16, SRC_SYSFS);
	t->tx_lanes = src_fact(s, dir, "tx_lanes", 1, 16, SRC_SYSFS);
	t->asymmetric = fact_known(&t->rx_lanes) && fact_known(&t->tx_lanes) &&
			t->rx_lanes.v != t->tx_lanes.v;
}

static bool nhi_awake(const struct source *s, const struct tb_domain *d)
{
	char dir[PATH_SIZE], status[64];

	if (!d || !d->nhi[0])
		return false;
	sysfs_dir(s, d->nhi, dir, sizeof(dir));
	return src_read_in(s, dir, "power/runtime_status", status, sizeof(status)) > 0 &&
	       parse_runtime_status(status) == AWAKE_YES;
}

static void read_firmware(const struct source *s, const char *dir, const struct tb_domain *d,
			  struct tb_router *t)
{
	char version[64];

	t->nvm_authenticate = src_fact(s, dir, "nvm_authenticate", 0, UINT32_MAX, SRC_SYSFS);
	t->nvm_version = fact_text_unknown(WHY_ASLEEP);
	if (!nhi_awake(s, d))
		return;
	long n = src_read_in(s, dir, "nvm_version", version, sizeof(version));

	t->safe_mode = n == -ENODATA;
	if (n > 0)
		t->nvm_version = fact_text_of(version, SRC_SYSFS);
	else
		t->nvm_version = fact_text_unknown(n ? why_of((int)n) : WHY_NOT_EXPORTED);
}

/* The router it is plugged into: the folder it lies in; by the route where that is not known. */
static void read_parent(const char *dir, unsigned domain, uint64_t route, struct tb_router *t)
{
	uint64_t up = route, other;
	unsigned number;

	if (t->host || (part_from_end(dir, 1, t->parent, sizeof(t->parent)) &&
			tb_route_parse(t->parent, &number, &other)))
		return;
	for (unsigned shift = 56; up == route; shift -= 8)
		up &= ~(UINT64_C(0xff) << shift);
	snprintf(t->parent, sizeof(t->parent), "%u-%" PRIx64, domain, up);
}

static int domain_index(const struct usb4 *u, unsigned number)
{
	char name[24];

	snprintf(name, sizeof(name), "domain%u", number);
	for (uint32_t i = 0; i < u->n_domains; i++)
		if (strcmp(u->domains[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* Another computer at the other end of the cable has a name like a router's, and says so here. */
static bool is_other_host(const struct source *s, const char *dir)
{
	char uevent[512];

	return src_read_in(s, dir, "uevent", uevent, sizeof(uevent)) > 0 &&
	       strstr(uevent, "DEVTYPE=thunderbolt_xdomain");
}

static bool read_router(const struct source *s, const struct usb4 *u, const char *name,
			struct tb_router *t)
{
	char link[PATH_SIZE], dir[PATH_SIZE];
	unsigned number = 0;
	uint64_t route = 0;

	tb_route_parse(name, &number, &route);
	snprintf(link, sizeof(link), BUS "/%s", name);
	src_folder(s, link, dir, sizeof(dir));
	if (is_other_host(s, dir))
		return false;
	text_copy(t->name, sizeof(t->name), name);
	t->host = route == 0;
	t->domain = domain_index(u, number);
	read_parent(dir, number, route, t);
	t->authorized = src_fact(s, dir, "authorized", 0, 2, SRC_SYSFS);
	t->vendor_name = src_fact_text(s, dir, "vendor_name", SRC_SYSFS);
	t->device_name = src_fact_text(s, dir, "device_name", SRC_SYSFS);
	t->generation = src_fact(s, dir, "generation", 1, 15, SRC_SYSFS);
	read_link(s, dir, t);
	read_firmware(s, dir, t->domain < 0 ? NULL : &u->domains[t->domain], t);
	return true;
}

static bool is_domain(const char *name)
{
	return strncmp(name, "domain", 6) == 0 && name[6] && strlen(name) < 14 &&
	       !name[6 + strspn(name + 6, "0123456789")];
}

static void read_all(const struct source *s, struct report *r)
{
	own_free char **names = NULL;
	struct usb4 *u = &r->usb4;
	uint64_t route;
	unsigned number;

	if (!src_exists(s, BUS)) {
		u->why = WHY_NOT_EXPORTED;
		return;
	}
	int n = machine_list(s->m, BUS, &names);

	if (n < 0)
		u->why = why_of(n);
	for (int i = 0; i < n; i++) {
		if (!is_domain(names[i]))
			continue;
		if (u->n_domains == TB_DOMAINS_MAX)
			u->n_left_out++;
		else
			read_domain(s, names[i], &u->domains[u->n_domains++]);
	}
	for (int i = 0; i < n; i++) {
		if (!tb_route_parse(names[i], &number, &route))
			continue;
		if (u->n_routers == TB_ROUTERS_MAX)
			u->n_left_out++;
		else
			u->n_routers += read_router(s, u, names[i], &u->routers[u->n_routers]);
	}
}

static json_t *domain_to_json(const struct tb_domain *d)
{
	json_t *o = json_object(), *ports = json_array();

	fields_to_json(o, domain_fields, ARRAY_LEN(domain_fields), d);
	for (uint32_t i = 0; i < d->n_ports; i++)
		json_array_append_new(ports, json_string(d->ports[i]));
	json_object_set_new(o, "ports", ports);
	return o;
}

static void put_json(json_t *report, const struct report *r)
{
	json_t *o = json_object(), *domains = json_array(), *routers = json_array();
	const struct usb4 *u = &r->usb4;

	for (uint32_t i = 0; i < u->n_domains; i++)
		json_array_append_new(domains, domain_to_json(&u->domains[i]));
	for (uint32_t i = 0; i < u->n_routers; i++) {
		const struct tb_router *t = &u->routers[i];
		json_t *one = json_object();

		fields_to_json(one, router_fields, ARRAY_LEN(router_fields), t);
		json_put_text_or_null(one, "domain",
				      t->domain < 0 ? "" : u->domains[t->domain].name);
		json_array_append_new(routers, one);
	}
	json_put_text_or_null(o, "why", u->why ? why_name(u->why) : "");
	json_object_set_new(o, "domains", domains);
	json_object_set_new(o, "routers", routers);
	json_put_int(o, "left_out", u->n_left_out);
	json_object_set_new(report, "usb4", o);
}

/* Levels at which no PCIe passes the cable (kernel: Documentation/admin-guide/thunderbolt.rst). */
static bool forbids_pcie(const struct tb_domain *d)
{
	static const char *const levels[] = { "dponly", "usbonly", "nopcie" };

	for (size_t i = 0; fact_text_known(&d->security) && i < ARRAY_LEN(levels); i++)
		if (strcmp(d->security.v, levels[i]) == 0)
			return true;
	return false;
}

static void print_domain(FILE *to, const struct tb_domain *d)
{
	struct line l;

	fprintf(to, "Thunderbolt/USB4 %s%s%s\n", d->name, d->nhi[0] ? " at " : "", d->nhi);
	line_init(&l);
	if (fact_text_known(&d->security))
		line_part(&l, "%s", d->security.v);
	else
		line_part(&l, "unknown (%s)", why_name(d->security.why));
	if (forbids_pcie(d))
		text_add(&l.t, ": the firmware's setup forbids PCIe over the cable");
	if (fact_known(&d->iommu_dma_protection))
		line_part(&l, "%s",
			  d->iommu_dma_protection.v
				  ? "the IOMMU guards memory from what is plugged in"
				  : "no IOMMU guards memory from what is plugged in");
	line_print(to, "security", l.buf);
}

/* "2 lanes of 20.0 Gb/s", of one direction. */
static void add_way(struct text *t, const struct fact *lanes, const struct fact *mbps)
{
	text_add(t, "%lld %s of %lld.%lld Gb/s", (long long)lanes->v,
		 lanes->v == 1 ? "lane" : "lanes", (long long)(mbps->v / 1000),
		 (long long)(mbps->v / 100 % 10));
}

static void add_speed(struct line *l, const struct tb_router *t)
{
	char rx[64], tx[64];
	struct text to_rx, to_tx;

	if (!fact_known(&t->rx_lane_mbps) || !fact_known(&t->rx_lanes) ||
	    !fact_known(&t->tx_lane_mbps) || !fact_known(&t->tx_lanes))
		return;
	text_init(&to_rx, rx, sizeof(rx));
	text_init(&to_tx, tx, sizeof(tx));
	add_way(&to_rx, &t->rx_lanes, &t->rx_lane_mbps);
	add_way(&to_tx, &t->tx_lanes, &t->tx_lane_mbps);
	if (strcmp(rx, tx) == 0)
		line_part(l, "%s each way", rx);
	else
		line_part(l, "%s to it, %s from it (asymmetric: a display took lanes)", rx, tx);
}

static void print_router(FILE *to, const struct tb_router *t, bool verbose)
{
	static const char *const words[] = { "NOT AUTHORISED: no PCIe reaches it", "authorised",
					     "authorised by key" };
	struct line l;

	line_init(&l);
	if (fact_text_known(&t->vendor_name) && fact_text_known(&t->device_name))
		line_part(&l, "%s %s", t->vendor_name.v, t->device_name.v);
	else if (fact_text_known(&t->device_name))
		line_part(&l, "%s", t->device_name.v);
	else
		line_part(&l, "%s", t->host ? "the host" : "a router without a name");
	if (!t->host && fact_known(&t->authorized))
		line_part(&l, "%s", words[t->authorized.v]);
	if (t->safe_mode)
		line_part(&l, "IN SAFE MODE: its firmware must be flashed");
	add_speed(&l, t);
	if (verbose && fact_known(&t->generation))
		line_part(&l, "generation %lld", (long long)t->generation.v);
	if (verbose && fact_text_known(&t->nvm_version))
		line_part(&l, "firmware %s", t->nvm_version.v);
	if (verbose && fact_known(&t->nvm_authenticate) && t->nvm_authenticate.v)
		line_part(&l, "last firmware update failed (%#llx)",
			  (unsigned long long)t->nvm_authenticate.v);
	line_print(to, t->name, l.buf);
}

static void print_all(FILE *to, const struct report *r, bool verbose)
{
	const struct usb4 *u = &r->usb4;

	for (uint32_t i = 0; i < u->n_domains; i++) {
		print_domain(to, &u->domains[i]);
		for (uint32_t j = 0; j < u->n_routers; j++)
			if (u->routers[j].domain == (int)i && (verbose || !u->routers[j].host))
				print_router(to, &u->routers[j], verbose);
		fputc('\n', to);
	}
	if (u->n_left_out)
		fprintf(to, "%u more Thunderbolt domains and routers are not shown.\n\n",
			u->n_left_out);
}

const struct section section_usb4 = {
	.name = "usb4",
	.read_report = read_all,
	.json_report = put_json,
	.text_report = print_all,
};
