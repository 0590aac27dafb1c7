/* SPDX-License-Identifier: MIT */
/*
 * A PCI function as somebody describes it in a file: berth.pcidevice/1, docs/formats.md. What comes out of here is
 * sound: BARs are powers of two that do not overlap, registers lie in them, names are those of registers that are there, and
 * the capabilities fit into a config space.
 */
#ifndef BERTH_PCIDESC_H
#define BERTH_PCIDESC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bar-forward/wire.h"
#include "base/err.h"

#define PCIDESC_FILE_MAX   262144 /* bytes */
#define PCIDESC_BARS       6
#define PCIDESC_REGS       512
#define PCIDESC_CAPS       32
#define PCIDESC_FAULTS     64
#define PCIDESC_BODY       256 /* bytes of a capability given as such */
#define PCIDESC_BAR_MAX    (UINT64_C(1) << 38)
#define PCIDESC_ROM_MAX    (UINT64_C(1) << 24)
#define PCIDESC_MEMORY_MAX (UINT64_C(1) << 30)

struct desc_bar {
	uint64_t size;     /* a power of two; 0: there is none */
	bool wide;         /* 64 bits; takes the next one, too */
	bool prefetchable; /* memory without side effects */
	bool io;           /* ports */
	bool memory;       /* backed by memory; else registers */
	bool map;          /* may be mapped, these areas of it */
	uint32_t n_areas;  /* never 0 with `map` */
	struct vu_area areas[VU_AREAS_MAX];
};

enum desc_cap_kind {
	CAP_PM,
	CAP_PCIE,
	CAP_MSI,
	CAP_MSIX,
	CAP_VENDOR,
	CAP_RAW,      /* a standard one, as bytes */
	CAP_REBAR,    /* from here on extended ones */
	CAP_EXTENDED, /* as bytes */
	CAP_KINDS
};

struct desc_cap {
	enum desc_cap_kind kind;
	uint16_t id;         /* CAP_RAW, CAP_EXTENDED */
	uint8_t version;     /* CAP_EXTENDED */
	bool flr;            /* CAP_PCIE */
	uint8_t speed;       /* CAP_PCIE: of the link, 1: 2.5 GT/s to 6: 64 GT/s */
	uint8_t width;       /* CAP_PCIE: lanes */
	uint16_t vectors;    /* CAP_MSI: 1 to 32, a power of two; CAP_MSIX: 1 to 2048 */
	bool wide, maskable; /* CAP_MSI: 64-bit addresses, a mask for each vector */
	bool noresize; /* CAP_MSIX: more vectors than first enabled need all anew, as Linux up to 6.1 has it */
	uint8_t bar; /* CAP_MSIX: where the table lies; CAP_REBAR: which one it is about */
	uint8_t pba_bar;
	uint64_t table, pba; /* CAP_MSIX: offsets */
	uint64_t sizes;      /* CAP_REBAR: bit n: 2^n bytes */
	uint16_t n_body;     /* bytes behind the head, CAP_VENDOR, CAP_RAW and CAP_EXTENDED */
	uint8_t body[PCIDESC_BODY];
	uint8_t writable[PCIDESC_BODY]; /* bits of it */
};

enum reg_behaviour {
	REG_PLAIN,
	REG_READONLY,
	REG_COUNTER,
	REG_SUM,
	REG_W1C,
	REG_IDENTITY,
	REG_INVERT,
	REG_RAISE,
	REG_VECTOR,
	REG_CLEAR,
	REG_DOORBELL,
	REG_FAULT,
	REG_BEHAVIOURS
};

#define REG_NONE UINT16_MAX

struct desc_reg {
	char name[32];
	uint8_t bar;
	uint8_t width; /* bytes: 1, 2, 4 or 8 */
	enum reg_behaviour behaviour;
	uint64_t at;
	uint64_t value; /* after a reset */
	uint64_t mask;  /* bits that can be written; all unless said */
	uint16_t
		status; /* REG_RAISE, REG_CLEAR, REG_DOORBELL: the register with the interrupt's cause; while any bit of it is set, INTx is */
	uint16_t source, destination, length,
		checksum;     /* REG_DOORBELL: registers; `checksum` may be REG_NONE */
	uint16_t vector;      /* REG_RAISE, REG_DOORBELL: of MSI or MSI-X */
	uint64_t bits;        /* REG_DOORBELL: what its end sets in `status` */
	uint8_t address_bits; /* REG_DOORBELL: of the addresses it reaches, 64 unless said */
	int memory_bar; /* REG_DOORBELL: the device's side of a transfer; -1: memory of its own */
	uint64_t memory_bytes; /* how much that is */
	uint64_t memory_base;  /* the address of its first byte, as the device counts */
	bool line;             /* some register's `status` */
};

enum desc_fault {
	FAULT_NONE, /* all are over; a device that was gone is back, as after a reset */
	FAULT_GONE, /* everything answers -ENODEV */
	FAULT_HANG, /* accesses wait */
	FAULT_SLOW, /* BAR accesses take `value` microseconds longer */
	FAULT_FLIP, /* reads of BARs give these bits wrong */
	FAULT_ONES, /* reads of BARs give all-ones, writes are lost: completions time out. Config space answers */
	FAULT_KINDS
};

struct desc_script {
	uint64_t at; /* the access to a BAR that it begins with, from 1 */
	enum desc_fault fault;
	uint64_t value;
	uint64_t count; /* accesses that it lasts; UINT64_MAX: until another ends it */
};

struct pcidesc {
	char name[64];
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class; /* with subclass and interface: 0x030000 */
	uint8_t revision;
	uint8_t pin; /* 1: INTA ... 4; 0: none */
	struct desc_bar bar[PCIDESC_BARS];
	uint64_t rom; /* bytes; 0: none */
	uint32_t n_caps, n_regs, n_faults;
	struct desc_cap cap[PCIDESC_CAPS];
	struct desc_reg reg[PCIDESC_REGS];        /* by BAR and place, none overlapping another */
	struct desc_script fault[PCIDESC_FAULTS]; /* by `at` */
	uint16_t doorbell;                        /* the register; REG_NONE */
};

/* 0, or -EBADMSG with *e: "register 'x': ...". free() it. */
int pcidesc_parse(struct pcidesc **d, const char *bytes, size_t size, struct err *e);

/* From a file. As above, or the errno of reading. */
int pcidesc_read(struct pcidesc **d, const char *path, struct err *e);

/* The capability of a kind; NULL: there is none. */
const struct desc_cap *pcidesc_cap(const struct pcidesc *d, enum desc_cap_kind kind);

/* The register that any byte of [at, at + width) falls into, the first one; n_regs: none does or follows in that BAR. */
uint32_t pcidesc_reg_at(const struct pcidesc *d, uint8_t bar, uint64_t at);

/* Its index, or REG_NONE. */
uint16_t pcidesc_reg_named(const struct pcidesc *d, const char *name);

extern const char *const desc_fault_names[FAULT_KINDS];

#endif
