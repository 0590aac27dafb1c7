/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/text.h"
#include "launch/ending.h"

/* What a signal means when it ends an engine. */
static const struct {
	int signal;
	const char *class, *says;
} signals[] = {
	{ SIGABRT, "abort", "the engine aborted" },
	{ SIGKILL, "killed", "the core was killed from outside" },
	{ SIGILL, "illegal instruction",
	  "the engine used an instruction that this processor lacks" },
	{ SIGSEGV, "segmentation fault", "the engine crashed (segmentation fault)" },
	{ SIGBUS, "bus error",
	  "the engine crashed (bus error): the model file was cut short, or memory failed" },
	{ SIGFPE, "signal", "the engine crashed (arithmetic error)" },
	{ SIGTERM, "killed", "the core was terminated from outside" },
};

/* What the core calls its failures (docs/formats.md), and what that makes of us. */
static const struct {
	const char *class;
	enum exit_code exit;
} failures[] = {
	{ "plan", EXIT_BAD_INPUT }, { "device", EXIT_LOST }, { "version", EXIT_ENGINE },
	{ "load", EXIT_ENGINE },    { "oom", EXIT_ENGINE },  { "context", EXIT_ENGINE },
	{ "decode", EXIT_ENGINE },  { "output", EXIT_ENV },
};

/* What engines say on their way to abort() when memory was refused: that is what it is, then. */
static const char *const no_memory[] = {
	"mem_buffer != NULL",              /* ggml_init, ggml.c */
	"insufficient memory",             /* ggml_aligned_malloc, ggml.c */
	"ggml_malloc: failed to allocate", /* ggml.c; what follows is a bare "fatal error" */
	"ggml_calloc: failed to allocate",
	"GGML_ASSERT(galloc",         /* ggml-alloc.c: each is of what malloc() returned */
	"GGML_ASSERT(sched->splits ", /* ggml-backend.cpp: so are these */
	"GGML_ASSERT(sched->graph.",
	"failed to grow ",
	"out of memory",     /* cudaGetErrorString, hipGetErrorString */
	"OutOfDeviceMemory", /* vk::to_string(vk::Result), vulkan_to_string.hpp */
	"OutOfHostMemory",
	"bad_alloc", /* the C++ library's last words */
};

static bool tells_of_memory(const char *reason)
{
	for (size_t i = 0; i < sizeof(no_memory) / sizeof(no_memory[0]); i++)
		if (strstr(reason, no_memory[i]))
			return true;
	return false;
}

static void set(struct ending *end, const char *class, enum exit_code code, const char *sentence,
		const char *reason)
{
	struct text t;

	text_copy(end->class, sizeof(end->class), class);
	end->exit = code;
	text_init(&t, end->sentence, sizeof(end->sentence));
	text_add(&t, "%s", sentence);
	if (reason && reason[0])
		text_add(&t, ": %s", reason);
}

static void by_signal(struct ending *end, const struct ending_facts *f)
{
	int number = WTERMSIG(f->status);
	char other[64];

	if (number == SIGKILL && f->oom_kill) {
		set(end, "out of memory", EXIT_ENGINE,
		    "the kernel killed the core because the machine ran out of memory", NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (signals[i].signal != number)
			continue;
		set(end, signals[i].class, EXIT_ENGINE, signals[i].says, f->reason);
		if (number == SIGABRT && tells_of_memory(f->reason))
			text_copy(end->class, sizeof(end->class), "oom");
		return;
	}
	snprintf(other, sizeof(other), "the core was ended by signal %d", number);
	set(end, "signal", EXIT_ENGINE, other, f->reason);
}

static void by_failure(struct ending *end, const struct ending_facts *f)
{
	enum exit_code code = EXIT_ENGINE;

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (strcmp(failures[i].class, f->wire->failure) == 0)
			code = failures[i].exit;
	set(end, f->wire->failure, code, f->wire->sentence, NULL);
}

void ending_judge(struct ending *end, const struct ending_facts *f)
{
	char text[160];

	memset(end, 0, sizeof(*end));
	text_copy(end->class, sizeof(end->class), "none");
	if (f->refused) {
		set(end, "placement", EXIT_PLACEMENT, f->refused, NULL);
		return;
	}
	if (f->wire->has_failed) {
		by_failure(end, f);
		return;
	}
	/* Asked to stop, it stopped: fine, unless it crashed on the way */
	if (f->user_stop && (WIFEXITED(f->status) || f->we_killed)) {
		if (!f->wire->is_ready)
			set(end, "stopped", EXIT_NO, "stopped before the model was ready", NULL);
		return;
	}
	if (f->wire->is_done && WIFEXITED(f->status) && WEXITSTATUS(f->status) == 0)
		return;
	if (f->lost) {
		set(end, "device lost", EXIT_LOST, f->lost, f->we_killed ? NULL : f->reason);
		return;
	}
	if (f->stuck_s) {
		snprintf(text, sizeof(text), "the engine gave no sign of life for %u s",
			 f->stuck_s);
		set(end, "stuck", EXIT_ENGINE, text, f->reason);
		return;
	}
	if (WIFSIGNALED(f->status)) {
		by_signal(end, f);
		return;
	}
	snprintf(text, sizeof(text), "the core ended with status %d and did not say why",
		 WEXITSTATUS(f->status));
	set(end, "exit", EXIT_ENGINE, text, f->reason);
}
