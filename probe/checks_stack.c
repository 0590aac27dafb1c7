/* SPDX-License-Identifier: MIT */
/* Checks of the compute stack: drivers, permissions, libraries, containers, memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

/* Vendors whose GPUs compute: by table of drivers, not the displays of servers and virtual machines. */
static bool could_compute(const struct gpu *g)
{
	const char *const *modules = driver_modules(g->vendor);

	if (g->kind == GPU_BMC || g->kind == GPU_VIRTUAL || g->kind == GPU_NPU)
		return false;
	for (; *modules; modules++) {
		const struct driver *d = driver_find(*modules);

		if (d && d->compute)
			return true;
	}
	return false;
}

static bool driverless(const struct gpu *g)
{
	return !fact_text_known(&g->driver) && g->driver.why == WHY_NO_DRIVER &&
	       !fact_text_known(&g->driver_override) && could_compute(g);
}

static bool is_loaded(const struct evidence *ev, const char *module)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "sys/module/%s", module);
	return ev_file(ev, path);
}

/* --- a driver that is kept from loading --- */

/* `word` as a whole word of a line; modprobe takes '-' and '_' for the same. */
static bool has_module(const char *line, size_t len, const char *module)
{
	size_t n = strlen(module);

	for (size_t i = 0; i + n <= len; i++) {
		bool begins = i == 0 || strchr(" ,=", line[i - 1]);
		bool ends = i + n == len || strchr(" ,\n", line[i + n]);

		if (begins && ends && strncmp(line + i, module, n) == 0)
			return true;
	}
	return false;
}

/* "blacklist NAME" of modprobe.d; the line into value. */
static const struct ev_file *blacklist_file(const struct evidence *ev, const char *module,
					    char *value, size_t size)
{
	static const char *const patterns[] = { "etc/modprobe.d/*.conf", "run/modprobe.d/*.conf",
						"usr/lib/modprobe.d/*.conf" };

	for (size_t p = 0; p < ARRAY_LEN(patterns); p++) {
		const struct ev_file *f;

		for (uint32_t i = 0; (f = ev_next(ev, patterns[p], &i));)
			for (const char *l = f->value; l;) {
				size_t len = strcspn(l, "\n");

				if (strncmp(l, "blacklist ", 10) == 0 &&
				    has_module(l + 10, len - 10, module)) {
					snprintf(value, size, "%.*s", (int)len, l);
					return f;
				}
				l = l[len] ? l + len + 1 : NULL;
			}
	}
	return NULL;
}

static bool on_cmdline_blacklist(const struct evidence *ev, const char *module)
{
	return ev_cmdline_item(ev, "module_blacklist=", module) ||
	       ev_cmdline_item(ev, "modprobe.blacklist=", module) ||
	       ev_cmdline_item(ev, "rd.driver.blacklist=", module);
}

/* Where the first of a GPU's modules, the one that computes best, is forbidden; false: nowhere. */
static bool forbidden(const struct exam *x, const struct gpu *g, const char **where, char *value,
		      size_t size)
{
	const char *module = driver_modules(g->vendor)[0];

	if (!module || is_loaded(x->ev, module))
		return false;
	const struct ev_file *f = blacklist_file(x->ev, module, value, size);

	if (f) {
		*where = f->path;
		return true;
	}
	if (!on_cmdline_blacklist(x->ev, module))
		return false;
	*where = "proc/cmdline";
	snprintf(value, size, "%s", ev_value(x->ev, "proc/cmdline"));
	return true;
}

static void blacklisted(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char value[256];
		const char *where;

		if (driverless(g) && forbidden(x, g, &where, value, sizeof(value)))
			found(x, g->pci, where, value, driver_modules(g->vendor)[0]);
	}
}

static void missing(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char path[PATH_SIZE], value[256];
		const char *where;

		if (!driverless(g) || ev_cmdline(x->ev, "nomodeset") ||
		    forbidden(x, g, &where, value, sizeof(value)))
			continue;
		found(x, g->pci, function_file(path, g->pci, "driver"), NULL,
		      driver_modules(g->vendor)[0]);
		finding_detail(&x->out->list[x->out->n - 1], "%s%s", g->driver_note,
			       g->driver_note[0] ? "." : "");
	}
}

