/* SPDX-License-Identifier: MIT */
/*
 * The doctor: a table of checks, each a row with its symptom, what it looks at, and its remedy; a check
 * is a pure function of the evidence. What they find is then freed of contradictions, and shown.
 *
 * To add a check: a row in the checks_*.c of its subject, docs/doctor.md written anew by
 * `berth doctor --list`, and tests/machines/doctor/ID.tree with a machine that fires it and a near miss.
 */
#ifndef BERTH_PROBE_DOCTOR_PRIV_H
#define BERTH_PROBE_DOCTOR_PRIV_H

#include <stdio.h>

#include "probe/evidence.h"

#define FINDINGS_MAX 256

enum severity {
	SEV_NOTE,    /* worth knowing; nothing is wrong */
	SEV_WARNING, /* it works, but not as it could, or not for long */
	SEV_ERROR,   /* something does not work */
	SEV_COUNT
};

enum confidence { CONF_POSSIBLE, CONF_LIKELY, CONF_CERTAIN, CONF_COUNT };

enum remedy_kind {
	REMEDY_NONE, /* nothing to do, or nothing that helps */
	REMEDY_COMMAND,
	REMEDY_REBOOT, /* an option of the kernel or a module, or another kernel: at the next boot */
	REMEDY_FIRMWARE,    /* a setting or an update of the firmware */
	REMEDY_CABLE,       /* a cable, a port, a monitor */
	REMEDY_POWER_CYCLE, /* machine and box without power, then the box first */
	REMEDY_TREE,        /* what bartree.c decides for this device; never shown as such */
	REMEDY_COUNT
};

/* What a remedy turns on or off. Two that exclude each other are never both advised (advice.c). */
enum advice {
	ADVICE_HOST_RESET_OFF = 1 << 0, /* thunderbolt.host_reset=0 */
	ADVICE_HOST_RESET_ON = 1 << 1,
	ADVICE_REALLOC_ON = 1 << 2, /* pci=realloc */
	ADVICE_REALLOC_OFF = 1 << 3,
	ADVICE_WINDOWS_MORE = 1 << 4, /* pci=hpmmio*, hpbussize */
	ADVICE_WINDOWS_LESS = 1 << 5,
	ADVICE_IOMMU_ON = 1 << 6,
	ADVICE_IOMMU_OFF = 1 << 7,
	ADVICE_KERNEL_NEWER = 1 << 8,
	ADVICE_KERNEL_OLDER = 1 << 9,
	ADVICE_BAR_LARGE = 1 << 10,   /* resize the BAR */
	ADVICE_BAR_SMALL = 1 << 11,   /* NVreg_EnableResizableBar=0 */
	ADVICE_FOR_HOST = 1 << 12,    /* let the host's driver have it */
	ADVICE_FOR_GUEST = 1 << 13,   /* give it to vfio-pci */
	ADVICE_ASPM_KERNEL = 1 << 14, /* let Linux manage ASPM */
	ADVICE_ASPM_OFF = 1 << 15,
	ADVICE_PORTS_AWAKE = 1 << 16, /* no runtime suspend of ports and the card */
	ADVICE_PORTS_SLEEP = 1 << 17,
	ADVICE_PERSIST = 1 << 18, /* keep the driver's state loaded */
	ADVICE_UNPLUG = 1 << 19,  /* detach it */
};

struct exam;

struct doctor_check {
	int number;     /* row of docs/doctor.md; several checks may share one */
	const char *id; /* "tb-not-authorised": in JSON, never changed */
	enum severity severity;
	enum confidence confidence;
	const char *symptom;  /* what a person suffers; one sentence without full stop */
	const char *looks_at; /* files or log lines, for docs/doctor.md */
	/* Lines of the kernel log that have one of these fire it, once a device, unless there is `test`. */
	const char *log[4];
	void (*test)(const struct exam *x);
	/* {dev} is the device's address, {arg} what the test gave; the rest is shown as it stands. */
	enum remedy_kind kind;
	const char *remedy, *undo;
	unsigned advice; /* of enum advice */
	const char *
		source; /* where the knowledge comes from: a key of docs/doctor.md, an issue, a file */
	const char *absent; /* why it is not implemented; else NULL */
};

