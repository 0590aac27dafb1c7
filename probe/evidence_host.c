/* SPDX-License-Identifier: MIT */
/*
 * What only the running machine can tell doctor: who may use which node, which programs run, what the
 * environment asks of compositors, and which compute libraries are installed. The answer holds no
 * name of a person: groups are those of the nodes, programs those of a table.
 */
#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/evidence.h"

#define PIDS_MAX 100000

/* comm is cut at 15 characters. */
const char *const ev_programs[] = { "boltd",
				    "nvidia-persiste",
				    "nvidia-powerd",
				    "kwin_wayland",
				    "kwin_x11",
				    "gnome-shell",
				    "sway",
				    "Hyprland",
				    "wayfire",
				    "labwc",
				    "niri",
				    "weston",
				    "river",
				    "cosmic-comp",
				    "gamescope-wl",
				    "Xorg",
				    "Xwayland",
				    "mutter",
				    "libvirtd",
				    "virtqemud",
				    "qemu-system-x86",
				    "supergfxd",
				    "switcheroo-cont",
				    NULL };

static const char *const variables[] = { "KWIN_DRM_DEVICES",
					 "WLR_DRM_DEVICES",
					 "AQ_DRM_DEVICES",
					 "DRI_PRIME",
					 "CUDA_VISIBLE_DEVICES",
					 "ROCR_VISIBLE_DEVICES",
					 "HIP_VISIBLE_DEVICES",
					 "HSA_OVERRIDE_GFX_VERSION",
					 "GGML_VK_VISIBLE_DEVICES",
					 "XDG_SESSION_TYPE",
					 NULL };

/* "/dev" folders and the names in them whose permissions decide who computes. */
static const struct {
	const char *dir, *mask;
} nodes[] = {
	{ "dev", "kfd" },       { "dev", "nvidia*" },      { "dev", "dxg" },
	{ "dev/dri", "card*" }, { "dev/dri", "renderD*" }, { "dev/accel", "accel*" },
	{ "dev/vfio", "*" },
};

/* ROCm's own folder, Debian's and Fedora's; '*' in one part only. */
static const char *const rocblas_dirs[] = { "opt", "usr/lib/x86_64-linux-gnu/rocblas",
					    "usr/lib64/rocblas", NULL };

static const char *const library_dirs[] = { "usr/lib/x86_64-linux-gnu",
					    "usr/lib64",
					    "usr/lib/aarch64-linux-gnu",
					    "usr/lib/x86_64-linux-gnu/nvidia/current",
					    "usr/lib",
					    "run/opengl-driver/lib",
					    "usr/lib/wsl/lib",
					    NULL };

/* --- nodes: the file's own numbers; nothing is opened, as opening wakes --- */

static void put_node(json_t *all, const char *path, const struct stat *st)
{
	const struct passwd *pw = getpwuid(st->st_uid);
	const struct group *gr = getgrgid(st->st_gid);
	json_t *o = json_object();
	char mode[8], full[PATH_SIZE + 1];

	snprintf(full, sizeof(full), "/%s", path);
	snprintf(mode, sizeof(mode), "%04o", (unsigned)st->st_mode & 07777u);
	json_put_text(o, "mode", mode);
	/* A person's own node would name the person. */
	json_put_text(o, "owner",
		      st->st_uid == 0           ? "root"
		      : pw && pw->pw_uid < 1000 ? pw->pw_name
						: "user");
	json_put_text(o, "group", gr && st->st_gid < 1000 ? gr->gr_name : "group");
	json_put_bool(o, "can", faccessat(AT_FDCWD, full, R_OK | W_OK, AT_EACCESS) == 0);
	json_object_set_new(all, full, o);
}

static json_t *ask_nodes(const struct machine *m)
{
	json_t *all = json_object();

	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		own_free char **names = NULL;
		int n = machine_list(m, nodes[i].dir, &names);

		for (int k = 0; k < n; k++) {
			char path[PATH_SIZE];
			struct stat st;

			if (fnmatch(nodes[i].mask, names[k], 0) != 0)
				continue;
			snprintf(path, sizeof(path), "%s/%s", nodes[i].dir, names[k]);
			own_fd int fd = machine_openat(m, path, O_PATH);

			if (fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode))
				put_node(all, path, &st);
		}
	}
	return all;
}

/* --- programs --- */

static json_t *ask_running(const struct machine *m)
{
	own_free char **names = NULL;
	bool seen[64] = { false };
	json_t *all = json_array();
	int n = machine_list(m, "proc", &names);

	for (int i = 0; i < n && i < PIDS_MAX; i++) {
		char path[PATH_SIZE], comm[64];

		if (!isdigit((unsigned char)names[i][0]))
			continue;
		snprintf(path, sizeof(path), "proc/%s/comm", names[i]);
		if (machine_read(m, path, comm, sizeof(comm)) <= 0)
			continue;
		for (size_t k = 0; ev_programs[k] && k < ARRAY_LEN(seen); k++)
			seen[k] |= strcmp(comm, ev_programs[k]) == 0;
	}
	for (size_t k = 0; ev_programs[k] && k < ARRAY_LEN(seen); k++)
		if (seen[k])
			json_array_append_new(all, json_string(ev_programs[k]));
	return all;
}

static json_t *ask_environment(void)
{
	json_t *all = json_object();

	for (size_t i = 0; variables[i]; i++) {
		const char *v = getenv(variables[i]);
		char buf[256];

		if (!v)
			continue;
		text_copy(buf, sizeof(buf), v);
		kmsg_scrub(buf); /* a list of devices may hold UUIDs */
		json_put_text(all, variables[i], buf);
	}
	return all;
}

