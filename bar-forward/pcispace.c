/* SPDX-License-Identifier: MIT */
/* Numbers and layouts: PCI Local Bus 3.0 (header, MSI, MSI-X), PCI Power Management 1.2, PCI Express Base 5.0 chapter 7. */
#include "bar-forward/pcispace.h"

#include <linux/pci_regs.h>
#include <string.h>

/* Where capabilities may lie, and where the extended ones may. */
#define CAPS_FIRST 0x40
#define CAPS_END   0x100
#define EXT_FIRST  0x100

#define MIB_SHIFT 20 /* Resizable BAR counts sizes from 1 MiB on */

static void put(uint8_t *to, uint64_t v, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

/* A field of the header or of a capability, relative to `at`. */
static void field(struct pcispace *s, uint32_t at, uint32_t bytes, uint64_t first,
		  uint64_t writable)
{
	put(s->first + at, first, bytes);
	put(s->writable + at, writable, bytes);
}

static void clears(struct pcispace *s, uint32_t at, uint32_t bytes, uint64_t bits)
{
	put(s->clears + at, bits, bytes);
}

/* --- the header --- */

static void put_bar(struct pcispace *s, uint32_t n, const struct desc_bar *b)
{
	uint32_t at = PCI_BASE_ADDRESS_0 + 4 * n;
	uint64_t address = ~(b->size - 1);

	if (!b->size)
		return;
	if (b->io) {
		field(s, at, 4, PCI_BASE_ADDRESS_SPACE_IO, address);
		return;
	}
	field(s, at, b->wide ? 8 : 4,
	      (b->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0U) |
		      (b->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0U),
	      address);
}

static void put_header(struct pcispace *s, const struct pcidesc *d)
{
	field(s, PCI_VENDOR_ID, 2, d->vendor, 0);
	field(s, PCI_DEVICE_ID, 2, d->device, 0);
	field(s, PCI_COMMAND, 2, 0,
	      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
		      PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	field(s, PCI_STATUS, 2, d->n_caps ? PCI_STATUS_CAP_LIST : 0, 0);
	clears(s, PCI_STATUS, 2,
	       PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
		       PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |
		       PCI_STATUS_DETECTED_PARITY);
	field(s, PCI_CLASS_REVISION, 4, (uint64_t)d->class << 8 | d->revision, 0);
	field(s, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
	for (uint32_t i = 0; i < PCIDESC_BARS; i++)
		put_bar(s, i, &d->bar[i]);
	field(s, PCI_SUBSYSTEM_VENDOR_ID, 2, d->subvendor, 0);
	field(s, PCI_SUBSYSTEM_ID, 2, d->subdevice, 0);
	if (d->rom)
		field(s, PCI_ROM_ADDRESS, 4, 0, ~(d->rom - 1) | PCI_ROM_ADDRESS_ENABLE);
	field(s, PCI_INTERRUPT_LINE, 1, 0, 0xff);
	field(s, PCI_INTERRUPT_PIN, 1, d->pin, 0);
}

/* --- capabilities: each writes what is behind its head, and returns its whole size --- */

static uint32_t put_pm(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	(void)c;
	field(s, at + PCI_PM_PMC, 2, 3, 0); /* version 1.2 */
	field(s, at + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET, PCI_PM_CTRL_STATE_MASK);
	return PCI_PM_SIZEOF;
}

static uint32_t put_pcie(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	uint32_t link = c->speed | (uint32_t)c->width << 4;

	s->pcie = (uint16_t)at;
	field(s, at + PCI_EXP_FLAGS, 2, 2 | PCI_EXP_TYPE_ENDPOINT << 4, 0);
	field(s, at + PCI_EXP_DEVCAP, 4,
	      1U | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER |
		      (c->flr ? PCI_EXP_DEVCAP_FLR : 0U),
	      0);
	field(s, at + PCI_EXP_DEVCTL, 2,
	      PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B,
	      0x7fff & ~(PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_AUX_PME));
	clears(s, at + PCI_EXP_DEVSTA, 2, 0x000f);
	field(s, at + PCI_EXP_LNKCAP, 4, link, 0);
	field(s, at + PCI_EXP_LNKCTL, 2, 0,
	      PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
	field(s, at + PCI_EXP_LNKSTA, 2, link, 0);
	field(s, at + PCI_EXP_DEVCAP2, 4, 0x1f, 0); /* completion timeouts: all ranges, and off */
	field(s, at + PCI_EXP_DEVCTL2, 2, 0, 0x1f);
	field(s, at + PCI_EXP_LNKCAP2, 4, ((2U << c->speed) - 2) & 0xfe, 0);
	field(s, at + PCI_EXP_LNKCTL2, 2, c->speed, PCI_EXP_LNKCTL2_TLS);
	return 60; /* version 2 */
}

static uint32_t put_msi(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	uint32_t log = (uint32_t)__builtin_ctz(c->vectors);
	uint32_t data = at + (c->wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32);

	s->msi = (uint16_t)at;
	field(s, at + PCI_MSI_FLAGS, 2,
	      log << 1 | (c->wide ? PCI_MSI_FLAGS_64BIT : 0U) |
		      (c->maskable ? PCI_MSI_FLAGS_MASKBIT : 0U),
	      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	field(s, at + PCI_MSI_ADDRESS_LO, 4, 0, 0xfffffffc);
	if (c->wide)
		field(s, at + PCI_MSI_ADDRESS_HI, 4, 0, 0xffffffff);
	field(s, data, 2, 0, 0xffff);
	if (!c->maskable)
		return data + 2 - at;
	field(s, data + 4, 4, 0, c->vectors == 32 ? 0xffffffff : (1U << c->vectors) - 1);
	return data + 12 - at;
}

static uint32_t put_msix(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	s->msix = (uint16_t)at;
	field(s, at + PCI_MSIX_FLAGS, 2, c->vectors - 1U,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	field(s, at + PCI_MSIX_TABLE, 4, c->table | c->bar, 0);
	field(s, at + PCI_MSIX_PBA, 4, c->pba | c->pba_bar, 0);
	return PCI_CAP_MSIX_SIZEOF;
}

static void put_body(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	memcpy(s->first + at, c->body, c->n_body);
	memcpy(s->writable + at, c->writable, c->n_body);
}

static uint32_t put_vendor(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	field(s, at + PCI_CAP_FLAGS, 1, 3U + c->n_body, 0);
	put_body(s, at + 3, c);
	return 3U + c->n_body;
}

static uint32_t put_raw(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	put_body(s, at + 2, c);
	return 2U + c->n_body;
}

static uint32_t put_extended(struct pcispace *s, uint32_t at, const struct desc_cap *c)
{
	put_body(s, at + 4, c);
	return 4U + c->n_body;
}

/* One BAR's entry; a function has one such capability, with as many of them as it has such BARs. */
static void put_rebar(struct pcispace *s, uint32_t at, const struct pcidesc *d,
		      const struct desc_cap *c, uint32_t n)
{
	uint32_t now = (uint32_t)__builtin_ctzll(d->bar[c->bar].size) - MIB_SHIFT;

	field(s, at + PCI_REBAR_CAP, 4, c->sizes >> MIB_SHIFT << 4, 0);
	field(s, at + PCI_REBAR_CTRL, 4, c->bar | n << PCI_REBAR_CTRL_NBAR_SHIFT | now << 8, 0);
}

static uint32_t put_rebars(struct pcispace *s, uint32_t at, const struct pcidesc *d)
{
	uint32_t n = 0, i = 0;

	for (uint32_t c = 0; c < d->n_caps; c++)
		n += d->cap[c].kind == CAP_REBAR;
	for (uint32_t c = 0; c < d->n_caps; c++)
		if (d->cap[c].kind == CAP_REBAR)
			put_rebar(s, at + 8 * i++, d, &d->cap[c], n);
	return 4 + 8 * n;
}

static const struct {
	uint8_t id;
	/* bytes at most, without a body */
	uint16_t most;
	uint32_t (*put)(struct pcispace *s, uint32_t at, const struct desc_cap *c);
} kinds[CAP_KINDS] = {
	[CAP_PM] = { PCI_CAP_ID_PM, PCI_PM_SIZEOF, put_pm },
	[CAP_PCIE] = { PCI_CAP_ID_EXP, 60, put_pcie },
	[CAP_MSI] = { PCI_CAP_ID_MSI, 24, put_msi },
	[CAP_MSIX] = { PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, put_msix },
	[CAP_VENDOR] = { PCI_CAP_ID_VNDR, 3, put_vendor },
	[CAP_RAW] = { 0, 2, put_raw },
	[CAP_REBAR] = { PCI_EXT_CAP_ID_REBAR, 4 + 8 * PCIDESC_BARS, NULL },
	[CAP_EXTENDED] = { 0, 4, put_extended },
};

static bool is_extended(const struct desc_cap *c)
{
	return c->kind >= CAP_REBAR;
}

static int put_standard(struct pcispace *s, const struct pcidesc *d, struct err *e)
{
	uint32_t at = CAPS_FIRST, link = PCI_CAPABILITY_LIST;

	for (uint32_t i = 0; i < d->n_caps; i++) {
		const struct desc_cap *c = &d->cap[i];

		if (is_extended(c))
			continue;
		if (at + kinds[c->kind].most + c->n_body > CAPS_END)
			return err_set(
				e, -EBADMSG,
				"capability %u does not fit into the %d bytes for those that are not extended",
				i + 1, CAPS_END - CAPS_FIRST);
		s->first[link] = (uint8_t)at;
		s->first[at] = c->kind == CAP_RAW ? (uint8_t)c->id : kinds[c->kind].id;
		link = at + PCI_CAP_LIST_NEXT;
		at = (at + kinds[c->kind].put(s, at, c) + 3) & ~3U;
	}
	if (link == PCI_CAPABILITY_LIST)
		put(s->first + PCI_STATUS, 0, 2);
	return 0;
}

static int put_all_extended(struct pcispace *s, const struct pcidesc *d, struct err *e)
{
	uint32_t at = EXT_FIRST, last = 0;
	bool resizable = false;

	for (uint32_t i = 0; i < d->n_caps; i++) {
		const struct desc_cap *c = &d->cap[i];
		bool rebar = c->kind == CAP_REBAR;
		uint32_t id = rebar ? PCI_EXT_CAP_ID_REBAR : c->id;

		if (!is_extended(c) || (rebar && resizable))
			continue;
		resizable |= rebar;
		if (at + kinds[c->kind].most + c->n_body > PCISPACE_SIZE)
			return err_set(e, -EBADMSG, "capability %u does not fit any more", i + 1);
		put(s->first + at, id | (uint32_t)(rebar ? 1 : c->version) << 16, 4);
		if (last)
			put(s->first + last + 2, s->first[last + 2] | at << 4, 2);
		last = at;
		at = (at + (rebar ? put_rebars(s, at, d) : put_extended(s, at, c)) + 3) & ~3U;
	}
	return 0;
}

int pcispace_build(struct pcispace *s, const struct pcidesc *d, struct err *e)
{
	int rc;

	memset(s, 0, sizeof(*s));
	put_header(s, d);
	rc = put_standard(s, d, e);
	return rc ? rc : put_all_extended(s, d, e);
}

uint8_t pcispace_write(const struct pcispace *s, uint32_t at, uint8_t now, uint8_t value)
{
	uint8_t kept = (uint8_t)(now & ~s->writable[at] & ~(s->clears[at] & value));

	return (uint8_t)(kept | (value & s->writable[at]));
}

void pcispace_text(const uint8_t *bytes, const char *name, struct text *t)
{
	text_add(t, "00:00.0 %s\n", name);
	for (uint32_t at = 0; at < PCISPACE_SIZE; at += 16) {
		text_add(t, "%02x:", at);
		for (uint32_t i = 0; i < 16; i++)
			text_add(t, " %02x", bytes[at + i]);
		text_add(t, "\n");
	}
}