static void nomodeset(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++)
		if (driverless(&x->r->gpus[i]) && ev_cmdline(x->ev, "nomodeset")) {
			found(x, x->r->gpus[i].pci, "proc/cmdline", ev_value(x->ev, "proc/cmdline"),
			      NULL);
			return;
		}
}

/* The variable holds four bytes of attributes and one of value. */
static bool secure_boot(const struct evidence *ev, const struct ev_file **f)
{
	uint32_t i = 0;

	*f = ev_next(ev, "sys/firmware/efi/efivars/SecureBoot-*", &i);
	return *f && strlen((*f)->value) == 10 && strcmp((*f)->value + 8, "01") == 0;
}

static void unsigned_module(const struct exam *x)
{
	const struct ev_file *f;
	bool on = secure_boot(x->ev, &f);
	uint32_t first = x->out->n;

	test_log(x, NULL);
	if (x->out->n > first || !on)
		return;
	/* The refusal is logged by modprobe, not the kernel: a module built here is what is refused. */
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		if (!driverless(g) || g->vendor != 0x10de || is_loaded(x->ev, "nvidia") ||
		    is_loaded(x->ev, "nouveau"))
			continue;
		found(x, g->pci, f->path, "1", NULL)->confidence = CONF_POSSIBLE;
	}
}

/* --- permissions --- */

static void report_node(const struct exam *x, const char *pci, const char *path,
			const struct ev_node *n)
{
	char value[128];

	snprintf(value, sizeof(value), "mode %04o, owner %s, group %s", n->mode, n->owner,
		 n->group);
	struct finding *f = found(x, pci, path, value, n->group);

	if (strcmp(n->group, "root") == 0)
		finding_remedy(f, REMEDY_COMMAND,
			       "Its group is root's alone: install the package with the driver's "
			       "udev rules, then: udevadm trigger",
			       "Remove the package.", 0);
}

static void permissions(const struct exam *x)
{
	struct ev_node n;

	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		if (!gpu_can_compute(g))
			continue;
		if (fact_text_known(&g->drm_render) && ev_node(x->ev, g->drm_render.v, &n) &&
		    !n.can)
			report_node(x, g->pci, g->drm_render.v, &n);
		else if (gpu_has_driver(g, "amdgpu") && ev_node(x->ev, "/dev/kfd", &n) && !n.can)
			report_node(x, g->pci, "/dev/kfd", &n);
		else if (gpu_has_driver(g, "nvidia") && ev_node(x->ev, "/dev/nvidiactl", &n) &&
			 !n.can)
			report_node(x, g->pci, "/dev/nvidiactl", &n);
	}
}

static bool in_container(const struct evidence *ev, const char **sign)
{
	static const char *const signs[] = { "run/.containerenv", ".dockerenv",
					     "run/systemd/container" };

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (ev_file(ev, signs[i])) {
			*sign = signs[i];
			return true;
		}
	return false;
}

/* sysfs shows the host's cards in every container; the nodes are what is handed in. */
static void container(const struct exam *x)
{
	const char *sign;
	struct ev_node n;

	if (!ev_asked(x->ev) || !in_container(x->ev, &sign))
		return;
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		bool nvidia = gpu_has_driver(g, "nvidia");
		bool there = nvidia ? ev_node(x->ev, "/dev/nvidiactl", &n)
				    : fact_text_known(&g->drm_render) &&
					      ev_node(x->ev, g->drm_render.v, &n);

		if (!gpu_can_compute(g) || there)
			continue;
		struct finding *f = found(x, g->pci, sign, "is there", NULL);

		if (nvidia)
			finding_remedy(
				f, REMEDY_COMMAND,
				"Start the container with --gpus all (NVIDIA's container toolkit) or "
				"--device nvidia.com/gpu=all",
				"Start it without.", 0);
	}
}

static void wsl(const struct exam *x)
{
	const struct report *r = x->r;

	if (ev_file(x->ev, "dev/dxg"))
		found(x, "", "dev/dxg", "is there", NULL);
	else if (fact_text_known(&r->kernel) && strstr(r->kernel.v, "microsoft"))
		found(x, "", "proc/sys/kernel/osrelease", r->kernel.v, NULL);
}