struct finding {
	const struct doctor_check *check;
	enum severity severity;
	enum confidence confidence;
	char device[24]; /* a PCI address or a router's name; empty: the machine */
	char detail[240];
	char where[PATH_SIZE]; /* the file, "/sys/..."; "kernel log" */
	char value[400];       /* what it said; "(absent)" */
	uint32_t times;        /* how many such lines the log has */
	enum remedy_kind kind;
	char remedy[700], undo[400];
	unsigned advice;
};

struct findings {
	uint32_t n, n_left_out;
	struct finding list[FINDINGS_MAX];
};

/* One run of one check. */
struct exam {
	const struct evidence *ev;
	const struct report *r;
	const struct doctor_check *c;
	struct findings *out;
};

/* Tables; each ends with a row whose id is NULL. */
extern const struct doctor_check checks_tb[], checks_pci[], checks_link[], checks_power[],
	checks_iommu[], checks_nvidia[], checks_amd_intel[], checks_desktop[], checks_process[],
	checks_stack[], checks_vfio[];

struct subject {
	const char *name;
	const struct doctor_check *checks;
};

/* All tables with the headings of docs/doctor.md; ends with a NULL name. */
extern const struct subject subjects[];

/* --- for tests of checks (doctor.c) --- */

/*
 * Report the check's symptom. device: "" for the machine. where: a path below the root, or LOG; value: what it
 * said. arg: for {arg} of the remedy, or NULL. The finding, to be refined; never NULL.
 */
struct finding *found(const struct exam *x, const char *device, const char *where,
		      const char *value, const char *arg);
/* The same with a line of the kernel log as evidence. */
struct finding *found_line(const struct exam *x, const char *device, const struct kline *l);

void finding_detail(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Another remedy than the row's. */
void finding_remedy(struct finding *f, enum remedy_kind kind, const char *remedy, const char *undo,
		    unsigned advice);

/* "/sys/bus/pci/devices/ADDR/NAME": the short path that people know. */
const char *function_file(char path[PATH_SIZE], const char *pci, const char *name);

/* Fires for lines that have one of the row's words, once a device; `also` (or NULL) must agree. */
void test_log(const struct exam *x, bool (*also)(const struct exam *x, const struct kline *l));

bool gpu_is_external(const struct gpu *g);
/* A display or compute function of a card: not a BMC's, a virtual machine's, or the processor's own. */
bool gpu_is_card(const struct gpu *g);

/* --- the whole --- */

/* Run every check, remove contradictions, sort. One allocation; free() it. NULL: out of memory. */
struct findings *doctor_examine(const struct evidence *ev);

/* Keep one pair of advices that exclude each other from standing side by side (advice.c). */
void findings_reconcile(struct findings *f);
/* The first pair of findings whose remedies contradict each other; false: none. For tests. */
bool findings_contradict(const struct findings *f, const struct finding **a,
			 const struct finding **b);
bool advice_excludes(unsigned a, unsigned b);
json_t *advice_json(unsigned advice); /* a list of words, "host-reset-off" */

const char *severity_name(enum severity s);
const char *confidence_name(enum confidence c);
const char *remedy_name(enum remedy_kind k);

/* --- showing it (doctor_render.c) --- */

void doctor_text(FILE *to, const struct evidence *ev, const struct findings *f, bool verbose);
json_t *doctor_json(const struct evidence *ev, const struct findings *f);
/* docs/doctor.md */
void doctor_list(FILE *to);

/* 0, 10, 1, or 3 when there was nothing to look at. */
enum exit_code doctor_exit(const struct evidence *ev, const struct findings *f);

#endif
