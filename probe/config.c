/* SPDX-License-Identifier: MIT */
/*
 * The walker of capabilities. Source: PCI Express Base Specification 6.0, 7.5 (header, PCI Express
 * capability), 7.8.4 (AER), 7.8.6 (Resizable BAR), 7.9.3 (serial number), 7.9.18 (VPD).
 */
#include "probe/config.h"

#include <errno.h>
#include <string.h>

#define STATUS_HAS_LIST 0x10
#define CAP_VPD         0x03
#define CAP_EXPRESS     0x10
#define EXT_AER         0x0001
#define EXT_DSN         0x0003
#define EXT_REBAR       0x0015
#define EXT_START       0x100

struct bytes {
	const uint8_t *at;
	size_t n;
};

static uint16_t u16(const struct bytes *b, size_t at)
{
	return at + 2 <= b->n ? (uint16_t)(b->at[at] | b->at[at + 1] << 8) : 0;
}

static uint32_t u32(const struct bytes *b, size_t at)
{
	return u16(b, at) | (uint32_t)u16(b, at + 2) << 16;
}

/* One more capability; false when this one was seen before: the chain is a loop. */
static bool add_cap(struct config *c, uint16_t id, uint16_t at)
{
	for (uint32_t i = 0; i < c->n_caps; i++)
		if (c->caps[i].at == at)
			return false;
	if (c->n_caps == CONFIG_CAPS_MAX)
		return false;
	c->caps[c->n_caps++] = (struct config_cap) { .id = id, .at = at };
	return true;
}

static void walk_standard(const struct bytes *b, struct config *c)
{
	if (!(u16(b, 0x06) & STATUS_HAS_LIST) || b->n <= 0x40)
		return;
	/* The two low bits are reserved: software masks them. */
	for (uint16_t at = b->at[0x34] & 0xfc; at >= 0x40 && at + 2u <= b->n;
	     at = b->at[at + 1] & 0xfc)
		if (b->at[at] == 0xff || !add_cap(c, b->at[at], at))
			return;
}

static void walk_extended(const struct bytes *b, struct config *c)
{
	for (uint16_t at = EXT_START; at >= EXT_START && at + 4u <= b->n;) {
		uint32_t header = u32(b, at);

		/* Zero is an empty list; all ones a space that is not there. */
		if (!header || header == UINT32_MAX || !add_cap(c, header & 0xffff, at))
			return;
		at = header >> 20 & 0xffc;
	}
}

/* Link speeds by the code of LnkCap and LnkSta. */
static uint32_t speed_of(unsigned code)
{
	static const uint32_t mts[] = { 0, 2500, 5000, 8000, 16000, 32000, 64000 };

	return code < sizeof(mts) / sizeof(mts[0]) ? mts[code] : 0;
}

static void read_express(const struct bytes *b, struct config *c, size_t at)
{
	unsigned type = u16(b, at + 0x02) >> 4 & 0xf;
	uint32_t cap = u32(b, at + 0x0c);
	uint16_t status = u16(b, at + 0x12);

	/* Endpoints and event collectors inside the root complex have no link. */
	if (at + 0x14 > b->n || type == 0x9 || type == 0xa)
		return;
	c->max_speed_mts = speed_of(cap & 0xf);
	c->max_width = cap >> 4 & 0x3f;
	c->speed_mts = speed_of(status & 0xf);
	c->width = status >> 4 & 0x3f;
	c->aspm = u16(b, at + 0x10) & 3;
}

static void read_rebar(const struct bytes *b, struct config *c, size_t at)
{
	unsigned n = u32(b, at + 8) >> 5 & 7;

	c->rebar = at + 12 <= b->n;
	for (unsigned i = 0; i < n; i++) {
		size_t entry = at + 4 + i * 8;
		uint32_t cap = u32(b, entry), control = u32(b, entry + 4);
		unsigned bar = control & 7;

		if (entry + 8 > b->n || bar >= 6)
			return;
		/* Bits 4 to 31 of one register are 1 MiB to 128 TiB, bits 16 to 31 of the other go on. */
		c->sizes[bar] = cap >> 4 | (uint64_t)(control >> 16) << 28;
		c->rebar_now[bar] = control >> 8 & 0x3f;
	}
}

static void read_caps(const struct bytes *b, struct config *c)
{
	for (uint32_t i = 0; i < c->n_caps; i++) {
		const struct config_cap *cap = &c->caps[i];

		if (cap->at < EXT_START && cap->id == CAP_EXPRESS)
			read_express(b, c, cap->at);
		if (cap->at >= EXT_START && cap->id == EXT_REBAR)
			read_rebar(b, c, cap->at);
		if (cap->at >= EXT_START && cap->id == EXT_AER && cap->at + 8u <= b->n) {
			c->aer = true;
			c->aer_uncorrectable = u32(b, cap->at + 4u);
		}
	}
}

int config_parse(const uint8_t *bytes, size_t n, struct config *c)
{
	const struct bytes b = { bytes, n < CONFIG_MAX ? n : CONFIG_MAX };

	*c = (struct config) { .n = (uint32_t)b.n };
	if (b.n < 64)
		return -EBADMSG;
	c->vendor = u16(&b, 0x00);
	c->device = u16(&b, 0x02);
	c->command = u16(&b, 0x04);
	/* A virtual function has ones for its ids too, and only for them. */
	if (c->vendor == 0xffff && c->command == 0xffff)
		return -ENODEV;
	walk_standard(&b, c);
	walk_extended(&b, c);
	read_caps(&b, c);
	return 0;
}

bool config_is_whole(const struct config *c)
{
	return c->n == CONFIG_MAX;
}

void config_scrub(uint8_t *bytes, size_t n)
{
	struct config c;

	if (config_parse(bytes, n, &c))
		return;
	for (uint32_t i = 0; i < c.n_caps; i++) {
		size_t at = c.caps[i].at + 4u;
		bool dsn = at >= EXT_START && c.caps[i].id == EXT_DSN;
		bool vpd = at < EXT_START && c.caps[i].id == CAP_VPD;
		size_t len = dsn ? 8 : vpd ? 4 : 0;

		if (at < c.n)
			memset(bytes + at, 0, at + len <= c.n ? len : c.n - at);
	}
}
