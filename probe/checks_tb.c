/* SPDX-License-Identifier: MIT */
/* Checks of Thunderbolt and USB4: authorisation, security, cables, lanes, the host router's reset. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

#define TB "sys/bus/thunderbolt/devices"

static const char *tb_file(char path[PATH_SIZE], const char *name, const char *file)
{
	snprintf(path, PATH_SIZE, TB "/%s/%s", name, file);
	return path;
}

static const struct tb_domain *domain_of(const struct exam *x, const struct tb_router *t)
{
	const struct usb4 *u = &x->r->usb4;

	return t->domain >= 0 && (uint32_t)t->domain < u->n_domains ? &u->domains[t->domain] : NULL;
}

static bool is_text(const struct fact_text *f, const char *text)
{
	return fact_text_known(f) && strcmp(f->v, text) == 0;
}

/* --- authorisation and security --- */

static bool forbids_pcie(const struct tb_domain *d)
{
	return is_text(&d->security, "dponly") || is_text(&d->security, "usbonly") ||
	       is_text(&d->security, "nopcie");
}

static bool refused(const struct tb_router *t)
{
	return !t->host && fact_known(&t->authorized) && t->authorized.v == 0;
}

static void report_router(const struct exam *x, const struct tb_router *t, const char *file,
			  const char *value)
{
	char path[PATH_SIZE];
	struct finding *f = found(x, t->name, tb_file(path, t->name, file), value, NULL);

	if (fact_text_known(&t->device_name))
		finding_detail(f, "It calls itself %s %s.",
			       fact_text_known(&t->vendor_name) ? t->vendor_name.v : "",
			       t->device_name.v);
}

static void not_authorised(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->usb4.n_routers; i++) {
		const struct tb_router *t = &x->r->usb4.routers[i];
		const struct tb_domain *d = domain_of(x, t);

		/* The level that asks for a key, and those that forbid PCIe, are other checks. */
		if (refused(t) && !(d && (forbids_pcie(d) || is_text(&d->security, "secure"))))
			report_router(x, t, "authorized", "0");
	}
}

static void key_needed(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->usb4.n_routers; i++) {
		const struct tb_router *t = &x->r->usb4.routers[i];
		const struct tb_domain *d = domain_of(x, t);

		if (refused(t) && d && is_text(&d->security, "secure"))
			report_router(x, t, "authorized", "0");
	}
}

static void security_level(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->usb4.n_domains; i++) {
		const struct tb_domain *d = &x->r->usb4.domains[i];
		char path[PATH_SIZE];

		if (forbids_pcie(d))
			found(x, d->name, tb_file(path, d->name, "security"), d->security.v, NULL);
	}
}

/* Without the IOMMU's protection, whatever is plugged in reads all memory, if it is let in unasked. */
static void no_dma_protection(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->usb4.n_domains; i++) {
		const struct tb_domain *d = &x->r->usb4.domains[i];
		bool open = is_text(&d->security, "none") || is_text(&d->security, "user");
		char path[PATH_SIZE];

		if (open && fact_known(&d->iommu_dma_protection) && !d->iommu_dma_protection.v)
			found(x, d->name, tb_file(path, d->name, "iommu_dma_protection"), "0",
			      NULL);
	}
}

/* ATTR{authorized}="1": let in unasked, whatever it is. */
static void auto_authorise(const struct exam *x)
{
	const struct ev_file *f;

	for (uint32_t i = 0; (f = ev_next(x->ev, "*/udev/rules.d/*.rules", &i)) ||
			     (f = ev_next(x->ev, "usr/lib/udev/rules.d/*.rules", &i));) {
		const char *at = strstr(f->value, "ATTR{authorized}=\"1\"");

		if (!at || strncmp(f->path, "usr/lib", 7) == 0)
			continue;
		size_t line = (size_t)(at - f->value);

		while (line && f->value[line - 1] != '\n')
			line--;
		char value[256];

		snprintf(value, sizeof(value), "%.*s", (int)strcspn(f->value + line, "\n"),
			 f->value + line);
		found(x, "", f->path, value, f->path);
	}
}

/* --- cable and lanes --- */

static bool any_box(const struct usb4 *u)
{
	for (uint32_t i = 0; i < u->n_routers; i++)
		if (!u->routers[i].host)
			return true;
	return false;
}

