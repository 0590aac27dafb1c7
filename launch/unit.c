/* SPDX-License-Identifier: MIT */
/*
 * What systemd is told. Sources: systemd.exec(5), systemd.resource-control(5), systemd.socket(5). Not
 * there: MemoryDenyWriteExecute, because GPU drivers compile at run time. WatchdogSec is for berth launch, which
 * beats every second but while it plans; a stuck engine it replaces itself.
 */
#include "launch/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- what a run may touch --- */

/*
 * What drivers have besides a render node: files of /dev, or names of drivers in /proc/devices. An absent one
 * does no harm. Sources: NVIDIA's README, "GPU device files"; the kernel's amdgpu/amdkfd, for HIP.
 */
static const struct {
	const char *driver, *own; /* of one device, by its minor; NULL: none */
	const char *shared[5];
} gpu_files[] = {
	{ "nvidia",
	  "/dev/nvidia",
	  { "/dev/nvidiactl", "/dev/nvidia-modeset", "char-nvidia-uvm", "char-nvidia-caps" } },
	{ "amdgpu", NULL, { "/dev/kfd" } },
};

/* Every GPU, now and later. */
static const char *const all_gpus[] = { "char-drm", "char-nvidia*", "/dev/kfd" };

/* Both managers can do these: they need no more than seccomp. */
static const char *const for_all[] = {
	"NoNewPrivileges=yes",
	"LockPersonality=yes",
	"RestrictRealtime=yes",
	"RestrictSUIDSGID=yes",
	"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
	"SystemCallArchitectures=native",
	"SystemCallFilter=@system-service",
	"SystemCallErrorNumber=EPERM", /* a driver that tries something odd is told no, not killed */
	"UMask=0077",
};

/* These need the system's manager. */
static const char *const for_system[] = {
	"ProtectSystem=strict",     "PrivateTmp=yes",         "ProtectKernelTunables=yes",
	"ProtectKernelModules=yes", "ProtectKernelLogs=yes",  "ProtectControlGroups=yes",
	"ProtectClock=yes",         "ProtectHostname=yes",    "ProtectProc=invisible",
	"RestrictNamespaces=yes",   "CapabilityBoundingSet=", "RemoveIPC=yes",
};

static void lines(struct text *t, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text_add(t, "%s\n", list[i]);
}

#define LINES(t, list) lines(t, list, sizeof(list) / sizeof((list)[0]))

__attribute__((format(printf, 2, 3))) static void allow(struct unit *u, const char *fmt, ...)
{
	char one[sizeof(u->allowed[0])];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(one, sizeof(one), fmt, ap);
	va_end(ap);
	for (uint32_t i = 0; i < u->n_allowed; i++)
		if (strcmp(u->allowed[i], one) == 0)
			return;
	if (u->n_allowed < UNIT_ALLOWED_MAX)
		text_copy(u->allowed[u->n_allowed++], sizeof(one), one);
}

void unit_allow(struct unit *u, const char *pci, const char *driver, int minor)
{
	/* by address: numbers of render nodes change from boot to boot */
	allow(u, "/dev/dri/by-path/pci-%s-render", pci);
	for (size_t i = 0; i < sizeof(gpu_files) / sizeof(gpu_files[0]); i++) {
		if (strcmp(gpu_files[i].driver, driver) != 0)
			continue;
		if (gpu_files[i].own && minor >= 0)
			allow(u, "%s%d", gpu_files[i].own, minor);
		else if (gpu_files[i].own)
			allow(u, "char-nvidia*");
		for (const char *const *f = gpu_files[i].shared; *f; f++)
			allow(u, "%s", *f);
	}
}

static void devices(struct text *t, const struct unit *u)
{
	if (u->cpu_only) {
		text_add(t, "PrivateDevices=yes\n");
		return;
	}
	text_add(t, "DevicePolicy=closed\n");
	for (uint32_t i = 0; i < u->n_allowed; i++)
		text_add(t, "DeviceAllow=%s rw\n", u->allowed[i]);
	for (size_t i = 0; u->n_allowed == 0 && i < sizeof(all_gpus) / sizeof(all_gpus[0]); i++)
		text_add(t, "DeviceAllow=%s rw\n", all_gpus[i]);
	for (uint32_t i = 0; i < u->n_groups; i++)
		text_add(t, "SupplementaryGroups=%s\n", u->groups[i]);
}

static void system_only(struct text *t, const struct unit *u)
{
	text_add(t, "\n# It is nobody, and sees what it needs\nUser=berth\nDynamicUser=yes\n"
		    "StateDirectory=berth\nStateDirectoryMode=0700\nCacheDirectory=berth\n"
		    "RuntimeDirectory=berth\nRuntimeDirectoryMode=0755\n"
		    "RuntimeDirectoryPreserve=yes\n"
		    "Environment=BERTH_RUNTIME_DIR=%%t/berth XDG_CACHE_HOME=%%C/berth "
		    "CUDA_CACHE_PATH=%%C/berth/nv\n"
		    "LimitMEMLOCK=infinity\n");
	devices(t, u);
	text_add(t, "ProtectHome=%s\n", u->reads_home ? "read-only" : "yes");
	if (!u->beyond_loopback)
		text_add(t, "IPAddressDeny=any\nIPAddressAllow=localhost\n");
	LINES(t, for_system);
}

