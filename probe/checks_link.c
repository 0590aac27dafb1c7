/* SPDX-License-Identifier: MIT */
/* Checks of links: what is only virtual, what is unstable, errors counted, options that hide them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/config.h"
#include "probe/doctor_priv.h"

/* Correctable errors below this come with any warm cable; A's unstable link had thousands. */
#define CORRECTABLE_MANY 100

/* --- speeds that are not true --- */

static void virtual_speed(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		for (uint32_t k = 0; k < g->link.n_hops; k++) {
			const struct hop *h = &g->link.hops[k];
			char path[PATH_SIZE], value[64];

			if (h->kind != HOP_TUNNEL || !fact_known(&h->speed_mts) ||
			    h->speed_mts.v > 2500)
				continue;
			snprintf(value, sizeof(value), "2.5 GT/s x%lld",
				 fact_known(&h->width) ? (long long)h->width.v : 0);
			found(x, g->pci, function_file(path, h->pci, "current_link_speed"), value,
			      NULL);
			break;
		}
	}
}

/* --- errors counted --- */

/* The line "TOTAL_ERR_COR 12" of aer_dev_correctable; 0 when there is none. */
static uint64_t total_of(const char *text, const char *word)
{
	const char *at = text ? strstr(text, word) : NULL;

	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

/* Of the functions of a GPU's way, the one with the most errors. */
static const struct ev_function *most_errors(const struct exam *x, int gpu, const char *file,
					     const char *word, uint64_t *n)
{
	const struct ev_function *worst = NULL;

	*n = 0;
	for (uint32_t i = 0; i < x->ev->n_functions; i++) {
		const struct ev_function *f = &x->ev->functions[i];
		uint64_t errors = total_of(ev_function_value(x->ev, f, file), word);

		if (f->gpu == gpu && ev_on_the_way(f) && errors > *n) {
			*n = errors;
			worst = f;
		}
	}
	return worst;
}

static const struct kline *lockdown(const struct exam *x, const char *pci)
{
	char at[24];

	for (uint32_t i = 0; i < x->ev->log.n; i++)
		if (strstr(x->ev->log.lines[i].text, x->c->log[0]) &&
		    (!kline_pci(x->ev->log.lines[i].text, at) || strcmp(at, pci) == 0))
			return &x->ev->log.lines[i];
	return NULL;
}

static void unstable(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		const struct kline *l = lockdown(x, g->pci);
		char path[PATH_SIZE], value[64];
		const struct ev_function *f, *self = ev_function(x->ev, g->pci);
		const char *port = self && self->above[0] ? self->above : "PORT";
		uint64_t n;

		if (!gpu_is_external(g))
			continue;
		f = most_errors(x, (int)i, "aer_dev_correctable", "TOTAL_ERR_COR", &n);
		if (n >= CORRECTABLE_MANY) {
			snprintf(value, sizeof(value), "TOTAL_ERR_COR %" PRIu64, n);
			found(x, g->pci, function_file(path, f->pci, "aer_dev_correctable"), value,
			      port);
		} else if (l) {
			found(x, g->pci, "kernel log", l->text, port);
		}
	}
}

static void uncorrectable(const struct exam *x)
{
	static const struct {
		const char *file, *word;
	} kinds[] = {
		{ "aer_dev_fatal", "TOTAL_ERR_FATAL" },
		{ "aer_dev_nonfatal", "TOTAL_ERR_NONFATAL" },
	};

	for (uint32_t i = 0; i < x->r->n_gpus; i++)
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			char path[PATH_SIZE], value[64];
			uint64_t n;
			const struct ev_function *f = most_errors(x, (int)i, kinds[k].file,
								  kinds[k].word, &n);

			if (!n)
				continue;
			snprintf(value, sizeof(value), "%s %" PRIu64, kinds[k].word, n);
			found(x, x->r->gpus[i].pci, function_file(path, f->pci, kinds[k].file),
			      value, NULL);
			break;
		}
}

static void retrained(const struct exam *x)
{
	test_log(x, NULL);
}

/* --- options --- */

static void aspm_off(const struct exam *x)
{
	if (ev_cmdline(x->ev, "pcie_aspm=off"))
		found(x, "", "proc/cmdline", ev_value(x->ev, "proc/cmdline"), NULL);
}

static void noaer(const struct exam *x)
{
	if (ev_cmdline_item(x->ev, "pci=", "noaer"))
		found(x, "", "proc/cmdline", ev_value(x->ev, "proc/cmdline"), NULL);
}