/* USB class 11h is the billboard: what a box shows when no alternate mode could be agreed on. */
static void only_usb(const struct exam *x)
{
	static const char *const patterns[] = { "sys/bus/usb/devices/*/bDeviceClass",
						"sys/bus/usb/devices/*/bInterfaceClass" };

	if (!x->r->usb4.n_domains || any_box(&x->r->usb4))
		return;
	for (size_t p = 0; p < ARRAY_LEN(patterns); p++) {
		const struct ev_file *f;

		for (uint32_t i = 0; (f = ev_next(x->ev, patterns[p], &i));)
			if (strcmp(f->value, "11") == 0) {
				found(x, "", f->path, f->value, NULL);
				return;
			}
	}
}

static void half_rate(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->usb4.n_routers; i++) {
		const struct tb_router *t = &x->r->usb4.routers[i];
		bool known = fact_known(&t->rx_lane_mbps) && fact_known(&t->rx_lanes);
		char path[PATH_SIZE], value[80];

		if (t->host || !known || t->asymmetric || !fact_known(&t->generation) ||
		    t->generation.v < 3)
			continue;
		if (t->rx_lane_mbps.v >= 20000 && t->rx_lanes.v >= 2)
			continue;
		snprintf(value, sizeof(value), "%lld Mb/s a lane, %lld lanes",
			 (long long)t->rx_lane_mbps.v, (long long)t->rx_lanes.v);
		struct finding *f = found(x, t->name, tb_file(path, t->name, "rx_speed"), value,
					  NULL);

		finding_detail(f, "It runs at %lld Gb/s; a good cable gives 40.",
			       (long long)(t->rx_lane_mbps.v * t->rx_lanes.v / 1000));
	}
}

static void asymmetric(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->usb4.n_routers; i++) {
		const struct tb_router *t = &x->r->usb4.routers[i];
		char path[PATH_SIZE], value[80];

		if (t->host || !t->asymmetric || !fact_known(&t->rx_lanes) ||
		    !fact_known(&t->tx_lanes))
			continue;
		snprintf(value, sizeof(value), "%lld lanes in, %lld lanes out",
			 (long long)t->rx_lanes.v, (long long)t->tx_lanes.v);
		found(x, t->name, tb_file(path, t->name, "tx_lanes"), value, NULL);
	}
}

static void nvm(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->usb4.n_routers; i++) {
		const struct tb_router *t = &x->r->usb4.routers[i];
		char path[PATH_SIZE], value[32];

		if (t->safe_mode) {
			found(x, t->name, tb_file(path, t->name, "nvm_version"), "(no data)", NULL);
			continue;
		}
		if (!fact_known(&t->nvm_authenticate) || !t->nvm_authenticate.v)
			continue;
		snprintf(value, sizeof(value), "0x%llx", (long long)t->nvm_authenticate.v);
		found(x, t->name, tb_file(path, t->name, "nvm_authenticate"), value, NULL);
	}
}

/* --- the host router's reset --- */

/* K: from 7.2 on ports come up only with the reset; before it a cold start is what helps. */
static void port_down(const struct exam *x)
{
	uint32_t first = x->out->n;

	test_log(x, NULL);
	const char *reset = ev_value(x->ev, "sys/module/thunderbolt/parameters/host_reset");
	bool off = (reset && strchr("0Nn", reset[0])) ||
		   ev_cmdline(x->ev, "thunderbolt.host_reset=0");

	for (uint32_t i = first; i < x->out->n; i++)
		if (off && kver_at_least(x->ev->kernel, "7.2"))
			finding_remedy(&x->out->list[i], REMEDY_REBOOT,
				       "Take thunderbolt.host_reset=0 off the kernel command line: "
				       "from Linux 7.2 on the ports need the reset to come up.",
				       "Put it back.", ADVICE_HOST_RESET_ON);
}

/* A card is there, is gone and is there again, all within the first minute: the reset took its tunnel. */
static void tunnel_reset(const struct exam *x)
{
	const struct kmsg *k = &x->ev->log;

	for (uint32_t g = 0; g < x->r->n_gpus; g++) {
		const struct gpu *gpu = &x->r->gpus[g];
		const struct kline *again = NULL;
		int times = 0;

		for (uint32_t i = 0; i < k->n; i++) {
			const char *t = k->lines[i].text;

			if (strncmp(t, "pci ", 4) != 0 ||
			    strncmp(t + 4, gpu->pci, strlen(gpu->pci)) != 0 ||
			    !strstr(t, "] type 0"))
				continue;
			times++;
			if (times == 2 && k->lines[i].timed && k->lines[i].usec < 60000000)
				again = &k->lines[i];
		}
		if (again && gpu_is_external(gpu))
			found_line(x, gpu->pci, again)->times = (uint32_t)times;
	}
}