/* --- libraries --- */

static void nvidia_mismatch(const struct exam *x)
{
	const char *library = ev_text(x->ev, "nvidia_library");
	const char *module = ev_value(x->ev, "sys/module/nvidia/version");
	uint32_t first = x->out->n;

	test_log(x, NULL);
	if (x->out->n > first || !library || !module || strcmp(library, module) == 0)
		return;
	finding_detail(found(x, "", "sys/module/nvidia/version", module, NULL),
		       "The library is of version %.60s.", library);
}

/* What rocBLAS has kernels for: a chip it lacks can borrow those of a sister, or use Vulkan. */
static void no_kernels(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		if (!fact_text_known(&g->arch) || strncmp(g->arch.v, "gfx", 3) != 0 ||
		    ev_listed(x->ev, "rocblas", g->arch.v) != 0 ||
		    ev_environment(x->ev, "HSA_OVERRIDE_GFX_VERSION"))
			continue;
		struct finding *f = found(x, g->pci, "rocBLAS's kernels", "none for this chip",
					  NULL);

		finding_detail(f, "The chip is %.40s.", g->arch.v);
		if (strncmp(g->arch.v, "gfx103", 6) == 0)
			finding_remedy(f, REMEDY_COMMAND,
				       "export HSA_OVERRIDE_GFX_VERSION=10.3.0 makes it use its "
				       "sister's kernels; or use the engine's Vulkan backend",
				       "unset HSA_OVERRIDE_GFX_VERSION", 0);
	}
}

/* --- memory --- */

static void name_holders(const struct gpu *g, struct text *t)
{
	char size[TEXT_SIZE_MAX];

	for (uint32_t i = 0; i < g->holders.n_procs && i < 3; i++) {
		const struct gpu_proc *p = &g->holders.procs[i];

		text_add(t, "%s%.31s (%u)", i ? ", " : "", p->name, p->pid);
		if (fact_known(&p->vram))
			text_add(t, " %s", text_size(size, (uint64_t)p->vram.v));
	}
}

/* What launch would need is seldom less than a tenth of the card. */
static void memory_full(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char value[80], used[TEXT_SIZE_MAX], total[TEXT_SIZE_MAX], by[200];
		struct text t;

		if (!fact_known(&g->vram_total) || !fact_known(&g->vram_used) || !gpu_is_card(g) ||
		    g->vram_used.v / 9 < (g->vram_total.v - g->vram_used.v))
			continue;
		snprintf(value, sizeof(value), "%s of %s used",
			 text_size(used, (uint64_t)g->vram_used.v),
			 text_size(total, (uint64_t)g->vram_total.v));
		struct finding *f = found(x, g->pci, "the card's memory", value, NULL);

		text_init(&t, by, sizeof(by));
		name_holders(g, &t);
		if (t.len)
			finding_detail(f, "By %s.", by);
		else if (fact_known(&g->holders.unseen) && g->holders.unseen.v)
			finding_detail(f, "By whom only root can see.");
	}
}

