/* SPDX-License-Identifier: MIT */
/*
 * The runs of this machine that have a supervisor. Each has two files in a runtime folder: NAME.lock,
 * which the supervisor holds locked while it lives, and NAME.run.json, what it says of itself
 * ("berth.run/1"). Who holds the lock is asked of the kernel: no pid in a file is ever believed.
 */
#ifndef BERTH_LAUNCH_RUNS_H
#define BERTH_LAUNCH_RUNS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/sockets.h"

#define RUNS_MAX     256
#define RUN_NAME_MAX 64
#define RUN_CAPS_MAX 16

enum run_state {
	RUN_STARTING, /* planning */
	RUN_LOADING,  /* a core loads the model */
	RUN_READY,    /* proven, and serving */
	RUN_WAITING,  /* before the next attempt */
	RUN_STOPPING,
	RUN_FAILED, /* gave up; what it says is left to be read */
	RUN_ASLEEP, /* ready, with its model unloaded: the page says so; never written */
	RUN_DEAD,   /* its supervisor is gone without a word; never written */
	RUN_STATE_COUNT
};

struct run_record {
	char dir[256]; /* where it was found; not in the file */
	char name[RUN_NAME_MAX];
	enum run_state state;
	pid_t supervisor;  /* holds the lock now; 0: nobody */
	int64_t core_pid;  /* 0: none runs */
	int64_t started_s; /* seconds since 1970 */
	int64_t ready_s;   /* the same of the core that serves; 0: none does */
	uint32_t starts;   /* cores started so far */
	char model[1024];
	char plan_id[72];
	uint32_t n_addresses;
	char addresses[SOCKETS_MAX]
		      [160]; /* each after the name of what is spoken there: "openai 127..." */
	char key_file[1024]; /* empty: no key is asked for */
	char log[1024];      /* empty: on its terminal, or in the journal */
	char page[512];
	char last_class[24];     /* how the last core ended; empty: none has */
	char last_sentence[768]; /* why */
	uint32_t n_caps;
	struct run_cap {
		char pci[24];
		char cap[24]; /* watts, or "default" */
		char txn[40]; /* of `berth device journal` */
	} caps[RUN_CAPS_MAX]; /* power limits that end with it */
	char notice[256];     /* how it differs from what was asked for; empty: not at all */
};

/* A name is also a file's: letters, digits, '.', '_' and '-', the first a letter or a digit. */
bool run_name_is_good(const char *name);

/* A good name from the path of a model. */
void run_name_from(char *name, size_t size, const char *model);

/* What a supervisor holds. */
struct run_claim {
	int lock_fd; /* -1: nothing is held */
	char dir[256];
	char name[RUN_NAME_MAX];
};

/*
 * Take a name for this process. 0; -EACCES when another run has it, or the folder is not ours to write.
 * Not before fork: the lock is the process's.
 */
int run_claim(struct run_claim *c, const char *name, struct err *e);

/* Say how the run does, atomically. A full disk is no reason to stop: nobody hears of it. */
void run_tell(const struct run_claim *c, const struct run_record *r);

/* Give the name back; keep: what was told last can still be read. */
void run_release(struct run_claim *c, bool keep);

/* All runs of the runtime folders by name, at most RUNS_MAX; the caller frees *list. The count or -errno. */
int runs_list(struct run_record **list, struct err *e);

/* One of them. 0, or -ENOENT with *e, naming the nearest. */
int runs_find(struct run_record *r, const char *name, struct err *e);

/* Signal the supervisor, and nobody else. 0, -ESRCH: there is none, or an errno. */
int run_signal(const struct run_record *r, int number);

/* Is somebody holding the name now? Its pid, or 0. */
pid_t run_supervisor(const struct run_record *r);

/* Remove what a run without a supervisor left. */
void run_forget(const struct run_record *r);

const char *run_state_name(enum run_state s);
json_t *run_to_json(const struct run_record *r);
int run_from_json(struct run_record *r, const json_t *o, struct err *e);

#endif
