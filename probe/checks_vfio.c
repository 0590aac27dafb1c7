/* SPDX-License-Identifier: MIT */
/*
 * Checks of our own kernel module, berth_vfio: whether a card that is meant for it can have it. Nobody needs the module who
 * has not asked for it, so what is missing is only said of a card whose driver_override names it.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

#define DRIVER "berth_vfio"
/* Of the answer (evidence_host.c): kernels for which it is installed; those of them whose file has no signature. */
#define KERNELS  "berth_vfio_kernels"
#define UNSIGNED "berth_vfio_unsigned"

static bool has_it(const struct exam *x, const struct ev_function *f)
{
	const char *driver = ev_function_value(x->ev, f, "driver");

	return driver && strcmp(driver, DRIVER) == 0;
}

/* The next function at or after *i that is meant for the module and is another's, or nobody's. */
static const struct ev_function *next_waiting(const struct exam *x, uint32_t *i)
{
	while (*i < x->ev->n_functions) {
		const struct ev_function *f = &x->ev->functions[(*i)++];
		const char *wish = ev_function_value(x->ev, f, "driver_override");

		if (wish && strcmp(wish, DRIVER) == 0 && !has_it(x, f))
			return f;
	}
	return NULL;
}

static bool is_loaded(const struct exam *x)
{
	return ev_file(x->ev, "sys/module/" DRIVER);
}

/* 1: installed for the kernel that runs; 0: it is not; -1: nobody can tell. */
static int is_installed(const struct exam *x)
{
	return fact_text_known(&x->r->kernel) ? ev_listed(x->ev, KERNELS, x->r->kernel.v) : -1;
}

static void report(const struct exam *x, const char *where, const char *value)
{
	const struct ev_function *f;
	uint32_t i = 0;

	while ((f = next_waiting(x, &i)))
		found(x, f->pci, where, value, NULL);
}

static void missing(const struct exam *x)
{
	if (!is_loaded(x) && is_installed(x) == 0 && !ev_text_any(x->ev, KERNELS))
		report(x, "lib/modules", NULL);
}

static void other_kernel(const struct exam *x)
{
	const char *other = ev_text_any(x->ev, KERNELS);

	if (!is_loaded(x) && is_installed(x) == 0 && other)
		report(x, "lib/modules", other);
}

/* Who loads only what is signed: by option, by Secure Boot through lockdown, or by lockdown itself. */
static const char *wants_signature(const struct exam *x, const char **value)
{
	static const char *const files[] = { "sys/module/module/parameters/sig_enforce",
					     "sys/kernel/security/lockdown" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		*value = ev_value(x->ev, files[i]);
		/* The choice that holds stands in brackets: none, integrity or confidentiality. */
		if (*value && (i == 0 ? strcmp(*value, "Y") == 0 : !strstr(*value, "[none]")))
			return files[i];
	}
	return NULL;
}

static void not_signed(const struct exam *x)
{
	const char *value, *where = wants_signature(x, &value);

	if (where && !is_loaded(x) && is_installed(x) == 1 &&
	    ev_listed(x->ev, UNSIGNED, x->r->kernel.v) == 1)
		report(x, where, value);
}

static void not_loaded(const struct exam *x)
{
	const char *value;

	if (is_loaded(x) || is_installed(x) != 1 ||
	    (wants_signature(x, &value) && ev_listed(x->ev, UNSIGNED, x->r->kernel.v) == 1))
		return;
	report(x, "sys/module/" DRIVER, NULL);
}

static void loaded(const struct exam *x)
{
	char list[200] = "";
	struct text t;

	if (!is_loaded(x))
		return;
	text_init(&t, list, sizeof(list));
	for (uint32_t i = 0; i < x->ev->n_functions; i++)
		if (has_it(x, &x->ev->functions[i]))
			text_add(&t, "%s%s", t.len ? " " : "", x->ev->functions[i].pci);
	finding_detail(found(x, "", "sys/module/" DRIVER, "is there", NULL),
		       list[0] ? "It has %s." : "It has no function of a card.", list);
}

/* clang-format off */
const struct doctor_check checks_vfio[] = {
	{ 75, "berth-vfio-missing", SEV_ERROR, CONF_CERTAIN, "The card is meant for berth_vfio, and that module is not installed",
	  "driver_override = berth_vfio of a function without it; no lib/modules/*/**/berth_vfio.ko*", { NULL }, missing, REMEDY_COMMAND,
	  "Build it in berth's source for this kernel, and load it: make kmod, then insmod build/module/kmod/berth_vfio.ko; or install it with "
	  "DKMS (docs/kmod.md). Or give the card to vfio-pci: berth device bind {dev} vfio-pci",
	  "rmmod berth_vfio, or berth device undo", 0, "docs/kmod.md", NULL },
	{ 76, "berth-vfio-other-kernel", SEV_ERROR, CONF_CERTAIN,
	  "The card is meant for berth_vfio, and that module was built for other kernels than the one that runs",
	  "driver_override = berth_vfio; lib/modules/*/**/berth_vfio.ko* against proc/sys/kernel/osrelease", { NULL }, other_kernel, REMEDY_COMMAND,
	  "As root: dkms autoinstall, or in berth's source: make kmod; then modprobe berth_vfio and: berth device bind {dev} berth_vfio",
	  "rmmod berth_vfio", 0, "dkms(8)", NULL },
	{ 77, "berth-vfio-unsigned", SEV_ERROR, CONF_CERTAIN, "The kernel loads only signed modules, and berth_vfio has no signature",
	  "the end of lib/modules/RELEASE/**/berth_vfio.ko; sig_enforce = Y, sys/kernel/security/lockdown not [none]", { NULL }, not_signed, REMEDY_COMMAND,
	  "Sign it with a key that the machine trusts: make kmod KMOD_KEY=FILE KMOD_CERT=FILE; DKMS signs with /var/lib/dkms/mok.key, whose "
	  "certificate mokutil --import /var/lib/dkms/mok.pub enrols at the next start",
	  "mokutil --delete /var/lib/dkms/mok.pub", 0, "Linux admin-guide/module-signing", NULL },
	{ 78, "berth-vfio-not-loaded", SEV_WARNING, CONF_LIKELY, "The card is meant for berth_vfio, which is installed and not loaded",
	  "driver_override = berth_vfio, no sys/module/berth_vfio; lib/modules/RELEASE/**/berth_vfio.ko*", { NULL }, not_loaded, REMEDY_COMMAND,
	  "berth device bind {dev} berth_vfio loads it; the kernel log says why, where it does not",
	  "berth device undo", 0, "docs/kmod.md", NULL },
	{ 79, "berth-vfio-loaded", SEV_NOTE, CONF_CERTAIN, "The kernel module berth_vfio is loaded",
	  "sys/module/berth_vfio, driver links", { NULL }, loaded, REMEDY_NONE, "", "", 0, "docs/kmod.md", NULL },
	{ 0 },
};
/* clang-format on */
