/* SPDX-License-Identifier: MIT */
/* berth unit: the units of a profile, shown, or put where systemd looks for them. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/own.h"
#include "base/self.h"
#include "launch/cpus.h"
#include "launch/options.h"
#include "launch/powerwish.h"
#include "launch/profile.h"
#include "probe/probe.h"
#include "base/sockets.h"
#include "launch/unit.h"
#include "launch/verbs.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

struct unit_options {
	const char *output, *cpus, *machine;
	bool install, user, system, socket;
};

#define ROW(member) offsetof(struct unit_options, member)

/* clang-format off */
static const struct opt unit_opts[] = {
	{ .name = "output", .letter = 'o', .kind = OPT_TEXT, .arg = "DIR", .offset = ROW(output),
	  .help = "Write the units into this folder instead of showing them." },
	{ .name = "install", .kind = OPT_FLAG, .offset = ROW(install),
	  .help = "Write them where systemd looks: ~/.config/systemd/user, or /etc/systemd/system." },
	{ .name = "user", .kind = OPT_FLAG, .offset = ROW(user),
	  .help = "For the user's own manager, whatever the place of the profile." },
	{ .name = "system", .kind = OPT_FLAG, .offset = ROW(system),
	  .help = "For the system's manager: the profile must be in /etc/berth/profiles.d." },
	{ .name = "socket", .kind = OPT_FLAG, .offset = ROW(socket),
	  .help = "Let systemd hold the sockets, and start the run at the first request." },
	{ .name = "machine", .letter = 'm', .kind = OPT_TEXT, .arg = "DIR", .offset = ROW(machine),
	  .help = "Look the devices up in a captured machine instead of this one." },
	{ .name = "cpus", .kind = OPT_TEXT, .arg = "LIST", .offset = ROW(cpus),
	  .help = "The CPUs it may use, such as 0-7; launch chooses among them." },
};

static const struct example unit_examples[] = {
	{ "berth unit chat", "show the unit of the profile chat" },
	{ "berth unit chat --socket --install", "write it, and the socket that starts it" },
	{ "systemctl --user daemon-reload; systemctl --user enable --now berth-chat", "and then" },
	{ NULL, NULL },
};

static const struct cmd unit_cmd = {
	.name = "unit", .operands = "PROFILE",
	.summary = "write the systemd unit of a profile",
	.description =
		"Writes a unit that runs `berth launch` with this profile and keeps it running, and that may touch "
		"nothing else: a user of its own without rights, a read-only system, no network but loopback "
		"(unless the profile listens elsewhere), and of the devices the ones that the profile names, "
		"else all GPUs, none where it says 'device = cpu'. A moved card, or another order of NVIDIA's, wants a new unit.\n\n"
		"A profile below /etc makes a unit of the system, one below home a unit of the user; a user's manager "
		"cannot shut off devices and folders, so its units are less tight. A unit that berth did not write is not "
		"overwritten. `systemctl edit` makes additions of your own.",
	.opts = unit_opts, .n_opts = N_OF(unit_opts),
	.exits = "0  shown, or written\n1  there is no such profile\n2  wrong usage\n4  the profile is not sound\n"
		 "5  it cannot be written",
	.examples = unit_examples,
	.see_also = "berth-launch(1), systemd.service(5)",
};
/* clang-format on */

/* One unit to show or to write. */
struct unit_file {
	char name[UNIT_NAME_MAX];
	char words[UNIT_TEXT_MAX];
};

struct work {
	struct unit_options o;
	struct unit u;
	struct profile profile;
	struct options launch; /* what the profile says */
	char berth[PATH_MAX];
	char folder[PATH_MAX];
	uint32_t n;
	struct unit_file files[3];
};

/* --- what to say --- */

/* Groups that own the nodes of GPUs, in so far as this system has them: systemd refuses others. */
static void find_groups(struct unit *u)
{
	static const char *const groups[] = { "render", "video" };

	for (size_t i = 0; i < N_OF(groups) && !u->cpu_only; i++)
		if (getgrnam(groups[i]))
			u->groups[u->n_groups++] = groups[i];
}

static bool in_home(const char *path)
{
	static const char *const hidden[] = { "/home/", "/root/", "/run/user/" };

	for (size_t i = 0; i < N_OF(hidden); i++)
		if (strncmp(path, hidden[i], strlen(hidden[i])) == 0)
			return true;
	return false;
}

