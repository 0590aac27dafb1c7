/* SPDX-License-Identifier: MIT */
/* Checks of power: cards that do not come back from sleep, ports that sleep under a box. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

/* A bridge of an external GPU's way that may sleep, and the log says its slot lost the card. */
static void ports_sleep(const struct exam *x)
{
	const struct kmsg *k = &x->ev->log;

	for (uint32_t i = 0; i < x->ev->n_functions; i++) {
		const struct ev_function *f = &x->ev->functions[i];
		const char *control = ev_function_value(x->ev, f, "power/control");
		char path[PATH_SIZE], pci[24];

		if (f->role != EV_BRIDGE || !control || strcmp(control, "auto") != 0 ||
		    !gpu_is_external(&x->r->gpus[f->gpu]))
			continue;
		for (uint32_t l = 0; l < k->n; l++) {
			const char *t = k->lines[l].text;
			bool lost = strstr(t, "Link Down") || strstr(t, "Card not present");

			if (!strstr(t, "pciehp") || !lost || !kline_pci(t, pci) ||
			    strcmp(pci, f->pci))
				continue;
			struct finding *found_one = found(
				x, x->r->gpus[f->gpu].pci,
				function_file(path, f->pci, "power/control"), control, NULL);

			finding_detail(found_one, "The log has: %.180s", t);
			break;
		}
	}
}

/* What a card says that is not there any more. */
static const char *const dead_words[] = {
	"device inaccessible",
	"GPU has fallen off the bus",
	"No devices were found",
	"RmInitAdapter failed",
	"device lost from bus",
	"Unable to change power state",
	NULL,
};

static bool is_dead_line(const char *text)
{
	for (size_t i = 0; dead_words[i]; i++)
		if (strstr(text, dead_words[i]))
			return true;
	return false;
}

static bool of_gpu(const struct exam *x, const char *pci)
{
	const struct ev_function *f = ev_function(x->ev, pci);

	return !pci[0] || (f && ev_on_the_way(f));
}

/* Within two minutes of waking up: later, something else did it. */
static void dead_after_suspend(const struct exam *x)
{
	const struct kmsg *k = &x->ev->log;

	for (int at = -1; (at = kmsg_find(k, (uint32_t)(at + 1), "PM: suspend exit")) >= 0;) {
		const struct kline *woke = &k->lines[at];
		char pci[24];

		for (uint32_t i = (uint32_t)at; i < k->n; i++) {
			const struct kline *l = &k->lines[i];

			if (l->timed && woke->timed && l->usec > woke->usec + 120000000)
				break;
			if (!is_dead_line(l->text))
				continue;
			kline_pci(l->text, pci);
			if (!of_gpu(x, pci))
				continue;
			found_line(x, pci, l);
			return;
		}
	}
}

static bool of_way(const struct exam *x, const struct kline *l)
{
	char pci[24];

	return kline_pci(l->text, pci) && (of_gpu(x, pci) || !ev_function(x->ev, pci));
}

static void lost_in_d3cold(const struct exam *x)
{
	test_log(x, of_way);
}

/* Each client that opens and closes the card makes it sleep and wake, and each time it may not come back. */
static void persistence(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char path[PATH_SIZE];

		if (!gpu_is_external(g) || !gpu_has_driver(g, "nvidia") ||
		    !fact_text_known(&g->runtime_d3) ||
		    strncmp(g->runtime_d3.v, "Enabled", 7) != 0 || !ev_asked(x->ev) ||
		    ev_running(x->ev, "nvidia-persiste"))
			continue;
		snprintf(path, sizeof(path), "/proc/driver/nvidia/gpus/%s/power", g->pci);
		found(x, g->pci, path, g->runtime_d3.v, NULL);
	}
}

/* clang-format off */
const struct doctor_check checks_power[] = {
	{ 34, "lost-in-d3cold", SEV_ERROR, CONF_CERTAIN, "The card was put to its deepest sleep and did not come back",
	  "kernel log: Unable to change power state from D3cold to D0, device inaccessible",
	  { "from D3cold to D0, device inaccessible" }, lost_in_d3cold, REMEDY_COMMAND,
	  "Power the machine and the box off and on; then berth device sleep {dev} forbid --persist; for a guest's card boot with "
	  "vfio-pci.disable_idle_d3=1",
	  "berth device undo, or berth device sleep {dev} allow", ADVICE_PORTS_AWAKE,
	  "kata-containers#11708, A", NULL },
	{ 35, "ports-sleep", SEV_WARNING, CONF_LIKELY, "A port above the box is allowed to sleep, and has lost its card",
	  "power/control = auto of bridges above; kernel log: pciehp ... Link Down, Card not present", { NULL }, ports_sleep, REMEDY_REBOOT,
	  "Boot with pcie_port_pm=off.", "Boot without it.", ADVICE_PORTS_AWAKE, "A, R", NULL },
	{ 36, "dead-after-suspend", SEV_ERROR, CONF_LIKELY, "The card did not come back when the machine woke up",
	  "kernel log: PM: suspend exit, and within two minutes that a card is gone", { NULL }, dead_after_suspend, REMEDY_COMMAND,
	  "Reboot, with the box powered off and on. While it is attached: systemctl mask suspend.target hibernate.target",
	  "systemctl unmask suspend.target hibernate.target", ADVICE_PORTS_AWAKE, "A", NULL },
	{ 37, "runtime-sleep-egpu", SEV_NOTE, CONF_LIKELY,
	  "NVIDIA's driver lets a card in a box sleep whenever its last user goes; waking it is where boxes fail",
	  "proc/driver/nvidia/gpus/*/power: Runtime D3 status: Enabled; and nvidia-persistenced does not run", { NULL }, persistence,
	  REMEDY_COMMAND, "systemctl enable --now nvidia-persistenced", "systemctl disable --now nvidia-persistenced",
	  ADVICE_PERSIST | ADVICE_PORTS_AWAKE, "A, K", NULL },
	{ 0 },
};
/* clang-format on */