static void unit_order(const struct exam *x)
{
	const struct ev_file *f;

	if (!kver_at_least(x->ev->kernel, "7.2"))
		return;
	for (uint32_t i = 0; (f = ev_next(x->ev, "etc/systemd/system/*.service", &i));) {
		const char *at = strstr(f->value, "Before=");
		const char *name = strrchr(f->path, '/') + 1;

		if (at && strstr(at, "bolt.service") && strcmp(name, "bolt.service"))
			found(x, "", f->path, f->value, name);
	}
}

/* Two departures in one boot are no user's doing when nobody says the cable was pulled: a hint only. */
static void lane_sleep(const struct exam *x)
{
	const char *clx = ev_value(x->ev, "sys/module/thunderbolt/parameters/clx");
	const struct kmsg *k = &x->ev->log;
	const struct kline *last = NULL;
	uint32_t n = 0;

	if (!clx || !strchr("Yy1", clx[0]))
		return;
	for (uint32_t i = 0; i < k->n; i++)
		if (strncmp(k->lines[i].text, "thunderbolt ", 12) == 0 &&
		    strstr(k->lines[i].text, "device disconnected")) {
			last = &k->lines[i];
			n++;
		}
	if (n >= 2)
		found_line(x, "", last)->times = n;
}

static void bandwidth_then_xid(const struct exam *x)
{
	const struct kmsg *k = &x->ev->log;
	int at = kmsg_find(k, 0, "failed to release unused bandwidth");

	for (uint32_t i = at < 0 ? k->n : (uint32_t)at; i < k->n; i++) {
		const char *xid = strstr(k->lines[i].text, "Xid (");
		char pci[24];

		if (!xid || !strstr(xid, "): 79"))
			continue;
		kline_pci(xid, pci);
		found_line(x, pci, &k->lines[at]);
		return;
	}
}