static size_t bytes_of(const char *hex, uint8_t *bytes, size_t size)
{
	size_t n = 0;

	for (; hex && hex[0] && hex[1] && n < size; hex += 2) {
		char pair[3] = { hex[0], hex[1], '\0' };

		bytes[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

/* Device Control 2 of the PCI Express capability: bits 3..0 are the completion timeout's range. */
static bool timeout_range(const char *hex, unsigned *range)
{
	uint8_t bytes[256];
	size_t n = bytes_of(hex, bytes, sizeof(bytes));
	struct config c;

	if (n < 256 || config_parse(bytes, n, &c))
		return false;
	for (uint32_t i = 0; i < c.n_caps; i++)
		if (c.caps[i].id == 0x10 && c.caps[i].at + 0x29u < n) {
			*range = bytes[c.caps[i].at + 0x28] & 0xf;
			return true;
		}
	return false;
}

static void completion_timeout(const struct exam *x)
{
	for (uint32_t i = 0; i < x->ev->n_functions; i++) {
		const struct ev_function *f = &x->ev->functions[i];
		char path[PATH_SIZE], value[64];
		unsigned range;

		if (!ev_on_the_way(f) ||
		    !timeout_range(ev_function_value(x->ev, f, "config"), &range) || !range)
			continue;
		snprintf(value, sizeof(value), "Device Control 2: completion timeout range %x",
			 range);
		found(x, f->pci, function_file(path, f->pci, "config"), value, NULL);
	}
}

/* clang-format off */
const struct doctor_check checks_link[] = {
	{ 27, "link-virtual", SEV_NOTE, CONF_CERTAIN,
	  "PCIe files say 2.5 GT/s of a hop that Thunderbolt carries: that number is virtual, nothing is slow by it",
	  "current_link_speed of bridges that are tunnelled", { NULL }, virtual_speed, REMEDY_NONE,
	  "Nothing. 'berth doctor link {dev}' says what to expect.", "", 0, "A", NULL },
	{ 28, "link-unstable", SEV_WARNING, CONF_LIKELY,
	  "The link between box and card loses packets, so the card's firmware locks up now and then",
	  "aer_dev_correctable of the way, 100 and more; kernel log: GSP_LOCKDOWN", { "GSP_LOCKDOWN" }, unstable, REMEDY_COMMAND,
	  "Note what 'setpci -s {arg} CAP_EXP+30.w' says; then as root cap the link at 8 GT/s and train it anew: "
	  "setpci -s {arg} CAP_EXP+30.w=0023:002f && setpci -s {arg} CAP_EXP+10.w=0020:0020",
	  "setpci -s {arg} CAP_EXP+30.w=(what was noted), and the second command again; or reboot", 0, "A", NULL },
	{ 29, "link-training-failed", SEV_WARNING, CONF_CERTAIN, "A link came up only at its lowest speed, or not at all",
	  "kernel log: retraining non-functional downstream link, retraining failed",
	  { "retraining non-functional downstream link", "retraining failed" }, retrained, REMEDY_FIRMWARE,
	  "In the firmware's setup set the slot to Gen 3, and go back to a higher one only after it holds; seat the card and its "
	  "riser or cable anew.", "Set it back to Auto.", 0, "K; Linux drivers/pci/quirks.c", NULL },
	{ 30, "link-slow", SEV_WARNING, CONF_LIKELY, "Copies are slower than the link should allow", "", { NULL }, NULL,
	  REMEDY_NONE, "", "", 0, "A",
	  "needs a copy test, which loads the card and wakes it; nvbandwidth or rocm-bandwidth-test measure it, and doctor link says "
	  "what to expect" },
	{ 31, "aspm-option", SEV_NOTE, CONF_CERTAIN, "pcie_aspm=off does not turn ASPM off: it leaves it as firmware set it",
	  "proc/cmdline: pcie_aspm=off", { NULL }, aspm_off, REMEDY_REBOOT,
	  "Boot with pcie_aspm.policy=performance in its place: that turns it off.", "Put pcie_aspm=off back.", ADVICE_ASPM_KERNEL, "R",
	  NULL },
	{ 32, "aer-off", SEV_WARNING, CONF_CERTAIN, "Link errors are not reported: a card that fails hangs the machine without a word",
	  "proc/cmdline: pci=noaer", { NULL }, noaer, REMEDY_REBOOT, "Boot without pci=noaer.", "Put it back.", 0, "A", NULL },
	{ 32, "aer-errors", SEV_WARNING, CONF_CERTAIN, "Transfers to the card were lost on the way",
	  "aer_dev_fatal and aer_dev_nonfatal of the way, not 0", { NULL }, uncorrectable, REMEDY_CABLE,
	  "Seat the card and its cable or riser anew; look whether the count grows.", "", 0, "A", NULL },
	{ 33, "completion-timeout", SEV_WARNING, CONF_POSSIBLE,
	  "The time a device has to answer was changed from its default; a shorter one has kept a port from booting",
	  "config of the way (root, awake only): Device Control 2, bits 3..0", { NULL }, completion_timeout, REMEDY_COMMAND,
	  "As root: setpci -s {dev} CAP_EXP+28.w=0000:000f, and take out what sets it.", "Reboot with what sets it.", 0, "A", NULL },
	{ 0 },
};
/* clang-format on */
