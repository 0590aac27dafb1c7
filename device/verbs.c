/* SPDX-License-Identifier: MIT */
#include "device/bind.h"
#include "device/eject.h"
#include "device/list.h"
#include "device/power.h"
#include "device/rebar.h"
#include "device/reset.h"
#include "device/sleep.h"
#include "device/tb.h"
#include "device/undo.h"
#include "device/verb.h"

static const char *const authorise_heeds[] = { "enrol", NULL };

static const char *const bind_heeds[] = { "for", "persist", "only", "bars", NULL };
static const char *const unbind_heeds[] = { "for", "persist", "only", NULL };
static const char *const list_heeds[] = { "any", NULL };

static const char *const reset_heeds[] = { "method", NULL };

/* clang-format off */
static const char *const undo_heeds[] = { "for", NULL };
static const char *const power_heeds[] = { "cap", "profile", "wake", "for", NULL };
static const char *const sleep_heeds[] = { "persist", "for", NULL };

const struct verb verbs[] = {
	{ .name = "list", .operands = "[DEV]", .max_words = 1, .heeds = list_heeds, .needs_scene = true,
	  .summary = "show what each device can be asked, and why not", .answer = list_answer },
	{ .name = "authorise", .alias = "authorize", .operands = "BOX", .summary = "let a Thunderbolt or USB4 box in, for this time",
	  .min_words = 1, .max_words = 1, .heeds = authorise_heeds, .plan = authorise_plan },
	{ .name = "deauthorise", .alias = "deauthorize", .operands = "BOX", .summary = "let a box, and what is plugged into it, out again",
	  .min_words = 1, .max_words = 1, .plan = deauthorise_plan },
	{ .name = "bind", .operands = "DEV DRIVER", .min_words = 2, .max_words = 2, .heeds = bind_heeds,
	  .summary = "give a card to a driver: vfio-pci for virtual machines; default: the kernel's choice; none: to unbind",
	  .plan = bind_plan },
	{ .name = "unbind", .operands = "DEV", .min_words = 1, .max_words = 1, .heeds = unbind_heeds,
	  .summary = "take a card from its driver", .plan = unbind_plan },
	{ .name = "rescan", .operands = "[BRIDGE]", .max_words = 1,
	  .summary = "look for devices that are not listed, on all PCI buses or below a bridge", .plan = rescan_plan,
	  .after = rescan_after },
	{ .name = "undo", .operands = "[TRANSACTION]", .max_words = 1, .run = undo_run, .heeds = undo_heeds,
	  .summary = "take back the last transaction that can be, or this one; what was changed since only with --force" },
	{ .name = "journal", .operands = "[TRANSACTION]", .max_words = 1, .answer = journal_answer,
	  .summary = "list what was done, or show each step of one transaction" },
	{ .name = "power", .operands = "DEV", .min_words = 1, .max_words = 1, .heeds = power_heeds,
	  .summary = "show what it may draw, and its profiles; with --cap or --profile set them",
	  .plan = power_plan, .answer = power_answer, .needs_scene = true, .asks = power_asks, .after = power_after },
	{ .name = "sleep", .operands = "DEV allow|shallow|forbid", .min_words = 2, .max_words = 2, .heeds = sleep_heeds,
	  .summary = "let it save power while nobody uses it, with its power on (shallow) or off, or keep it awake",
	  .plan = sleep_plan },
	{ .name = "eject", .operands = "DEV|BOX", .summary = "have all of a box or slot leave, so that it may be unplugged",
	  .min_words = 1, .max_words = 1, .plan = eject_plan },
	{ .name = "reset", .operands = "DEV", .summary = "reset it, with all that the reset reaches, and check what comes back",
	  .min_words = 1, .max_words = 1, .heeds = reset_heeds, .plan = reset_plan },
	{ .name = "rebar", .operands = "DEV BAR SIZE", .summary = "give a BAR another of the sizes that the card lists",
	  .min_words = 3, .max_words = 3, .plan = rebar_plan },
	{ .name = NULL },
};
/* clang-format on */
