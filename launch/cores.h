/* SPDX-License-Identifier: MIT */
/* How a plan becomes the command line and the environment of an inference core. Pure. */
#ifndef BERTH_LAUNCH_CORES_H
#define BERTH_LAUNCH_CORES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "base/err.h"
#include "base/planfile.h"
#include "base/sockets.h"
#include "launch/narrow.h"

#define CORE_ARGV_MAX  256
#define CORE_HOSTS_MAX 32
#define CORE_ENV_MAX   16

/* What a start needs besides the plan. Texts are borrowed and must outlive the struct core_start. */
struct core_wish {
	const char *program; /* absolute path */
	const char *plan_path, *telemetry_path;
	const char *prompt;      /* NULL: none */
	const char *temperature; /* NULL: the core's default */
	uint32_t max_tokens, seed;
	int control_fd;
	uint32_t verbose;
	uint32_t threads;
	const char *vulkan_drivers; /* of the Vulkan loader's, those to be seen; NULL: all */
	bool shared;                /* others want the CPUs, too: wait without spinning */
	bool plain_cpu;             /* the engine's plainest code for this kind of processor */

	const struct opt_list *loras, *vectors; /* FILE or FILE=SCALE; NULL: none */

	/* Serve requests on these sockets once it is told to go; NULL: compute the prompt and end. */
	const struct sockets *sockets;
	const char *name;     /* of the run, which is the model's for its clients */
	const char *key_file; /* NULL: no key is asked for */
	uint32_t n_hosts;     /* names that a client may call us by, besides loopback's */
	const char *hosts[CORE_HOSTS_MAX];
	uint32_t draft_min;        /* tokens guessed at least; 0: as it pays */
	const char *chat_template; /* NULL: the model's own */
	uint32_t sleep_idle_s;     /* until it unloads; 0: never */
	uint32_t max_queue, max_connections;
	uint64_t max_body; /* 0, all three: the core's default */
};

struct core_env {
	const char *name;
	char value[PLAN_DEVICES_MAX * 64];
	bool unset; /* remove it instead */
};

struct core_start {
	uint32_t argc;
	const char *argv[CORE_ARGV_MAX + 1]; /* ends with NULL */
	uint32_t n_env;
	struct core_env env[CORE_ENV_MAX]; /* changes to our own environment */
	char numbers[9][24];               /* storage of argv */
	uint32_t n_sockets; /* handed over from descriptor 3 on, LISTEN_FDS (sd_listen_fds(3)) */
	int sockets[SOCKETS_MAX];
	char socket_names[SOCKETS_MAX * 16];
};

/* A kind of core: a row of cores[]. */
struct core {
	const char *name;    /* "berth" */
	const char *program; /* in libexec/berth */
	void (*arguments)(struct core_start *s, const struct core_wish *w);
};

extern const struct core cores[];      /* ends with a NULL name; the first is the default */
extern const char *const core_names[]; /* the same names in their order, NULL-terminated */

/* Fill *s for this core, plan and wish. */
void core_start_make(struct core_start *s, const struct core *c, const struct plan *p,
		     const struct core_wish *w);

/*
 * For `core --list-devices`, in the order of addresses: what the user's own variables leave visible, and of
 * that what n leaves (NULL: all of it).
 */
void core_start_list(struct core_start *s, const char *program, const struct narrow *n);

#endif