/* A service of the system starts in no folder of yours, and has no home to look into. */
static int check_path(struct work *w, const char *key, const char *path, struct err *e)
{
	if (!path || w->u.user)
		return 0;
	if (path[0] != '/')
		return err_set(e, -EBADMSG,
			       "%s: a unit of the system has no home and no stores: give %s as an "
			       "absolute path, not '%s'",
			       w->profile.path, key, path);
	w->u.reads_home = w->u.reads_home || in_home(path);
	return 0;
}

static int check_paths(struct work *w, struct err *e)
{
	const struct options *o = &w->launch;
	int rc;

	if (!w->profile.model && !o->plan)
		return err_set(e, -EBADMSG, "%s names no model", w->profile.path);
	rc = check_path(w, "model", w->profile.model, e);
	if (rc == 0)
		rc = check_path(w, "plan", o->plan, e);
	if (rc == 0)
		rc = check_path(w, "key-file", o->key_file, e);
	for (uint32_t i = 0; i < o->loras.n && rc == 0; i++)
		rc = check_path(w, "lora", o->loras.v[i], e);
	for (uint32_t i = 0; i < o->vectors.n && rc == 0; i++)
		rc = check_path(w, "control-vector", o->vectors.v[i], e);
	return rc;
}

static int find_berth(char *path, size_t size, struct err *e)
{
	int rc = self_path(path, size, "bin/berth", e);

	if (rc)
		return rc;
	return access(path, X_OK) == 0 ? 0 : err_set(e, -errno, "%s: %s", path, strerror(errno));
}