/* --- the units --- */

void unit_service_name(char name[UNIT_NAME_MAX], const struct unit *u)
{
	struct text t;

	text_init(&t, name, UNIT_NAME_MAX);
	text_add(&t, "berth-%s.service", u->profile);
}

void unit_socket_name(char name[UNIT_NAME_MAX], const struct unit *u, const char *protocol)
{
	bool first = strcmp(protocol, "openai") == 0;
	struct text t;

	text_init(&t, name, UNIT_NAME_MAX);
	text_add(&t, "berth-%s%s%s.socket", u->profile, first ? "" : "-", first ? "" : protocol);
}

static void head(struct text *t, const struct unit *u)
{
	text_add(t, UNIT_MARK " %s%s%s\n[Unit]\nDocumentation=man:berth-launch(1)\n", u->profile,
		 u->user ? " --user" : "", u->sockets ? " --socket" : "");
}

/*
 * A string in quotes, as systemd.service(5) reads the words of ExecStart. The form of the path is ours to
 * quote, the name of a profile needs none.
 */
static void quoted(struct text *t, const char *s)
{
	text_add(t, "\"");
	for (; *s; s++)
		text_add(t, "%s%c",
			 *s == '%'            ? "%"
			 : *s == '$'          ? "$"
			 : strchr("\"\\", *s) ? "\\"
					      : "",
			 *s);
	text_add(t, "\"");
}

static void socket_lines(struct text *t, const struct unit *u)
{
	static const char *const protocols[] = { "openai", "ollama" };
	char name[UNIT_NAME_MAX];

	for (int i = 0; u->sockets && i < 1 + (int)u->ollama; i++) {
		unit_socket_name(name, u, protocols[i]);
		text_add(t, "Requires=%s\nAfter=%s\n", name, name);
	}
}

/*
 * The run itself is nobody, and its /sys cannot be written: the limits are set with full rights ("+",
 * systemd.service(5)), and taken back after whatever it ended by. A device that is gone is no reason to fail.
 */
static void limits(struct text *t, const struct unit *u)
{
	for (uint32_t i = 0; i < u->n_limits; i++) {
		text_add(t, "ExecStartPre=+");
		quoted(t, u->berth);
		text_add(t, " device power %s --cap %s --wake --for unit-%.30s-%s\n",
			 u->limits[i].pci, u->limits[i].cap, u->profile, u->limits[i].pci);
	}
	for (uint32_t i = 0; i < u->n_limits; i++) {
		text_add(t, "ExecStopPost=+-");
		quoted(t, u->berth);
		text_add(t, " device undo --for unit-%.30s-%s\n", u->profile, u->limits[i].pci);
	}
}

static void life(struct text *t, const struct unit *u)
{
	/* A plan that says no, bad input and a wrong placement are the same the next time */
	text_add(t, "\n[Service]\nType=notify\nNotifyAccess=main\n");
	limits(t, u);
	text_add(t, "ExecStart=");
	quoted(t, u->berth);
	text_add(t, " launch --serve --name %s%s %s\n", u->run,
		 u->n_limits ? " --power-cap none" : "", u->profile);
	text_add(t, "TimeoutStartSec=infinity\nTimeoutStopSec=30\nKillMode=mixed\n"
		    "WatchdogSec=300\n"
		    "Restart=on-failure\nRestartSec=5\nRestartPreventExitStatus=1 2 3 4 7\n");
	if (u->cpus)
		text_add(t, "CPUAffinity=%s\n", u->cpus);
	for (int i = 0; u->sockets && i < 1 + (int)u->ollama; i++) {
		char name[UNIT_NAME_MAX];

		unit_socket_name(name, u, i ? "ollama" : "openai");
		text_add(t, "Sockets=%s\n", name);
	}
}

void unit_service(struct text *t, const struct unit *u)
{
	head(t, u);
	text_add(
		t,
		"Description=berth: the model of profile %s\nAfter=network.target nvidia-persistenced.service\n"
		"StartLimitIntervalSec=600\nStartLimitBurst=5\n",
		u->profile);
	socket_lines(t, u);
	life(t, u);
	if (!u->user)
		system_only(t, u);
	text_add(t, "\n# What an inference engine never needs\n");
	LINES(t, for_all);
	text_add(t, "\n[Install]\nWantedBy=%s.target\n", u->user ? "default" : "multi-user");
}

void unit_socket(struct text *t, const struct unit *u, const char *protocol,
		 char (*streams)[UNIT_STREAM_MAX], uint32_t n)
{
	char service[UNIT_NAME_MAX];

	unit_service_name(service, u);
	head(t, u);
	text_add(t, "Description=berth: requests (%s) for profile %s\n\n[Socket]\n", protocol,
		 u->profile);
	for (uint32_t i = 0; i < n; i++)
		text_add(t, "ListenStream=%s\n", streams[i]);
	/* a UNIX socket as launch makes its own */
	text_add(t,
		 "SocketMode=0660\nFileDescriptorName=%s\nService=%s\n\n"
		 "[Install]\nWantedBy=sockets.target\n",
		 protocol, service);
}