/* clang-format off */
const struct doctor_check checks_tb[] = {
	{ 1, "tb-not-authorised", SEV_ERROR, CONF_CERTAIN,
	  "A box is plugged in but not authorised, so what is in it is not on the PCI bus",
	  TB "/*/authorized = 0", { NULL }, not_authorised, REMEDY_COMMAND,
	  "berth device authorise {dev}, for this time only; with --enrol boltd lets it in from now on.",
	  "berth device undo; or unplug it.", 0, "TBR", NULL },
	{ 2, "tb-security-forbids-pcie", SEV_ERROR, CONF_CERTAIN,
	  "The firmware's security level allows no PCIe through Thunderbolt",
	  TB "/domain*/security = dponly, usbonly or nopcie", { NULL }, security_level, REMEDY_FIRMWARE,
	  "In the firmware's setup set Thunderbolt security to 'user authorisation'; nothing in Linux can.",
	  "Set it back.", 0, "TBR", NULL },
	{ 3, "tb-key-needed", SEV_ERROR, CONF_LIKELY,
	  "The security level asks for a key, and this box has none or another one",
	  TB "/domain*/security = secure with a router's authorized = 0", { NULL }, key_needed, REMEDY_COMMAND,
	  "If you trust it: boltctl forget with the UUID that boltctl list shows, then berth device authorise {dev} --enrol: "
	  "that makes a new key.",
	  "berth device undo", 0, "TBA", NULL },
	{ 4, "tb-no-dma-protection", SEV_WARNING, CONF_CERTAIN,
	  "What is plugged into Thunderbolt may read and write all memory",
	  TB "/domain*/iommu_dma_protection = 0 with security none or user", { NULL }, no_dma_protection,
	  REMEDY_FIRMWARE,
	  "Turn on the IOMMU (VT-d, AMD-Vi) and 'Kernel DMA protection' in the firmware's setup.", "Turn it off.",
	  ADVICE_IOMMU_ON, "TBR", NULL },
	{ 4, "tb-auto-authorise", SEV_WARNING, CONF_CERTAIN,
	  "A rule lets in whatever is plugged into Thunderbolt, unasked",
	  "etc/udev/rules.d/*.rules: ATTR{authorized}=\"1\"", { NULL }, auto_authorise, REMEDY_COMMAND,
	  "Let boltd ask instead: mv /{arg} /{arg}.off && udevadm control --reload", "mv /{arg}.off /{arg}", 0,
	  "gswitch", NULL },
	{ 5, "tb-only-usb", SEV_ERROR, CONF_LIKELY,
	  "A box shows up as USB only: no Thunderbolt link was agreed on",
	  "sys/bus/usb/devices/*/bDeviceClass = 11 (billboard) and no router besides the host", { NULL }, only_usb,
	  REMEDY_CABLE,
	  "Use a Thunderbolt or USB4 cable (many USB-C cables are not) and a port with the lightning sign; when it "
	  "is one, take all power off the box for a minute.", "", 0, "K", NULL },
	{ 6, "tb-link-down", SEV_ERROR, CONF_CERTAIN, "A Thunderbolt port did not come up",
	  "kernel log: failed to reach state TB_PORT_UP", { "failed to reach state TB_PORT_UP" }, port_down,
	  REMEDY_POWER_CYCLE,
	  "Shut down, take power off machine and box for ten seconds, power the box, then the machine.", "", 0, "K",
	  NULL },
	{ 7, "tb-half-rate", SEV_WARNING, CONF_CERTAIN, "The cable runs at half its rate or less",
	  TB "/*/rx_speed and rx_lanes below 20 Gb/s x 2", { NULL }, half_rate, REMEDY_CABLE,
	  "Use a cable marked 40 (or 80) that is at most 0.8 m long or active, and another port if it stays.", "", 0,
	  "A", NULL },
	{ 8, "tb-asymmetric", SEV_NOTE, CONF_CERTAIN,
	  "The link gave lanes of one direction to a display, so PCIe has fewer",
	  TB "/*/rx_lanes and tx_lanes differ", { NULL }, asymmetric, REMEDY_CABLE,
	  "Take the fastest display off this box, or lower its resolution: only displays over 45 Gb/s cause it.", "", 0,
	  "kernel 3e36528c", NULL },
	{ 9, "tb-firmware", SEV_ERROR, CONF_CERTAIN, "The firmware of a Thunderbolt controller does not run, or its update failed",
	  TB "/*/nvm_version unreadable (ENODATA), nvm_authenticate not 0", { NULL }, nvm, REMEDY_FIRMWARE,
	  "fwupdmgr refresh && fwupdmgr update, with the box attached.", "", 0, "TBR", NULL },
	{ 10, "tb-connection-manager", SEV_NOTE, CONF_CERTAIN,
	  "Who builds the tunnels, which decides which options can work",
	  "kernel log: using software (or firmware) connection manager",
	  { "using software connection manager", "using firmware connection manager" }, NULL, REMEDY_NONE, "", "", 0,
	  "R", NULL },
	{ 11, "tb-tunnel-reset", SEV_NOTE, CONF_LIKELY,
	  "The card was found, lost and found again at boot: the reset of the host router took firmware's tunnel",
	  "kernel log: the card's line 'type 00 class' twice within the first minute", { NULL }, tunnel_reset,
	  REMEDY_NONE, "Only when its BARs are too small: see bar-small and bar-unassigned.", "", 0, "R", NULL },
	{ 12, "tb-unit-order", SEV_WARNING, CONF_LIKELY,
	  "A service waits for the card before boltd may let it in",
	  "etc/systemd/system/*.service: Before=bolt.service, on Linux 7.2 and newer", { NULL }, unit_order,
	  REMEDY_COMMAND,
	  "systemctl edit --full {arg}: After=bolt.service in place of Before=, and TimeoutStartSec=12",
	  "systemctl edit --full {arg}, and put it back", 0, "K", NULL },
	{ 13, "tb-lane-sleep", SEV_WARNING, CONF_POSSIBLE, "The box leaves again and again; its lanes may sleep too deep",
	  "sys/module/thunderbolt/parameters/clx = Y and twice 'device disconnected' in the kernel log", { NULL },
	  lane_sleep, REMEDY_REBOOT, "Boot with thunderbolt.clx=0. It steadies the link; BARs do not change.",
	  "Boot without it.", 0, "A, R", NULL },
	{ 14, "tb-bandwidth-then-lost", SEV_ERROR, CONF_LIKELY,
	  "A second dock took the card off the bus",
	  "kernel log: failed to release unused bandwidth, then Xid 79", { NULL }, bandwidth_then_xid, REMEDY_POWER_CYCLE,
	  "Attach docks and card before power on; see no-bus-numbers when that is found too.", "", 0, "K", NULL },
	{ 0 },
};
/* clang-format on */