/* The N of /dev/nvidiaN; -1: nobody says. */
static int nvidia_minor(const struct machine *m, const char *pci)
{
	static const char key[] = "Device Minor:";
	char path[80], text[2048];
	const char *at;
	int minor;

	snprintf(path, sizeof(path), "proc/driver/nvidia/gpus/%s/information", pci);
	if (machine_read(m, path, text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, key);
	return at && sscanf(at + sizeof(key) - 1, "%d", &minor) == 1 && minor >= 0 ? minor : -1;
}

/* One of the profile's GPUs, and the limit that it is to have. */
static void limit(struct work *w, const struct power_wish *wish, const char *pci)
{
	const char *cap = power_wish_of(wish, pci);
	struct unit_limit *to = &w->u.limits[w->u.n_limits];

	if (!cap || w->u.n_limits == UNIT_LIMITS_MAX)
		return;
	text_copy(to->pci, sizeof(to->pci), pci);
	text_copy(to->cap, sizeof(to->cap), cap);
	w->u.n_limits++;
}

/* Which GPUs a run will use is known beforehand only where they are named. */
static int limit_devices(struct work *w, struct err *e)
{
	struct power_wish wish;
	int rc = power_wish_parse(&wish, w->launch.power_cap, e);

	if (rc)
		return err_at(e, -EBADMSG, "%s: power-cap", w->profile.path);
	if (w->u.cpu_only || w->u.user || w->launch.device)
		return 0; /* allow_selected() knows them; a user's manager has no rights to lend */
	if (wish.all[0])
		return err_set(
			e, -EBADMSG,
			"%s: systemd sets the power limits of this run, and has to know for "
			"which GPUs: add 'device = ADDR', or name them: 'power-cap = ADDR=%s'",
			w->profile.path, wish.all);
	for (uint32_t i = 0; i < wish.n; i++)
		limit(w, &wish, wish.list[i].pci);
	return 0;
}

/* The profile's devices, as this machine (or a captured one) has them. */
static int allow_selected(struct work *w, const struct machine *m, struct err *e)
{
	struct probe_opts how = { .no_procs = true };
	uint32_t index[PROBE_GPUS_MAX];
	struct report *r = NULL;
	struct power_wish wish;
	int rc = probe_collect(m, &how, &r, e);

	if (rc == 0)
		rc = power_wish_parse(&wish, w->launch.power_cap, e);

	if (rc == 0)
		rc = probe_select(r, w->launch.device, index, e);
	for (int i = 0; i < rc; i++) {
		const struct gpu *g = &r->gpus[index[i]];

		unit_allow(&w->u, g->pci, fact_text_known(&g->driver) ? g->driver.v : "",
			   nvidia_minor(m, g->pci));
		limit(w, &wish, g->pci);
	}
	probe_free(r);
	return rc < 0 ? err_at(e, rc, "%s: device", w->profile.path) : 0;
}

static int allow_devices(struct work *w, struct err *e)
{
	struct machine m;
	int rc;

	if (w->u.cpu_only || w->u.user || !w->launch.device)
		return 0; /* a user's manager can shut off none */
	rc = machine_open(&m, w->o.machine, e);
	if (rc)
		return rc;
	rc = allow_selected(w, &m, e);
	machine_close(&m);
	return rc;
}

static int understand(struct work *w, const char *name, struct err *e)
{
	struct unit *u = &w->u;
	int rc;

	w->launch = launch_defaults;
	rc = profile_read(&w->profile, name, &launch_command, launch_never_in_profiles, &w->launch,
			  e);
	if (rc == 0)
		rc = find_berth(w->berth, sizeof(w->berth), e);
	if (rc)
		return rc;
	u->profile = name;
	u->berth = w->berth;
	u->user = w->o.user || (!w->o.system && strncmp(w->profile.path, "/etc/", 5) != 0);
	u->cpus = w->o.cpus;
	u->sockets = w->o.socket;
	u->ollama = w->launch.ollama;
	u->run = w->launch.name ? w->launch.name : name;
	u->cpu_only = w->launch.device && strcasecmp(w->launch.device, "cpu") == 0;
	if (w->launch.detach)
		return err_set(e, -EBADMSG,
			       "%s: a unit's run must not leave its service: take detach out",
			       w->profile.path);
	rc = limit_devices(w, e);
	if (rc == 0)
		rc = allow_devices(w, e);
	if (rc)
		return rc;
	find_groups(u);
	return check_paths(w, e);
}

/* --- the sockets --- */

static int stream_of(struct work *w, const char *spec, char stream[UNIT_STREAM_MAX], struct err *e)
{
	struct socket_place p;
	int rc = socket_place_parse(&p, spec, e);

	if (rc)
		return err_at(e, -EBADMSG, "%s: listen", w->profile.path);
	/* loopback written in yet another way only makes the unit less tight */
	if (!p.local && strncmp(p.host, "127.", 4) != 0 && strcmp(p.host, "::1") != 0)
		w->u.beyond_loopback = true;
	if (p.local)
		text_copy(stream, UNIT_STREAM_MAX, p.path);
	else
		snprintf(stream, UNIT_STREAM_MAX, strchr(p.host, ':') ? "[%s]:%u" : "%s:%u", p.host,
			 p.port);
	return 0;
}

static void add_socket(struct work *w, const char *protocol, char (*streams)[UNIT_STREAM_MAX],
		       uint32_t n)
{
	struct unit_file *f = &w->files[w->n++];
	struct text t;

	unit_socket_name(f->name, &w->u, protocol);
	text_init(&t, f->words, sizeof(f->words));
	unit_socket(&t, &w->u, protocol, streams, n);
}

static int make_units(struct work *w, struct err *e)
{
	char streams[OPT_LIST_MAX][UNIT_STREAM_MAX], ollama[1][UNIT_STREAM_MAX];
	const struct opt_list *l = &w->launch.listen;
	struct unit_file *service = &w->files[w->n++];
	uint32_t n = l->n ? l->n : 1;
	struct text t;
	int rc = 0;

	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = stream_of(w, l->n ? l->v[i] : SOCKETS_DEFAULT, streams[i], e);
	if (rc == 0)
		rc = stream_of(w, SOCKETS_OLLAMA, ollama[0], e);
	if (rc)
		return rc;
	unit_service_name(service->name, &w->u);
	text_init(&t, service->words, sizeof(service->words));
	unit_service(&t, &w->u);
	if (t.cut)
		return err_set(e, -ENAMETOOLONG, "the unit became too long");
	if (w->u.sockets)
		add_socket(w, "openai", streams, n);
	if (w->u.sockets && w->u.ollama)
		add_socket(w, "ollama", ollama, 1);
	return 0;
}

/* --- where to --- */

static int find_folder(struct work *w, struct err *e)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	bool has_xdg = xdg && *xdg == '/';

	if (w->o.output)
		text_copy(w->folder, sizeof(w->folder), w->o.output);
	else if (!w->u.user)
		text_copy(w->folder, sizeof(w->folder), "/etc/systemd/system");
	else if (has_xdg || (home && *home == '/'))
		snprintf(w->folder, sizeof(w->folder), "%s%s/systemd/user", has_xdg ? xdg : home,
			 has_xdg ? "" : "/.config");
	else
		return err_set(e, -ENOENT, "HOME is not set; say where to with -o");
	if (!w->o.install)
		return 0;
	for (char *p = w->folder + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(w->folder, 0755) < 0 && errno != EEXIST)
			return err_set(e, -errno, "%s: %s", w->folder, strerror(errno));
		*p = c;
		if (!c)
			return 0;
	}
}