/* --- compute libraries --- */

/* "TensileLibrary_Type_HH_Contraction_l_gfx1100.co" names the chip it is for. */
static void add_gfx(json_t *all, const char *name)
{
	const char *at = strstr(name, "gfx");
	char gfx[16];

	if (!at)
		return;
	snprintf(gfx, sizeof(gfx), "gfx%.*s", (int)strspn(at + 3, "0123456789abcdef"), at + 3);
	for (size_t i = 0; i < json_array_size(all); i++)
		if (strcmp(json_string_value(json_array_get(all, i)), gfx) == 0)
			return;
	json_array_append_new(all, json_string(gfx));
}

static bool list_kernels(const struct machine *m, const char *dir, json_t *all)
{
	own_free char **names = NULL;
	int n = machine_list(m, dir, &names);

	for (int i = 0; i < n; i++)
		if (fnmatch("*gfx*.dat", names[i], 0) == 0 ||
		    fnmatch("*gfx*.co", names[i], 0) == 0 ||
		    fnmatch("*gfx*.hsaco", names[i], 0) == 0)
			add_gfx(all, names[i]);
	return n > 0;
}

/* The chips that rocBLAS has kernels for; NULL: no rocBLAS was found. */
static json_t *ask_rocblas(const struct machine *m)
{
	json_t *all = json_array();
	bool found = false;

	for (size_t i = 0; rocblas_dirs[i]; i++) {
		own_free char **names = NULL;
		bool rocm = i == 0;
		int n = machine_list(m, rocblas_dirs[i], &names);

		for (int k = 0; k < n; k++) {
			char dir[PATH_SIZE];

			if (rocm && strncmp(names[k], "rocm", 4) != 0)
				continue;
			snprintf(dir, sizeof(dir), "%s/%s%s", rocblas_dirs[i], names[k],
				 rocm ? "/lib/rocblas/library" : "/library");
			found |= list_kernels(m, dir, all);
		}
	}
	if (found)
		return all;
	json_decref(all);
	return NULL;
}

/* "libnvidia-ml.so.550.54.14" -> "550.54.14": the library's version is its file's name. */
static bool find_nvml(const struct machine *m, char *version, size_t size)
{
	static const char prefix[] = "libnvidia-ml.so.";

	for (size_t i = 0; library_dirs[i]; i++) {
		own_free char **names = NULL;
		int n = machine_list(m, library_dirs[i], &names);

		for (int k = 0; k < n; k++)
			if (strncmp(names[k], prefix, strlen(prefix)) == 0 &&
			    strchr(names[k] + strlen(prefix), '.'))
				return text_copy(version, size, names[k] + strlen(prefix));
	}
	return false;
}

/* --- our own kernel module --- */

/* Linux, include/linux/module_signature.h: what a signed module ends with. */
static const char signature_end[] = "~Module signature appended~\n";

/* Whether a module that is not packed has no signature. */
static bool lacks_signature(const struct machine *m, const char *path)
{
	char end[sizeof(signature_end) - 1];
	size_t n = strlen(path);
	own_fd int fd = n > 3 && strcmp(path + n - 3, ".ko") == 0
				? machine_openat(m, path, O_RDONLY | O_NONBLOCK)
				: -1;

	return fd >= 0 && lseek(fd, -(off_t)sizeof(end), SEEK_END) >= 0 &&
	       read(fd, end, sizeof(end)) == (ssize_t)sizeof(end) &&
	       memcmp(end, signature_end, sizeof(end)) != 0;
}

static bool find_module(const struct machine *m, const char *release, char path[PATH_SIZE])
{
	/* Where DKMS, `make modules_install M=` and hands put modules; how distributions pack them. */
	static const char *const folders[] = { "updates/dkms", "updates", "extra", "kernel/extra",
					       "kernel/drivers/vfio/pci" };
	static const char *const packed[] = { "", ".xz", ".zst", ".gz" };

	for (size_t i = 0; i < ARRAY_LEN(folders) * ARRAY_LEN(packed); i++) {
		snprintf(path, PATH_SIZE, "lib/modules/%s/%s/berth_vfio.ko%s", release,
			 folders[i / ARRAY_LEN(packed)], packed[i % ARRAY_LEN(packed)]);
		if (machine_exists(m, path))
			return true;
	}
	return false;
}

static void ask_module(const struct machine *m, json_t *o)
{
	json_t *kernels = json_array(), *bare = json_array();
	own_free char **names = NULL;
	int n = machine_list(m, "lib/modules", &names);

	for (int i = 0; i < n && i < 64; i++) {
		char path[PATH_SIZE];

		if (!find_module(m, names[i], path))
			continue;
		json_array_append_new(kernels, json_string(names[i]));
		if (lacks_signature(m, path))
			json_array_append_new(bare, json_string(names[i]));
	}
	json_object_set_new(o, "berth_vfio_kernels", kernels);
	json_object_set_new(o, "berth_vfio_unsigned", bare);
}

json_t *evidence_host_ask(const struct machine *m)
{
	json_t *o = json_answer("berth.answer.doctor/1"), *rocblas = ask_rocblas(m);
	char version[64];

	json_put_bool(o, "root", geteuid() == 0);
	json_object_set_new(o, "nodes", ask_nodes(m));
	json_object_set_new(o, "running", ask_running(m));
	json_object_set_new(o, "environment", ask_environment());
	ask_module(m, o);
	if (rocblas)
		json_object_set_new(o, "rocblas", rocblas);
	if (find_nvml(m, version, sizeof(version)))
		json_put_text(o, "nvidia_library", version);
	return o;
}
