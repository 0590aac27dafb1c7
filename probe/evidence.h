/* SPDX-License-Identifier: MIT */
/*
 * What doctor's checks look at, besides the report: more files, the kernel log, and what only the
 * running machine can answer (nodes' permissions, environment, programs). All of it is collected before
 * the first check; a check reads nothing.
 *
 * Nothing here wakes a device, and nothing names a person: of files that people write only the lines
 * that matter are kept.
 */
#ifndef BERTH_PROBE_EVIDENCE_H
#define BERTH_PROBE_EVIDENCE_H

#include "probe/kmsg.h"
#include "probe/kver.h"
#include "probe/probe_priv.h"

#define EV_FUNCTIONS_MAX 256

/* A file as it was read. Lines of a list (modprobe.d, unit files) stay lines. */
struct ev_file {
	char *path; /* below the root */
	char *value;
	int rc; /* negative errno: it is there, but did not read; `value` is then empty */
};

enum ev_role {
	EV_GPU,
	EV_BRIDGE,
	EV_COMPANION,
	EV_EMPTY_PORT, /* a bridge beside one of the way, with nothing below it */
};

/* A function that matters: a GPU, a bridge above one, or what shares its card or its windows. */
struct ev_function {
	char pci[24];
	char dir[PATH_SIZE]; /* its real folder */
	char above[24];      /* the bridge right above it; empty: none, or not known */
	enum ev_role role;
	int gpu; /* index in the report: itself, the first GPU below, or the one beside */
};

struct evidence {
	const struct report *r;
	struct kver kernel;
	struct kmsg log;
	uint32_t n_files;
	struct ev_file *files; /* by path */
	uint32_t n_functions;
	struct ev_function functions[EV_FUNCTIONS_MAX];
	json_t *host; /* berth.answer.doctor/1, hostile in a captured folder; or NULL */
};

/*
 * Collect. r stays the caller's and must outlive it. `log` names a file with a kernel log to read
 * instead of the machine's; NULL: none. An unreadable log is no error unless it was named.
 */
int evidence_read(const struct source *s, const struct report *r, const char *log,
		  struct evidence **out, struct err *e);
void evidence_free(struct evidence *ev);

/*
 * Whether the running machine's kernel log, or that of a file, tells of an NVIDIA card that is failing. Its
 * library opens every card, and each opening of such a card starts its recovery anew: then it is not asked.
 */
bool evidence_card_fails(const struct machine *m, const char *log);

/* The value of a file; NULL when it is not there or did not read. */
const char *ev_value(const struct evidence *ev, const char *path);
/* The file itself, for its errno; NULL: not there. */
const struct ev_file *ev_file(const struct evidence *ev, const char *path);
/* The next file at or after *i whose path matches a shell pattern ('*' stays inside a folder). */
const struct ev_file *ev_next(const struct evidence *ev, const char *pattern, uint32_t *i);

/* A file of a function, "power/control"; NULL as ev_value. */
const char *ev_function_value(const struct evidence *ev, const struct ev_function *f,
			      const char *name);
const struct ev_function *ev_function(const struct evidence *ev, const char *pci);
/* A GPU, or a bridge above one. */
static inline bool ev_on_the_way(const struct ev_function *f)
{
	return f->role == EV_GPU || f->role == EV_BRIDGE;
}

/* The bridge above; NULL at the root. */
const struct ev_function *ev_above(const struct evidence *ev, const struct ev_function *f);

/* Whether the kernel command line has this word, or one that begins with it when it ends in '='. */
const char *ev_cmdline(const struct evidence *ev, const char *word);
/* Whether a list "a,b,c" after KEY= of the command line holds `item`: "pci=realloc,nocrs". */
bool ev_cmdline_item(const struct evidence *ev, const char *key, const char *item);

/* --- what the running machine answered --- */

struct ev_node {
	uint32_t mode; /* permission bits */
	char owner[40], group[40];
	bool can; /* whoever ran this may read and write it */
};

/* "/dev/kfd"; false: there is no such node, or nobody asked. */
bool ev_node(const struct evidence *ev, const char *path, struct ev_node *n);
bool ev_asked(const struct evidence *ev); /* there is an answer at all */
const char *ev_environment(const struct evidence *ev, const char *name); /* NULL: not set */
bool ev_running(const struct evidence *ev, const char *program);
/* Whether a list of the answer holds a text; -1: there is no such list. */
int ev_listed(const struct evidence *ev, const char *list, const char *text);
/* The first text of such a list; NULL: there is none. */
const char *ev_text_any(const struct evidence *ev, const char *list);
const char *ev_text(const struct evidence *ev, const char *key);

bool has_any_word(const char *text, const char *const *words); /* words end with NULL */

/* The kernel log into ev->log (evidence_log.c): the named file's, or the machine's. */
int evidence_take_log(const struct source *s, const char *file, struct evidence *ev, struct err *e);

/* The answer of the running machine (evidence_host.c); the caller owns it. */
json_t *evidence_host_ask(const struct machine *m);

/* Compositors and services that checks ask for; ends with NULL. */
extern const char *const ev_programs[];

/* Lines of the kernel log that are kept (dmesg's text without the time). */
bool evidence_log_wanted(const char *text);
/* Whether a check's row names a word of this line (doctor.c). */
bool checks_name_line(const char *text);

#endif
