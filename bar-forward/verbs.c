/* SPDX-License-Identifier: MIT */
#include "bar-forward/verbs.h"

#include <stddef.h>

#include "bar-forward/attach.h"
#include "bar-forward/backends.h"
#include "bar-forward/bench.h"
#include "bar-forward/list.h"
#include "bar-forward/status.h"
#include "bar-forward/tracediff.h"
#include "bar-forward/tracing.h"
#include "bar-forward/upgrade.h"

static const char *const list_heeds[] = { "machine", "any", "memory", "json", NULL };
static const char *const args_heeds[] = { "machine", "memory", "socket", "qmp", "json", NULL };
static const char *const xml_heeds[] = { "machine", "memory", "socket", NULL };
static const char *const attach_heeds[] = { "machine", "memory", "driver", "mode", "dry-run",
					    "force",   "any",    "json",   NULL };
static const char *const detach_heeds[] = { "machine", "dry-run", "force", "json", NULL };
static const char *const serve_heeds[] = { "backend", "memory",       "socket",
					   "policy",  "mode",         "bar",
					   "order",   "qmp",          "libvirt",
					   "msix",    "guest",        "once",
					   "record",  "record-size",  "record-interrupts",
					   "user",    "socket-owner", NULL };
static const char *const trace_heeds[] = { "only",   "except", "kind",   "since", "until",
					   "follow", "heat",   "glyphs", "json",  NULL };
static const char *const record_heeds[] = { "record-size", "only",  "except", "kind",
					    "since",       "until", NULL };
static const char *const replay_heeds[] = { "socket",      "policy", "guest",        "record",
					    "record-size", "user",   "socket-owner", NULL };
static const char *const diff_heeds[] = { "only",  "except", "kind", "since",
					  "until", "limit",  "json", NULL };
static const char *const upgrade_heeds[] = { NULL };
static const char *const bench_heeds[] = { "memory", "backend", "policy", "json", NULL };
static const char *const status_heeds[] = { "json", NULL };

/* clang-format off */
const struct verb bridge_verbs[] = {
	{ "list", "[DEV]", "what can be bridged, and what stands in the way", 0, 1, list_heeds, list_verb },
	{ "qemu-args", "DEV", "what to add to QEMU's command line", 1, 1, args_heeds, qemu_args_verb },
	{ "libvirt-xml", "DEV", "a domain of libvirt that has it", 1, 1, xml_heeds, libvirt_xml_verb },
	{ "attach", "DEV", "take the card from its driver, for a virtual machine", 1, 1, attach_heeds, attach_verb },
	{ "detach", "DEV", "give it back to the driver that it had", 1, 1, detach_heeds, detach_verb },
	{ "serve", "DEV [DEV]...", "give a device to a virtual machine that connects to --socket", 1, CMD_WORDS_MAX, serve_heeds, serve_verb },
	{ "status", "", "show the bridges that run, and what went over them", 0, 0, status_heeds, status_verb },
	{ "trace", "FILE|BRIDGE", "show what a bridge recorded, event by event or as a map of its pages", 1, 1, trace_heeds, trace_verb },
	{ "diff", "FILE FILE", "tell where two recorded boots differ: exit 1 if they do", 2, 2, diff_heeds, trace_diff_verb },
	{ "replay", "FILE", "give a virtual machine what a recorded device answered, without the device", 1, 1, replay_heeds, replay_verb },
	{ "record", "BRIDGE [start FILE|stop|save FILE|mark TEXT]", "have a bridge that runs record, or keep what it recorded", 1, 3, record_heeds, record_verb },
	{ "upgrade", "BRIDGE", "have the program that is installed by now do a bridge's accesses, under a running guest", 1, 1, upgrade_heeds, upgrade_verb },
	{ "bench", "DEV", "measure what a trapped access of the device costs on this machine", 1, 1, bench_heeds, bench_verb },
	{ NULL, NULL, NULL, 0, 0, NULL, NULL },
};
/* clang-format on */