static bool is_ours(int fd)
{
	char begin[sizeof(UNIT_MARK)] = "";

	return io_read(fd, begin, sizeof(begin) - 1) == (long)sizeof(begin) - 1 &&
	       strcmp(begin, UNIT_MARK) == 0;
}

static int write_unit(const struct work *w, const struct unit_file *f, struct err *e)
{
	char path[PATH_MAX + UNIT_NAME_MAX + 2], part[sizeof(path) + 8];

	snprintf(path, sizeof(path), "%s/%s", w->folder, f->name);
	snprintf(part, sizeof(part), "%s.new", path);
	own_fd int old = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (old >= 0 && !is_ours(old))
		return err_set(e, -EACCES, "%s is not a unit that berth wrote; move it away", path);
	own_fd int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int rc = fd < 0 ? -errno : io_write(fd, f->words, strlen(f->words));

	if (rc == 0 && rename(part, path) < 0)
		rc = -errno;
	if (rc) {
		unlink(part);
		return err_set(e, rc, "%s: %s", path, strerror(-rc));
	}
	printf("%s\n", path);
	return 0;
}

static int write_units(struct work *w, struct err *e)
{
	int rc = find_folder(w, e);

	for (uint32_t i = 0; i < w->n && rc == 0; i++)
		rc = write_unit(w, &w->files[i], e);
	return rc;
}

static void show_units(const struct work *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		printf("%s# %s\n%s", i ? "\n" : "", w->files[i].name, w->files[i].words);
}

static int carry_out(struct work *w, const char *name)
{
	struct err e = { 0 };
	struct log log;
	int rc = understand(w, name, &e);

	log_init(&log, "berth unit", 0, 0);
	if (rc == 0)
		rc = make_units(w, &e);
	if (rc == 0 && (w->o.output || w->o.install))
		rc = write_units(w, &e);
	else if (rc == 0)
		show_units(w);
	if (rc == 0 && !w->u.user && strncmp(w->profile.path, "/etc/", 5) != 0)
		log_note(&log, "the system's services do not see %s: copy it to %s",
			 w->profile.path, "/etc/berth/profiles.d");
	if (rc == 0 && (fflush(stdout) || ferror(stdout)))
		rc = err_set(&e, -EIO, "cannot write to standard output");
	return rc ? (int)err_report("unit", rc, &e) : EXIT_YES;
}

static int check(const struct unit_options *o, int n, const char *name)
{
	cpu_set_t set;

	if (n != 1)
		return cmd_usage_error(&unit_cmd, "give one PROFILE");
	if (!profile_is_name(name))
		return cmd_usage_error(&unit_cmd, "'%.80s' is no name of a profile", name);
	if (o->user && o->system)
		return cmd_usage_error(&unit_cmd, "--user and --system contradict each other");
	if (o->output && o->install)
		return cmd_usage_error(&unit_cmd, "-o and --install contradict each other");
	if (o->cpus && cpus_parse(o->cpus, &set))
		return cmd_usage_error(&unit_cmd, "--cpus '%.80s' is no list such as 0-7,16",
				       o->cpus);
	return 0;
}

int verb_unit(int argc, char **argv)
{
	struct work *w = calloc(1, sizeof(*w));
	int first, rc;

	if (!w)
		return EXIT_ENV;
	enum cmd_go go = cmd_parse(&unit_cmd, argc, argv, &w->o, &first);

	rc = cmd_exit(go);
	if (go == CMD_RUN)
		rc = check(&w->o, argc - first, first < argc ? argv[first] : "");
	if (go == CMD_RUN && rc == 0)
		rc = carry_out(w, argv[first]);
	profile_free(&w->profile);
	free(w);
	return rc;
}