/* clang-format off */
const struct doctor_check checks_stack[] = {
	{ 64, "driver-missing", SEV_ERROR, CONF_CERTAIN, "No driver has the card, so nothing can compute on it",
	  "a function without a driver link, whose module nobody forbids", { NULL }, missing, REMEDY_COMMAND,
	  "modprobe {arg}; when there is no such module, install the driver's package, and firmware for AMD and Intel (linux-firmware)",
	  "modprobe -r {arg}, or remove the package", 0, "Linux drivers/gpu/drm", NULL },
	{ 65, "driver-blacklisted", SEV_ERROR, CONF_CERTAIN, "The card's driver is forbidden to load",
	  "etc/modprobe.d/*.conf: blacklist; proc/cmdline: module_blacklist=, modprobe.blacklist=, rd.driver.blacklist=", { NULL }, blacklisted,
	  REMEDY_COMMAND, "Take {arg} out of that list (then renew the initramfs) and: modprobe {arg}", "Put it back.", ADVICE_FOR_HOST,
	  "modprobe.d(5)", NULL },
	{ 66, "nomodeset", SEV_ERROR, CONF_CERTAIN, "nomodeset keeps drivers from taking the cards",
	  "proc/cmdline: nomodeset, with a GPU that has no driver", { NULL }, nomodeset, REMEDY_REBOOT, "Boot without nomodeset.",
	  "Put it back.", ADVICE_FOR_HOST, "Linux admin-guide/kernel-parameters", NULL },
	{ 67, "node-permission", SEV_ERROR, CONF_CERTAIN, "Whoever runs this may not open the card's node",
	  "permissions of /dev/dri/renderD*, /dev/kfd, /dev/nvidiactl", { NULL }, permissions, REMEDY_COMMAND,
	  "sudo usermod -aG {arg} \"$USER\", then log in anew", "sudo gpasswd -d \"$USER\" {arg}", 0, "ROCm install guide; systemd udev rules",
	  NULL },
	{ 68, "nvidia-version-mismatch", SEV_ERROR, CONF_CERTAIN, "NVIDIA's libraries and the loaded kernel module are of two versions",
	  "sys/module/nvidia/version against libnvidia-ml.so.VERSION; kernel log: API mismatch", { "API mismatch" }, nvidia_mismatch,
	  REMEDY_REBOOT, "Reboot: an update replaced the libraries while the old module stayed loaded.", "", 0, "NVIDIA driver README", NULL },
	{ 69, "module-unsigned", SEV_ERROR, CONF_LIKELY, "Secure Boot refuses the driver's module, as its signature is not known",
	  "efivars SecureBoot = 1 with an NVIDIA card and no driver; kernel log: Loading of unsigned module, unavailable key",
	  { "Loading of unsigned module is rejected", "Loading of module with unavailable key is rejected" }, unsigned_module, REMEDY_FIRMWARE,
	  "Enroll the key that signs the module: mokutil --import /var/lib/dkms/mok.pub (or the distribution's), reboot, and confirm it.",
	  "mokutil --delete the same key", 0, "Linux admin-guide/module-signing", NULL },
	{ 70, "firmware-missing", SEV_ERROR, CONF_CERTAIN, "The driver did not find the firmware that it loads into the card",
	  "kernel log: Direct firmware load for amdgpu/, i915/, xe/ or nvidia/ failed",
	  { "Direct firmware load for amdgpu/", "Direct firmware load for i915/", "Direct firmware load for xe/",
	    "Direct firmware load for nvidia/" }, NULL, REMEDY_COMMAND,
	  "Install or update the firmware package (linux-firmware; Debian: firmware-amd-graphics, firmware-misc-nonfree), then reboot.",
	  "Remove the package.", 0, "Linux drivers/base/firmware_loader", NULL },
	{ 71, "gfx-without-kernels", SEV_WARNING, CONF_LIKELY, "ROCm's libraries hold no kernels for this chip",
	  "rocblas/library/*gfx*: names of chips; the chip's from KFD", { NULL }, no_kernels, REMEDY_NONE,
	  "Use the engine's Vulkan backend, or a rocBLAS built for this chip.", "", 0, "rocBLAS library files", NULL },
	{ 72, "container-without-nodes", SEV_ERROR, CONF_CERTAIN, "This is a container, and the card's nodes were not handed to it",
	  "run/.containerenv, .dockerenv or run/systemd/container; no /dev node of the card", { NULL }, container, REMEDY_COMMAND,
	  "Start the container with --device /dev/dri (and --device /dev/kfd for ROCm).", "Start it without.", 0, "docker-run(1)", NULL },
	{ 73, "wsl", SEV_NOTE, CONF_CERTAIN, "This is WSL: cards are reached through Windows, not the PCI bus, so most of this cannot be seen",
	  "dev/dxg; proc/sys/kernel/osrelease: microsoft", { NULL }, wsl, REMEDY_NONE,
	  "CUDA works through /usr/lib/wsl/lib; look at BARs, links and power from Windows.", "", 0, "Microsoft WSL documentation", NULL },
	{ 74, "memory-full", SEV_WARNING, CONF_CERTAIN, "Nine tenths of the card's memory are taken",
	  "vram_used against vram_total; processes that hold the card", { NULL }, memory_full, REMEDY_COMMAND,
	  "Stop what is not needed; 'berth top' shows who holds what.", "Start it again.", 0, "arithmetic", NULL },
	{ 0 },
};
/* clang-format on */
